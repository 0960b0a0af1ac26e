"""The parts of a fit, each with its units: ranges, runs, noise, held-out errors, profiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foretoken.fits.check import PLAIN
from foretoken.laws.law import Array


class Range(NamedTuple):
    """The two ends of an interval, or the smallest and the largest of a column."""

    low: float
    high: float


def interval_about(estimate: float, draws: Array, level: float) -> Range:
    """The middle `level` of draws, stretched to the estimate where a bias of the draws leaves that outside.

    >>> interval_about(3.0, np.array([0.0, 1.0, 2.0]), 0.5)
    Range(low=0.5, high=3.0)
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Range(min(float(low), estimate), max(float(high), estimate))


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest values among the runs that were used."""

    __pydantic_config__ = PLAIN

    params: Range
    tokens: Range
    flops: Range
    loss: Range
    """Of what the law predicts, in the law's unit."""

    def by_name(self) -> dict[str, Range]:
        """The same, by column."""
        return {"params": self.params, "tokens": self.tokens, "flops": self.flops, "loss": self.loss}


@dataclass(frozen=True)
class FittedRun:
    """One run that the fit used (or one cell of many), beside the law's value for it."""

    __pydantic_config__ = PLAIN

    run: str
    group: str | None
    parent: str | None
    params: float
    tokens: float
    flops: float
    loss: float
    """Measured: what the law predicts, in the law's unit."""
    fitted: float
    """The law's value, with the parameters that forecasts use."""


@dataclass(frozen=True)
class Dropped:
    """Rows that were left out for one reason."""

    __pydantic_config__ = PLAIN

    reason: str
    count: int


@dataclass(frozen=True)
class RowCounts:
    """How many rows a fit used, and which it left out."""

    __pydantic_config__ = PLAIN

    used: int
    dropped: list[Dropped]

    @property
    def left_out(self) -> int:
        """How many rows were left out."""
        return sum(dropped.count for dropped in self.dropped)


@dataclass(frozen=True)
class ObjectiveValue:
    """What the unpenalised estimate minimised, and how far it came."""

    __pydantic_config__ = PLAIN

    name: str
    """huber, or another of `foretoken.fits.objectives.OBJECTIVES`."""
    huber_sum: float
    """Sum of Huber's loss of the residuals on log loss at `delta`, whatever was minimised."""
    delta: float


@dataclass(frozen=True)
class Starts:
    """How the starts of the search fared."""

    __pydantic_config__ = PLAIN

    tried: int
    agree: int
    """Starts that ended within 1 % of the best objective and parameters."""


@dataclass(frozen=True)
class Noise:
    """How a new run differs from the law, on log loss."""

    __pydantic_config__ = PLAIN

    run_sd: float
    """Standard deviation of one run at `most_tokens` and beyond."""
    tokens_power: float
    """Shorter runs scatter more: run_sd x (tokens / most_tokens)^(-tokens_power / 2)."""
    most_tokens: float
    """Tokens of the table's longest run."""
    cluster_sd: float
    """Standard deviation of an error that all runs of a budget or a trajectory have in common."""
    degrees_of_freedom: float
    """Of the Student-t of a new run."""
    misfit_growth: float
    """The law's own misfit, per ln of the distance beyond the data."""
    pattern_p_value: float
    """How likely so strong a pattern of the residuals is if the law is right; 0 where it could not be tested."""

    def new_run_sd(self, tokens: float | None) -> float:
        """Standard deviation of one new run of this length about the law; of the longest where None."""
        shorter = min(0.0, math.log(tokens / self.most_tokens)) if tokens else 0.0
        return math.hypot(self.run_sd * math.exp(-0.5 * self.tokens_power * shorter), self.cluster_sd)


@dataclass(frozen=True)
class HeldOut:
    """How well a fit of the smaller runs foretold an octave of larger ones, on log loss."""

    __pydantic_config__ = PLAIN

    distance: float
    """Mean ln of the largest factor beyond the runs seen, in params, tokens or flops."""
    error: float
    """Mean of forecast minus measured."""
    square: float
    """Mean squared error."""
    explained: float
    """Root mean square that the parameters' uncertainty and the noise of runs explain."""


@dataclass(frozen=True)
class ParameterProfile:
    """Profile likelihood of one parameter."""

    __pydantic_config__ = PLAIN

    values: list[float]
    """Values at which the parameter was held, rising."""
    rise: list[float]
    """The share by which the objective grows there."""
    interval: Range
    """Values within the limit of the fit's level; an end of `values` means that the runs set no bound there."""
    identified: bool
    """Whether the interval is closed and at most a factor of 4 wide."""


@dataclass(frozen=True)
class ObjectiveForecast:
    """What another objective would have said."""

    __pydantic_config__ = PLAIN

    objective: str
    text: str
    parameters: dict[str, float]
    loss: float
    """Of the law, at 8 times the largest compute."""


@dataclass(frozen=True)
class WeighedLaw:
    """One of several laws whose forecasts are averaged."""

    __pydantic_config__ = PLAIN

    law: str
    weight: float
    """Of all laws together 1."""
    parameters: dict[str, float]
    """That forecasts use."""
    draws: list[list[float]]
    """Bootstrap draws of them: [draws, parameters]."""


class Estimate(NamedTuple):
    """One set of parameters with its bootstrap draws."""

    parameters: dict[str, float]
    draws: Array
    """[draws, parameters], in the order of `parameters`."""
