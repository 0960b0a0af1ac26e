"""RunSpec: everything that determines the result of one training run, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from foretoken.compute.flops import matmul
from foretoken.compute.footprint import training_bytes
from foretoken.compute.memory import Memory
from foretoken.compute.objective import Objective, Options
from foretoken.compute.parameters import ParameterCount, count_parameters
from foretoken.compute.shape import ModelShape

LABELS = ("group",)
"""Fields that name a run for people and do not change its result, so they are left out of its key."""


@dataclass(frozen=True, kw_only=True)
class SpikePolicy:
    """What a run does about a loss or a gradient that leaves the usual (see training.spikes in docs/study_file.md)."""

    policy: str = "stop"
    """`stop`: a loss that is no number ends the run as diverged; `skip`: steps beyond the usual are not applied;
    `roll_back`: the run goes back some steps and leaves out the batches after them."""
    sigmas: float = 6.0
    """Standard deviations above the mean of the window from which a loss or a gradient's norm is a spike."""
    window: int = 128
    """Steps that the mean and the deviation are taken over."""
    rewind: int = 100
    """roll_back: goes back at least this many steps."""
    leave_out: int = 200
    """roll_back: batches left out after going back."""
    most: int = 10
    """Spikes after which the run counts as diverged all the same."""


@dataclass(frozen=True, kw_only=True)
class RouterLosses:
    """What is added to the loss of a model with experts (see model.experts in docs/study_file.md)."""

    balance: float = 0.01
    """Weight of the balance loss, which is 1 where every expert gets as much."""
    z: float = 0.001
    """Weight of the mean squared log-sum of the router's exponentials."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One planned training run. Two specs with equal keys give the same result, bit for bit, on one machine."""

    shape: ModelShape
    tokens: int
    """Training tokens: a whole number of batches."""
    batch_tokens: int
    learning_rate: float
    """Peak learning rate."""
    warmup_tokens: int
    schedule: str
    """`wsd` (warm-up, stable, decay) or `cosine`."""
    cooldown: float
    """Share of the run over which a wsd schedule decays."""
    final_learning_rate: float
    """Learning rate at the end, as a share of the peak."""
    weight_decay: float
    beta1: float
    beta2: float
    clip: float
    """Largest norm of the gradient; longer ones are scaled down."""
    dropout: float = 0.0
    """Share of the embedding's and each layer's outputs that is dropped in training."""
    spikes: SpikePolicy = SpikePolicy()
    precision: str
    """`float32` or `bfloat16` (autocast)."""
    threads: int
    """Threads of the process; part of the key, because sums depend on it in the last bit."""
    seed: int
    objective: str
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
    options: Options = field(default_factory=Options)
    """Choices of the objective."""
    router: RouterLosses = field(default_factory=RouterLosses)
    group: str = ""
    """The budget or grid line that asked for this run, or `target`."""

    @cached_property
    def key(self) -> str:
        """Hash of all that determines the result: the name of the run's folder."""
        return _hash({k: v for k, v in self.to_json().items() if k not in LABELS})

    @cached_property
    def trunk(self) -> str | None:
        """Hash that is shared by wsd runs which differ in their length only; None with a cosine schedule.

        Such runs are one trajectory up to their cooldowns, so they are trained as branches of one trunk.
        """
        if self.schedule != "wsd":
            return None
        return _hash({k: v for k, v in self.to_json().items() if k not in (*LABELS, "tokens")})

    @property
    def trajectory(self) -> str:
        """The trunk, or the run itself where it has none: what is trained in one go, and where its checkpoints are."""
        return self.trunk or self.key

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // self.batch_tokens

    @property
    def spare_tokens(self) -> int:
        """Tokens that may be read beyond `tokens`: batches around spikes are left out; 0 unless rolling back."""
        policy = self.spikes
        left_out = max(policy.leave_out, 2 * policy.rewind + 1) if policy.policy == "roll_back" else 0
        return policy.most * left_out * self.batch_tokens

    @property
    def cooldown_steps(self) -> int:
        """Steps of the final decay; 0 with a cosine schedule."""
        return max(1, round(self.cooldown * self.steps)) if self.schedule == "wsd" else 0

    @property
    def warmup_steps(self) -> int:
        """Steps of the linear warm-up, at least 1."""
        return max(1, round(self.warmup_tokens / self.batch_tokens))

    @property
    def parameters(self) -> ParameterCount:
        """Exact parameter counts by group."""
        return count_parameters(self.shape)

    @cached_property
    def aim(self) -> Objective:
        """The objective with its options."""
        return Objective(kind=self.objective, **_values(self.options))

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
        """Sequences that the run may read: those it trains on, and the spare ones around spikes."""
        return -(-(self.tokens + self.spare_tokens) // self.shape.sequence_tokens)

    @property
    def flops(self) -> float:
        """Exact training FLOPs of this run, were it trained alone."""
        return matmul(self.shape, self.aim.predicted(self.shape)) * self.tokens

    @property
    def memory(self) -> Memory:
        """What one step holds, in bytes, by part, counted as float32."""
        return training_bytes(self.shape, self.aim, self.sequences, dropout=self.dropout > 0)

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the order of the fields; those of later versions only where they are not at their default,
        so that the keys of earlier runs stay.
        """
        values = {**_values(self), "shape": self.shape.to_json(), "spikes": _values(self.spikes)}
        for name, default in LATER.items():
            part = values.pop(name)
            if part != default:
                values[name] = _values(part)
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunSpec:
        """The inverse of `to_json`; unknown keys are an error of ours, so they raise TypeError."""
        parts = {"shape": ModelShape(**values["shape"]), "spikes": SpikePolicy(**values["spikes"])}
        later = {name: type(default)(**values[name]) for name, default in LATER.items() if name in values}
        return cls(**{**values, **parts, **later})

    def with_tokens(self, tokens: int) -> RunSpec:
        """The same run at another length: a branch of the same trunk."""
        return replace(self, tokens=tokens)


LATER: dict[str, Options | RouterLosses] = {"options": Options(), "router": RouterLosses()}
"""Parts that later versions added, at their defaults."""


def _values(part: RunSpec | SpikePolicy | Options | RouterLosses) -> dict[str, Any]:
    """Fields and values, not copied: much faster than `asdict`, and a study may have thousands of runs."""
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
