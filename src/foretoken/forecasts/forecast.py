"""Forecast: a fit applied beyond its data, with its interval and its distance from the runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError
from foretoken.fits.check import PLAIN, Check
from foretoken.laws.law import Array
from foretoken.results import Result, shown
from foretoken.runs.loss_units import NATS_PER_TOKEN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foretoken.fits.result import Fit

IntervalKind = Literal["new-run", "mean"]
"""What an interval holds: one new run, with its noise, or the law itself."""
NEW_RUN: IntervalKind = "new-run"
KINDS: dict[str, IntervalKind] = {"new-run": NEW_RUN, "mean": "mean"}


@dataclass(frozen=True)
class Extrapolation(Mapping[str, float]):
    """How far a forecast reaches beyond the runs: a factor for each of params, tokens, flops and further features.

    >>> reach = Extrapolation({"params": 1.0, "tokens": 8.0})
    >>> reach["tokens"], reach.farthest, reach.largest
    (8.0, 'tokens', 8.0)
    """

    factors: dict[str, float]
    """1 inside the runs; above the largest run value / largest, below the smallest run smallest / value."""

    @property
    def farthest(self) -> str:
        """The name of the largest factor."""
        return max(self.factors, key=lambda name: self.factors[name])

    @property
    def largest(self) -> float:
        """The factor in the direction that reaches farthest."""
        return self.factors[self.farthest]

    def __getitem__(self, name: str) -> float:
        return self.factors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.factors)

    def __len__(self) -> int:
        return len(self.factors)

    def __str__(self) -> str:
        return ", ".join(f"{name} {factor:.3g}" for name, factor in self.factors.items())


@dataclass(frozen=True)
class Forecast(Result):
    """The loss that a run of this size and length will reach."""

    __pydantic_config__ = PLAIN

    params: float
    tokens: float
    flops: float
    """Each is NaN (null in JSON) where the law does not read it and it was not given."""
    loss: float
    """What the law predicts, in `unit`."""
    low: float
    high: float
    level: float
    kind: IntervalKind
    """`new-run` (where one more run will fall) or `mean` (where the law lies)."""
    extrapolation: Extrapolation
    checks: list[Check]
    estimator: str = "map"
    """Which parameters of the fit were used: `map`, or the objective of the unpenalised estimate (`huber`)."""
    at: dict[str, float] = field(default_factory=dict)
    """Values of the law's further features, by name."""
    unit: str = NATS_PER_TOKEN
    """Of `loss` and its interval: that of the fit's losses, or the column that its law predicts."""

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the forecast."""
        return (self.high - self.low) / 2 / self.loss

    def contains(self, loss: float) -> bool:
        """Whether a loss lies inside the interval."""
        return self.low <= loss <= self.high

    def plot(self, fit: Fit) -> Figure:
        """The runs of the fit that made it, and the law on its way there, as a new figure of matplotlib.

        Raises ForetokenError where loss cannot be drawn against compute: the law reads something else besides.
        """
        figure: Figure = shown("forecast", self, fit)
        return figure

    def to_json(self) -> dict[str, Any]:
        """Plain values; `extrapolation` is {name: factor}, `loss_unit` the `unit`."""
        unknown = {name: None for name in ("params", "tokens", "flops") if math.isnan(getattr(self, name))}
        extrapolation = dict(self.extrapolation)
        return asdict(self) | {"extrapolation": extrapolation, "loss_unit": self.unit} | unknown


@dataclass(frozen=True, eq=False)
class Forecasts(Result, Sequence[Forecast], rows="forecasts"):
    """Forecasts of many runs by one fit, in the order in which the runs were given; those of a grid row by row."""

    forecasts: tuple[Forecast, ...]
    shape: tuple[int, ...]
    """That of the arrays which they were asked for with, broadcast against each other."""

    @property
    def loss(self) -> Array:
        """What the law predicts, in `unit`, in `shape`."""
        return np.array([forecast.loss for forecast in self.forecasts]).reshape(self.shape)

    @property
    def low(self) -> Array:
        """The lower ends of the intervals, in `shape`."""
        return np.array([forecast.low for forecast in self.forecasts]).reshape(self.shape)

    @property
    def high(self) -> Array:
        """The upper ends of the intervals, in `shape`."""
        return np.array([forecast.high for forecast in self.forecasts]).reshape(self.shape)

    @property
    def unit(self) -> str:
        """Of the losses."""
        return self.forecasts[0].unit

    @overload
    def __getitem__(self, index: int) -> Forecast: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Forecast, ...]: ...
    def __getitem__(self, index: int | slice) -> Forecast | tuple[Forecast, ...]:
        return self.forecasts[index]

    def __len__(self) -> int:
        return len(self.forecasts)

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values, one entry per forecast."""
        return [forecast.to_json() for forecast in self.forecasts]


def interval_kind(name: str) -> IntervalKind:
    """The kind of interval of this name. Raises ForetokenError for an unknown one.

    >>> interval_kind("mean")
    'mean'
    """
    if name not in KINDS:
        near = nearest(name, KINDS)
        cure = f"did you mean {near[0]!r}?" if near else None
        raise ForetokenError("unknown kind of interval", expected=", ".join(KINDS), got=repr(name), cure=cure)
    return KINDS[name]


FORECAST_KEYS = tuple(entry.name for entry in fields(Forecast))
"""The keys of a forecast in JSON."""
