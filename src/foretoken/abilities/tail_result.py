"""Tail: accuracy by how often a fact stands in the training text and by size, and what a decade of rarity costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from foretoken.fits.check import Check
from foretoken.results import Result, with_reasons_json

Verdict = Literal["pays", "does_not_pay", "cannot_say"]
"""Whether larger models make up for fewer mentions. `does_not_pay`: no effect of size was told apart from none, and the
answers rule out that a model a thousand times larger makes up for ten times fewer mentions."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NO_TOP = "slopes of size that are 0 lie in the interval: no size is told to be enough"
"""Why a price has no upper end, and then no middle."""


@dataclass(frozen=True)
class Slope:
    """A change of the log odds per decade, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Price:
    """The factor in parameters that makes up for ten times fewer mentions."""

    verdict: Verdict
    factor: float | None
    """None where the interval has no upper end."""
    low: float
    high: float | None

    @property
    def pays(self) -> bool:
        """Whether size is told to make up for mentions."""
        return self.verdict == "pays"


@dataclass(frozen=True)
class CountBin:
    """Questions of one decade of counts, answered by one model."""

    low: float
    high: float
    """Above all counts of the bin; both 0 for what is never mentioned."""
    middle: float
    """Geometric mean of its counts."""
    n: float
    accuracy: float
    accuracy_low: float
    """Wilson's interval."""
    accuracy_high: float


@dataclass(frozen=True)
class FrequencyGap:
    """Accuracy on the tenth of the questions with the highest counts, less that on the tenth with the lowest."""

    gap: float
    low: float
    high: float
    n_rarest: float
    n_commonest: float


@dataclass(frozen=True)
class CurvePoint:
    """The fitted accuracy at one count."""

    count: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ModelTail:
    """What was found of one model."""

    model: str
    params: float
    accuracy: float
    n: float
    slope: Slope
    """Log odds per decade of mentions, fitted to this model alone."""
    bins: list[CountBin]
    gap: FrequencyGap | None
    curve: list[CurvePoint]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return with_reasons_json(asdict(self), gap="fewer than 20 questions")


@dataclass(frozen=True, kw_only=True)
class TaskTail:
    """What was found of one task."""

    task: str
    count_slope: Slope
    """Log odds per decade of mentions, the same for all models."""
    params_slope: Slope | None
    """Log odds per decade of parameters."""
    price: Price | None
    price_reason: str
    """Why there is no price; empty where there is one."""
    ceiling: float
    """Of accuracy, as weighed over those that were tried."""
    models: list[ModelTail]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self) | {"models": [one.to_json() for one in self.models]}
        if self.price is not None:
            values["price"] = with_reasons_json(values["price"], factor=NO_TOP, high=NO_TOP)
        values.pop("price_reason")
        return with_reasons_json(values, price=self.price_reason, params_slope=self.price_reason)


@dataclass(frozen=True, kw_only=True)
class Tail(Result, rows="tasks"):
    """The long tail of each task of a table."""

    tasks: list[TaskTail]
    level: float
    checks: list[Check]
    assumed: list[str]
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return {
            "tasks": [one.to_json() for one in self.tasks],
            "level": self.level,
            "checks": [asdict(check) for check in self.checks],
            "assumed": self.assumed,
            "source": self.source,
        }


def sentence(tail: TaskTail, level: float) -> str:
    """What ten times fewer mentions cost, in a sentence."""
    name = f"{tail.task}: " if tail.task else ""
    price = tail.price
    if price is None:
        return f"{name}no price of rarity: {tail.price_reason}."
    if price.factor is not None and price.high is not None:
        ends = f"{times(price.low)} to {times(price.high)}"
        cost = f"as much as a model {times(price.factor)} times larger gives ({100 * level:g} % interval {ends})"
        return f"{name}ten times fewer mentions cost {cost}."
    if price.verdict == "does_not_pay":
        return (
            f"{name}scale does not pay: larger models make up for no fewer mentions; ten times fewer would take a model"
            f" at least {times(price.low)} times larger, and no size is told to be enough."
        )
    return (
        f"{name}whether scale pays cannot be said: ten times fewer mentions take a model at least {times(price.low)}"
        " times larger, without an upper bound."
    )


def times(factor: float) -> str:
    """A factor, in powers of ten where it is beyond what anybody builds.

    >>> times(24.6), times(3e7), times(0.42)
    ('25', '10^7', '0.42')
    """
    from math import log10

    return f"10^{log10(factor):.0f}" if factor >= 1e5 else f"{factor:.2g}" if factor < 100 else f"{factor:.0f}"
