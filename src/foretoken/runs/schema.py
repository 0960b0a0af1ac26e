"""The tables of a study file: their keys, limits and defaults."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, WrapValidator, field_validator, model_validator

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, preset_family
from foretoken.errors import shown
from foretoken.laws import PUBLISHED, WEIGHED, forecasting_laws
from foretoken.runs.launch_values import (
    GpuRule,
    Limit,
    LimitTexts,
    check_limits,
    check_rule,
    gpus_of,
    parse_limit,
    usd_price,
)
from foretoken.runs.section import Count, Flops, Positive, Ratio, Section, Share, checked, known_name
from foretoken.runs.spec import HAS_TRUNK, KeepWeights, Precision, RouterLosses, Schedule, SpikePolicy
from foretoken.runs.trainer_section import Size

DesignKind = Literal["isoflop", "ladder", "runs"]


MOST_RUNS = 10_000
"""Runs of one list: no study trains more, and a slip of the hand is refused at once."""


class ModelSection(Section):
    """Choices shared by all sizes of the ladder and the target."""

    preset: Annotated[str, known_name(PRESETS, "preset")] = "llama"
    """The family and its usual choices."""
    context: int = Field(default=128, ge=8, le=1_000_000)
    width_per_layer: float = Field(default=16.0, ge=0.5, le=16_384.0)
    """Width over depth; fixes the shape that a number of parameters gets."""
    layers: int | None = Field(default=None, ge=1, le=1000)
    """The same depth for all sizes (of each stack), instead of width_per_layer."""
    norm: Literal["layer", "rms"] | None = None
    positions: Literal["learned", "rotary", "relative", "none"] | None = None
    activation: Literal["gelu", "gelu_exact", "relu", "swiglu", "geglu"] | None = None
    tied: bool | None = None
    bias: bool | None = None
    queries_per_kv_head: int = Field(default=1, ge=1, le=1024)
    """Heads of queries that share one of keys and values, as far as the heads of a size allow."""
    shared_stacks: bool | None = None
    """encoder_decoder: whether the stacks share the weights of their blocks."""
    experts: int | None = Field(default=None, ge=1, le=4096)
    """Routed experts in place of a feed-forward."""
    active_experts: int | None = Field(default=None, ge=1, le=4096)
    shared_experts: int | None = Field(default=None, ge=0, le=64)
    expert_every: int | None = Field(default=None, ge=1, le=1000)
    expert_width_ratio: float = Field(default=1.0, gt=0.0, le=16.0)
    """Hidden size of one expert over that of a dense feed-forward."""
    expert_capacity_factor: float | None = Field(default=None, ge=0.0, le=1000.0)
    """Most tokens of an expert over its even share; those beyond pass by it. 0 drops none."""
    router_losses: RouterLosses = RouterLosses()

    @model_validator(mode="after")
    def _every_choice_has_an_effect(self) -> ModelSection:
        preset = PRESETS[self.preset]
        family = preset_family(self.preset)
        chosen = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if family.recurrent and (idle := [name for name in chosen if name not in RECURRENT_CHOICES]):
            raise ValueError(
                f"the family {family.name!r} has no {', '.join(idle)}; it takes {', '.join(RECURRENT_CHOICES)}"
            )
        if not (self.experts or preset.get("experts")) and (idle := [name for name in chosen if name in OF_EXPERTS]):
            raise ValueError(f"{', '.join(idle)} without experts: give their number (`experts`) too")
        if self.shared_stacks is not None and not family.two_stacks:
            raise ValueError(f"shared_stacks is for models of two stacks, and {self.preset!r} has one")
        return self


RECURRENT_CHOICES = ("preset", "context", "width_per_layer", "layers", "tied", "bias")
OF_EXPERTS = (
    "active_experts",
    "shared_experts",
    "expert_every",
    "expert_width_ratio",
    "expert_capacity_factor",
    "router_losses",
)


class RuleSection(Section):
    """A power law in the parameters: value x (params / at_params) ^ exponent."""

    value: Count
    at_params: Annotated[Count, Field(ge=1.0)] = 1e5
    exponent: float = Field(default=0.0, ge=-3.0, le=3.0)

    def at(self, params: float) -> float:
        """The rule's value for a model of this many parameters."""
        return self.value * math.pow(params / self.at_params, self.exponent)


