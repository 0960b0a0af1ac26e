"""RunSpec: everything that determines the result of one training run, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le

from foretoken.compute.flops import matmul
from foretoken.compute.footprint import training_bytes
from foretoken.compute.memory import Memory
from foretoken.compute.objective import CAUSAL, Objective
from foretoken.compute.parameters import ParameterCount, count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Schedule = Literal["wsd", "cosine"]
HAS_TRUNK: dict[Schedule, bool] = {"wsd": True, "cosine": False}
"""Whether the learning rate is constant until a last decay (Hu et al. 2024, arXiv 2404.06395), so that runs of several
lengths share the steps before it. A cosine depends on the length from the first step on."""
Precision = Literal["float32", "bfloat16"]
SpikeAction = Literal["stop", "skip", "roll_back"]
KeepWeights = Literal["none", "target", "all"]
"""Whose final weights a study saves."""
TARGET = "target"
"""The group of the big run whose loss is forecast."""
NOT_IN_KEY = ("group",)
"""Fields that name a run for people and do not change its result."""


@dataclass(frozen=True, kw_only=True)
class SpikePolicy:
    """What a run does about a loss or a gradient that leaves the usual (see training.spikes in docs/study_file.md)."""

    policy: SpikeAction = "stop"
    """`stop`: a loss that is not finite ends the run as diverged; `skip`: steps beyond the usual are not applied;
    `roll_back`: the run goes back some steps and skips the batches after them."""
    sigmas: Annotated[float, Ge(2.0), Le(1000.0)] = 6.0
    """Standard deviations above the mean of the window from which a loss or a gradient's norm is a spike."""
    window: Annotated[int, Ge(8), Le(100_000)] = 128
    """Steps that the mean and the deviation are taken over."""
    rewind: Annotated[int, Ge(1), Le(1_000_000)] = 100
    """roll_back: goes back at least this many steps."""
    skip_batches: Annotated[int, Ge(1), Le(1_000_000)] = 200
    """roll_back: batches skipped after going back."""
    max_spikes: Annotated[int, Ge(1), Le(10_000)] = 10
    """Spikes after which the run counts as diverged all the same."""

    @property
    def only_stops(self) -> bool:
        """Whether no finite loss is a spike."""
        return self.policy == "stop"

    @property
    def rolls_back(self) -> bool:
        """Whether a spike sends the run back to an earlier step."""
        return self.policy == "roll_back"

    @property
    def most_skipped_batches(self) -> int:
        """Batches that all the spikes that are tolerated can take from the run; 0 unless rolling back."""
        # Of the states kept every `rewind` steps the last that is `rewind` steps old is taken, so a run goes back
        # at most 2 x rewind steps; the batch of the spike is skipped too.
        return self.max_spikes * max(self.skip_batches, 2 * self.rewind + 1) if self.rolls_back else 0


@dataclass(frozen=True, kw_only=True)
class RouterLosses:
    """Weights of what is added to the loss of a model with experts (see docs/families.md)."""

    load_balance: Annotated[float, Ge(0.0), Le(100.0)] = 0.01
    """Of the balance loss, which is 1 where every expert gets as much."""
    z: Annotated[float, Ge(0.0), Le(100.0)] = 0.001
    """Of the mean squared log-sum of the router's exponentials."""


