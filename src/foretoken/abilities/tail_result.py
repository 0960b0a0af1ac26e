"""Tail: accuracy by how often a fact stands in the training text and by size, and what a decade of rarity costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from foretoken.fits.check import Check
from foretoken.results import Result, with_reasons_json
from foretoken.units import format_count, format_times

Verdict = Literal["pays", "does_not_pay", "cannot_say"]
"""Whether larger models make up for fewer mentions. `does_not_pay`: no effect of size was told apart from none, and the
answers rule out that a model a thousand times larger makes up for ten times fewer mentions."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
FARTHEST = 1e300
"""A price is cut here: no float holds much more."""
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

    @property
    def name(self) -> str:
        """What tells it apart: its size, after its name where it has one, which models of several sizes may share."""
        return f"{self.model} {format_count(self.params)}".strip()

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
    low = format_times(price.low)
    if price.factor is not None and price.high is not None:
        interval = f"{100 * level:g} % interval {low} to {format_times(price.high)}"
        factor = format_times(price.factor)
        if price.factor < 1:
            return (
                f"{name}rarity costs nothing: ten times fewer mentions are worth {factor} times the size ({interval})."
            )
        return f"{name}ten times fewer mentions cost as much as a model {factor} times larger gives ({interval})."
    if price.verdict == "does_not_pay":
        told = f"{name}scale does not pay: larger models make up for no fewer mentions;"
        least = f" ten times fewer would take a model at least {low} times larger, and" if price.low < FARTHEST else ""
        return f"{told}{least} no size is told to be enough."
    # A factor below 1 bounds nothing: what rarity costs may be less than nothing.
    least = f"at least {low} times larger, without an upper bound" if price.low > 1 else "of any size"
    return f"{name}whether scale pays cannot be said: ten times fewer mentions may take a model {least}."