class TrainingSection(Section):
    """The recipe; its rules must have been tuned at two sizes at least."""

    learning_rate: RuleSection = RuleSection(value=6e-3, exponent=-0.25)
    batch_tokens: RuleSection = RuleSection(value=2048)
    warmup_share: Share = 0.05
    """Warm-up as a share of the shortest run of a trunk."""
    schedule: Schedule = "wsd"
    cooldown: float = Field(default=0.2, gt=0.0, le=1.0)
    final_learning_rate_share: Share = 0.0
    weight_decay: float = Field(default=0.1, ge=0.0, le=1e6)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.95, ge=0.0, lt=1.0)
    clip: Positive = 1.0
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    spikes: SpikePolicy = SpikePolicy()
    precision: Literal["auto"] | Precision = "auto"
    eval_tokens: Count = 131_072

    @model_validator(mode="after")
    def _room_for_both_ends(self) -> TrainingSection:
        # A cosine falls from the end of the warm-up on, so only a schedule with a last decay can run out of room.
        if HAS_TRUNK[self.schedule] and self.warmup_share + self.cooldown > 1:
            raise ValueError("warmup_share and cooldown together exceed the run")
        return self


ObjectiveSection = Annotated[Objective, WrapValidator(checked)]
"""What the networks learn to predict, with the choices of that objective."""


class PlannedRuns(Section):
    """Runs of one size and length."""

    params: Annotated[Count, Field(ge=1.0)]
    tokens: Annotated[Count, Field(ge=1.0)]
    seeds: int = Field(default=1, ge=1, le=100)
    """How often it is trained: with the study's seed, and the ones after it."""
    learning_rate_factors: list[Ratio] = Field(default=[1.0], min_length=1, max_length=20)
    """Multiples of the rule's learning rate; each is trained, and the best of them counts."""

    @model_validator(mode="after")
    def _rates_differ(self) -> PlannedRuns:
        if len(set(self.learning_rate_factors)) < len(self.learning_rate_factors):
            raise ValueError("two of `learning_rate_factors` are equal: each is one run")
        return self

    @property
    def count(self) -> int:
        """How many runs these are."""
        return self.seeds * len(self.learning_rate_factors)


GRIDS: dict[DesignKind, tuple[str, ...]] = {
    "isoflop": ("budgets",),
    "ladder": ("tokens_per_param",),
    "runs": ("runs",),
}
"""The lists that each kind of design is made from."""
EXAMPLES: dict[DesignKind, str] = {
    "isoflop": "budgets = [1e11, 2e11, 4e11]",
    "ladder": "params = [20e3, 50e3], tokens_per_param = [20, 40, 80]",
    "runs": 'runs = [{ params = "2M", tokens = "40M" }]',
}