@dataclass(frozen=True, kw_only=True)
class OwnTrainer:
    """What determines a run that a command of the user's trains, beside the other fields of the run."""

    command: str
    """With fields (see runs/command.py), as the study file has it."""
    code: str = ""
    """Hash of the files that the study file names as code."""
    size: str = "{}"
    """What the study file gives of this size, as JSON."""
    params: int | None = None
    """Parameters, where they do not follow from the shape."""
    flops_per_token: float | None = None
    """Of training, where they are given."""

    @cached_property
    def given(self) -> dict[str, int | float | str]:
        """What the study file gives of this size."""
        given: dict[str, int | float | str] = json.loads(self.size)
        return given


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One planned training run. Two specs with equal keys give the same result, bit for bit, on one machine."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    shape: ModelShape
    tokens: int
    """Training tokens: a whole number of batches."""
    batch_tokens: int
    learning_rate: float
    """Peak learning rate."""
    warmup_tokens: int
    schedule: Schedule
    """`wsd` (warm-up, stable, decay) or `cosine`."""
    cooldown: float
    """Share of the run over which a wsd schedule decays."""
    final_learning_rate_share: float
    """Learning rate at the end, as a share of the peak."""
    weight_decay: float
    beta1: float
    beta2: float
    clip: float
    """Largest norm of the gradient; longer ones are scaled down."""
    dropout: float = 0.0
    """Share of the embedding's and each layer's outputs that is dropped in training."""
    spikes: SpikePolicy = SpikePolicy()
    precision: Precision
    """`float32` or `bfloat16` (autocast)."""
    threads: int
    """Threads of the process; part of the key, because sums depend on it in the last bit."""
    seed: int
    objective: Objective = CAUSAL
    corpus: str
    """Content address of the tokenised corpus."""
    tokenizer: str
    eval_set: str
    """Name and content address of the validation tokens."""
    eval_tokens: int
    """Validation tokens per evaluation."""
    software: str
    """Version of the training recipe and of torch."""
    repeat: bool = False
    """Whether training may see tokens more than once."""
    router_losses: RouterLosses = RouterLosses()
    trainer: OwnTrainer | None = None
    """The user's own trainer; None for the training loop of foretoken."""
    group: str = ""
    """The budget or grid line that asked for this run, or `target`."""

    @property
    def has_trunk(self) -> bool:
        """Whether longer runs can share its steps, see HAS_TRUNK; those of an own trainer cannot."""
        return HAS_TRUNK[self.schedule] and self.trainer is None

    @property
    def is_target(self) -> bool:
        """Whether it is the big run that the small ones are to forecast."""
        return self.group == TARGET

    @property
    def in_bfloat16(self) -> bool:
        """Whether matrix products are in bfloat16 (autocast)."""
        return self.precision == "bfloat16"

    @cached_property
    def key(self) -> str:
        """Hash of all that determines the result: the name of the run's folder."""
        return _hash(self, without=NOT_IN_KEY)

    @cached_property
    def trunk(self) -> str | None:
        """Hash that is shared by wsd runs which differ in their length only; None with a cosine schedule.

        Such runs are one trajectory up to their cooldowns, so they are trained as branches of one trunk.
        """
        return _hash(self, without=(*NOT_IN_KEY, "tokens")) if self.has_trunk else None

    @property
    def trajectory(self) -> str:
        """The trunk, or the run itself where it has none: what is trained in one go, and where its checkpoints are."""
        return self.trunk or self.key

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // self.batch_tokens

    @property
    def reserve_tokens(self) -> int:
        """Tokens that may be read beyond `tokens`, because batches around spikes are skipped."""
        return self.spikes.most_skipped_batches * self.batch_tokens

    @property
    def cooldown_steps(self) -> int:
        """Steps of the final decay; 0 with a cosine schedule."""
        return max(1, round(self.cooldown * self.steps)) if self.has_trunk else 0

    @property
    def fork_step(self) -> int:
        """The step at which the run leaves its trunk: its cooldown begins there."""
        return self.steps - self.cooldown_steps

    @property
    def warmup_steps(self) -> int:
        """Steps of the linear warm-up, at least 1."""
        return max(1, round(self.warmup_tokens / self.batch_tokens))

    @property
    def parameters(self) -> ParameterCount:
        """Exact parameter counts by group; a number that is given, with no group, as those of the layers."""
        given = self.trainer.params if self.trainer else None
        return count_parameters(self.shape) if given is None else ParameterCount(feed_forward=given)

    @property
    def sequences(self) -> int:
        """Sequences of one batch."""
        return self.batch_tokens // self.shape.sequence_tokens

    @property
    def sequences_trained(self) -> int:
        """Sequences of the whole run."""
        return self.steps * self.sequences

    @property
    def sequences_read(self) -> int:
        """Sequences that the run may read: those it trains on, and those in reserve for spikes."""
        return -(-(self.tokens + self.reserve_tokens) // self.shape.sequence_tokens)

    @property
    def flops(self) -> float:
        """Exact training FLOPs of this run, were it trained alone; 6 N D where only N is given."""
        own = self.trainer
        if own and own.flops_per_token is not None:
            return own.flops_per_token * self.tokens
        if own and own.params is not None:
            return 6.0 * own.params * self.tokens
        return matmul(self.shape, self.objective.predicted(self.shape)) * self.tokens

    @property
    def memory(self) -> Memory:
        """What one step holds, in bytes, by part, counted as float32."""
        return training_bytes(self.shape, self.objective, self.sequences, dropout=self.dropout > 0)

    def to_json(self) -> dict[str, Any]:
        """Every field by its name, those of its parts too."""
        return values_to_json(self)

    @classmethod
    def from_json(cls, spec_json: Mapping[str, Any]) -> RunSpec:
        """The inverse of `to_json`; TypeError for unknown and missing names, other types, and sizes that cannot be."""
        return read_as(cls, spec_json)

    def with_tokens(self, tokens: int) -> RunSpec:
        """The same run at another length: a branch of the same trunk."""
        return replace(self, tokens=tokens)


T = TypeVar("T")


def read_as(kind: type[T], values_json: Mapping[str, Any]) -> T:
    """A record from its plain values, those of its parts too, every type checked; TypeError says what is wrong."""
    try:
        record: T = _validator(kind)(values_json)  # type: ignore[arg-type]
        return record
    except (ValueError, ForetokenError) as error:
        raise TypeError(str(error)) from None


@cache
def _validator(kind: type[T]) -> Callable[[Any], T]:
    from pydantic import TypeAdapter  # here, because a plan or a forecast reads no records

    return TypeAdapter(kind).validate_python


PLAIN = frozenset({bool, int, float, str, type(None)})
"""Types of the values that are no records, told quickly."""


def values_to_json(part: DataclassInstance, only_changed: bool = False) -> dict[str, Any]:
    """Fields of a record and of those in it, by name; `only_changed` leaves out what is at its default.

    Faster than `asdict`, which copies: a study may have thousands of runs.
    """
    values: dict[str, Any] = {}
    for name, default in _defaults(type(part)):
        value = getattr(part, name)
        if only_changed and value == default:
            continue
        is_part = type(value) not in PLAIN and is_dataclass(value) and not isinstance(value, type)
        values[name] = values_to_json(value, only_changed) if is_part else value
    return values


@cache
def _defaults(kind: type[DataclassInstance]) -> list[tuple[str, Any]]:
    """Names and defaults of a record's fields."""
    return [(field.name, field.default) for field in fields(kind)]


def _hash(spec: RunSpec, without: tuple[str, ...]) -> str:
    # By name, and without what is at its default: neither moving a field within its class nor adding one with a
    # default gives the runs of a study other keys, so that a later version can go on with the study.
    values = {k: v for k, v in values_to_json(spec, only_changed=True).items() if k not in without}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
