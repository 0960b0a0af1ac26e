"""Options of the two ways to go on from a trained model, checked when they are made. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import get_args

from foretoken.arguments import did_you_mean, nearest
from foretoken.compute.hardware import available_cores
from foretoken.errors import DesignError, TaskError
from foretoken.evals.metrics import METRICS
from foretoken.runs.spec import Precision


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How a network is fine-tuned. Raises TaskError for values that it cannot be tuned with."""

    learning_rates: tuple[float, ...] = (1e-4, 5e-4, 2e-3)
    """Tried in turn; the one with the least validation loss is taken."""
    batch: int = 16
    """Examples of a step."""
    epochs: int = 40
    """Rounds over the training examples, at most."""
    patience: int = 6
    """Epochs without a lower validation loss, after which training ends."""
    warmup: float = 0.1
    """Share of all steps."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of a gradient."""
    dropout: float = 0.1
    metric: str = ""
    """One of `METRICS`; the default of the kind of task unless given."""

    def __post_init__(self) -> None:
        self._check_metric()
        for name in ("batch", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise TaskError(
                    f"{name} must be 1 or more",
                    expected="1 or more",
                    got=str(getattr(self, name)),
                    cure=f"leave it out for {getattr(TuningOptions, name)}",
                )
        if not self.learning_rates or not all(0 < rate < math.inf for rate in self.learning_rates):
            raise TaskError(
                "learning rates must be above 0",
                expected="one finite number above 0, or more",
                got=str(self.learning_rates),
                cure=f"leave them out for {', '.join(f'{rate:g}' for rate in TuningOptions.learning_rates)}",
            )
        if not (0 <= self.warmup <= 1 and 0 <= self.dropout < 1):
            raise TaskError(
                "warmup and dropout are shares",
                expected="0 to 1, dropout below 1",
                got=f"warmup {self.warmup}, dropout {self.dropout}",
                cure=f"leave them out for {TuningOptions.warmup:g} and {TuningOptions.dropout:g}",
            )

    def _check_metric(self) -> None:
        if self.metric and self.metric not in METRICS:
            near = nearest(self.metric, METRICS)
            raise TaskError(
                "no such metric",
                expected=", ".join(METRICS),
                got=repr(self.metric),
                cure=f"did you mean {near[0]!r}?" if near else "leave it out for that of the kind of task",
            )


@dataclass(frozen=True, kw_only=True)
class ContinueOptions:
    """How a model is trained further. Raises DesignError for values that it cannot be trained with."""

    learning_rate: float = 1e-4
    """Peak; it warms up, stays, and decays to 0. At most 1000."""
    batch_tokens: int = 16_384
    """Positions of a step."""
    warmup_share: float = 0.02
    cooldown: float = 0.2
    """Shares of the run over which the learning rate rises and falls; together at most 1."""
    weight_decay: float = 0.1
    validation_share: float = 0.05
    """Share of the documents that is held out, below 0.5."""
    repeat: bool = False
    """Whether the text may be read more than once."""
    precision: Precision = "float32"
    """`float32` or `bfloat16` (autocast)."""
    threads: int = 0
    """0: as many as torch takes. It identifies a stopped run too, because sums depend on it in the last bit."""
    seed: int = 0
    """Of the order of the text, and of what is hidden in it."""

    def __post_init__(self) -> None:
        wrong = self._wrong_types() or [name for name, allowed in self._rules().items() if not allowed]
        if wrong:
            precisions = get_args(Precision)
            wrong_precision = did_you_mean(str(self.precision), precisions) if "precision" in wrong else None
            raise DesignError(
                "these options cannot be used for continued training",
                expected="shares from 0 to 1 (warmup_share and cooldown together at most 1, validation_share above 0"
                f" and below 0.5), a learning rate above 0, whole batch_tokens and seed, at most {available_cores()}"
                f" threads, precision {' or '.join(precisions)}",
                got=", ".join(f"{name} {getattr(self, name)!r}" for name in wrong),
                cure=wrong_precision or "see the options: foretoken continue-training --help",
            )

    def _wrong_types(self) -> list[str]:
        """Options of a wrong type. A whole number may stand for a float, but a truth value for no number."""
        allowed = {float: (int, float), int: (int,), bool: (bool,), str: (str,)}
        wrong = []
        for field in fields(ContinueOptions):
            value, kind = getattr(self, field.name), type(field.default)
            if not isinstance(value, allowed[kind]) or isinstance(value, bool) != (kind is bool):
                wrong.append(field.name)
        return wrong

    def _rules(self) -> dict[str, bool]:
        """Each option, and whether its value is in its range."""
        return {
            "precision": self.precision in get_args(Precision),
            "learning_rate": 0 < self.learning_rate <= 1e3,
            "batch_tokens": 1 <= self.batch_tokens < 2**40,
            "warmup_share": 0 <= self.warmup_share <= 1,
            # 1e-9: shares such as 0.7 + 0.3 may add up to a little more than 1
            "cooldown": self.cooldown >= 0 and self.cooldown + self.warmup_share <= 1 + 1e-9,
            "weight_decay": 0 <= self.weight_decay <= 1e6,
            "validation_share": 0 < self.validation_share < 0.5,
            "threads": 0 <= self.threads <= available_cores(),
            "seed": 0 <= self.seed < 2**32,
        }