class DesignSection(Section):
    """The small runs."""

    kind: DesignKind = "isoflop"
    budgets: list[Flops] = Field(default=[], max_length=100)
    """isoflop: FLOPs of each curve."""
    sizes_per_budget: int = Field(default=5, ge=4, le=100)
    size_ratio: float = Field(default=1.5, ge=1.01, le=100.0)
    """isoflop: step between neighbouring sizes."""
    center: Annotated[str, known_name(PUBLISHED, "law")] | Ratio = 20.0
    """isoflop: tokens per parameter at the middle of each curve, or the published law that gives it."""
    recenter_rounds: int = Field(default=1, ge=0, le=4)
    """How often sizes may be added on the side where a curve has its minimum at the edge."""
    params: list[Count] = Field(default=[], max_length=100)
    """ladder: sizes; all those of [trainer] where it has `sizes` and none are given here."""
    tokens_per_param: list[Ratio] = Field(default=[], max_length=100)
    """ladder: tokens per parameter of each run."""
    runs: list[PlannedRuns] = Field(default=[], max_length=1000)
    """runs: each size and length."""

    @model_validator(mode="after")
    def _kind_has_its_grid(self) -> DesignSection:
        if (self.kind == "runs") != bool(self.runs):
            raise ValueError(f"`runs` is needed by kind 'runs', and by no other: {EXAMPLES['runs']}")
        if missing := [name for name in GRIDS[self.kind] if not getattr(self, name)]:
            raise ValueError(f"kind {self.kind!r} needs `{'` and `'.join(missing)}`, for example {EXAMPLES[self.kind]}")
        # Two entries of one size and length are the same runs by their keys; more seeds belong into one entry.
        sizes = [(planned.params, planned.tokens) for planned in self.runs]
        if len(set(sizes)) < len(sizes):
            raise ValueError("`runs` has a size and length twice: say `seeds` or `learning_rate_factors`")
        if (count := sum(planned.count for planned in self.runs)) > MOST_RUNS:
            raise ValueError(f"`runs` asks for {count} runs; a study has {MOST_RUNS} at most")
        return self


class TargetSection(Section):
    """The big run whose loss is forecast."""

    compute_factor: Ratio = 8.0
    """FLOPs of the target over those of the largest small run."""
    tokens_per_param: Ratio | None = None
    """Shape of the target; by default the design's centre."""
    size: Size | None = None
    """[trainer]: what the command needs of the target's size; by default the nearest of trainer.sizes."""
    train: bool = True
    """Whether the target is trained (and the forecast scored)."""


TrackerName = Literal["tensorboard", "wandb", "mlflow"]
LaunchKind = Literal["local", "ray", "slurm", "manual"]
OF_KINDS: dict[str, tuple[LaunchKind, ...]] = {
    "address": ("ray",),
    "gpus": ("local", "ray", "slurm", "manual"),
    **dict.fromkeys(("partition", "account", "qos", "time_minutes", "executor", "options"), ("slurm",)),
}
"""Keys of `[launch]` that only some kinds of launchers read."""
SET_BY_US = frozenset({"array", "error", "job-name", "open-mode", "output", "signal", "wait", "wrap"})
"""Options of sbatch on which the launcher itself depends."""
BatchOptions = dict[str, str | int | bool]


class LaunchSection(Section):
    """Where the runs are trained, and by how many processes."""

    kind: LaunchKind = "local"
    """`local`: worker processes on this machine; `ray`: actors of Ray; `slurm`: jobs of SLURM; `manual`: you start the
    commands of [trainer] yourself and bring their results home (docs/own_trainer.md). A launcher of your own: see
    docs/extending.md."""
    workers: int = Field(default=0, ge=0, le=4096)
    """Processes with one thread each; 0 means one per core."""
    target_threads: int = Field(default=0, ge=0, le=4096)
    """Threads of a run that has nothing beside it; 0 means one or all, whichever is measured to be faster."""
    lease_seconds: float = Field(default=120.0, ge=1.0, le=86_400.0)
    """Time without a sign of life after which another machine may take the study over."""
    keep_weights: KeepWeights = "target"
    """The runs whose final weights are kept."""
    bucket: str = Field(default="", max_length=1000)
    """URL of a bucket or folder (s3://bucket/prefix, gs://, file://) that gets a copy of the study's folder."""
    trackers: list[TrackerName] = Field(default=[], max_length=3)
    """Where training losses go as runs are trained, beside log/curves.jsonl: tensorboard, wandb, mlflow."""
    address: str = Field(default="", pattern=r"^(auto|[A-Za-z0-9._-]+:\d{1,5})?$")
    """ray: of the cluster, host:port or "auto"; empty starts Ray on this machine."""
    gpus: GpuRule = Field(default=[], max_length=100)
    """GPUs of each run: a number, or one for each class of sizes; local and ray also a share of one, as 0.25."""
    limit: LimitTexts = Field(default=[], max_length=10)
    """What may be spent, over all attempts: "$500", "40 GPU-hours", "36 hours", "2026-12-24T18:00", or several."""
    accelerator: str | None = None
    """The GPU that is paid for, as `foretoken plan` knows it: where its price comes from."""
    usd_per_hour: float | None = Field(default=None, gt=0.0, le=1e6)
    """Price of one GPU; of one core where `gpus` is not said."""
    partition: str | None = None
    """slurm: the cluster's default where it is not said; so are the account and the quality of service."""
    account: str | None = None
    qos: str | None = None
    time_minutes: int | None = Field(default=None, ge=5, le=43_200)
    """slurm: time limit of a worker; by default from the estimated time of the runs."""
    executor: Literal["slurm", "local"] = "slurm"
    """slurm: `local` starts the same workers through submitit on this machine, where there is no SLURM."""
    options: BatchOptions = Field(default_factory=dict)
    """slurm: more options of sbatch, as { constraint = "a100", exclusive = true }."""

    @model_validator(mode="after")
    def _every_key_has_an_effect(self) -> LaunchSection:
        defaults = LaunchSection.model_construct()
        for name, kinds in OF_KINDS.items():
            if self.kind not in kinds and getattr(self, name) != getattr(defaults, name):
                raise ValueError(f"`{name}` is for kind {' or '.join(map(repr, kinds))}, and has no effect on others")
        check_rule(self.gpus, whole=self.kind == "slurm")
        check_limits(self.limits, self.accelerator, self.usd_per_hour, has_gpus=bool(self.gpus))
        return self

    @property
    def limits(self) -> list[Limit]:
        """What `limit` says."""
        return [parse_limit(text) for text in self.limit]

    @property
    def price(self) -> float | None:
        """US dollars of an hour of one GPU (of one core where `gpus` is not said); None where it is not known."""
        return usd_price(self.accelerator, self.usd_per_hour)

    def gpus_of(self, params: float) -> float:
        """GPUs of a run of this size; 0 where the study file does not say."""
        return gpus_of(self.gpus, params)

    @field_validator("bucket")
    @classmethod
    def _is_a_url_without_secrets(cls, url: str) -> str:
        if re.search(r"://[^/]*:[^/]*@|[?#]", url):
            raise ValueError("a URL without keys and passwords: they are read from the environment of the file system")
        if url and not re.fullmatch(r"[a-z][a-z0-9+.-]+://[^\s:]+(:\d+/[^\s:]+)?", url):
            raise ValueError(f"{shown(url)} is no URL, as s3://bucket/prefix, gs://bucket/prefix or file:///folder")
        return url.rstrip("/")

    @field_validator("partition", "account", "qos")
    @classmethod
    def _is_one_word(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]*", name):
            raise ValueError(f"{shown(name)} is no name of SLURM's")
        return name

    @field_validator("options")
    @classmethod
    def _options_are_sbatch_s(cls, options: BatchOptions) -> BatchOptions:
        for name, value in options.items():
            if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or (isinstance(value, str) and not value.isprintable()):
                raise ValueError(f"{shown(name)}: write an option as sbatch does, without its dashes, on one line")
            own = name.replace("-", "_").replace("time", "time_minutes")
            if name in SET_BY_US or own in OF_KINDS:
                instead = f"; say `{own}`" if own in OF_KINDS else ""
                raise ValueError(f"the option {name!r} is set by the launcher{instead}")
        return options


class ForecastSection(Section):
    """How the forecast is stated."""

    law: Annotated[str, known_name([WEIGHED, *forecasting_laws()], "law of parameters and tokens")] = WEIGHED
    """`weighed` (the average of several laws), or any law L(N, D): one that forecasts from size and length alone."""
    level: float = Field(default=0.9, gt=0.0, lt=1.0)
