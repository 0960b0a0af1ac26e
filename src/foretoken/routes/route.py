"""Route: one way to the compute-optimal path N* = G C^a, with its doubts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from foretoken.fits.parts import Range
from foretoken.laws.law import Array

BIASED, BIASED_SIZE = 0.02, 1.2
"""Bias of an exponent, and factor between N* and the surface's, from which a simulated bias is a doubt."""


@dataclass(frozen=True)
class BestSize:
    """N* at one compute."""

    flops: float
    params: float
    interval: Range


@dataclass(frozen=True)
class PathPoint:
    """A best size that the line goes through."""

    flops: float
    params: float


@dataclass(frozen=True)
class Bias:
    """What a method gives for noise-free runs of the fitted surface, against the surface's own answer."""

    exponent: float
    """Difference of the exponents."""
    params: float
    """Ratio of N* at the largest compute."""

    @property
    def is_large(self) -> bool:
        """Whether it is large enough for a doubt."""
        return abs(self.exponent) > BIASED or abs(np.log(self.params)) > np.log(BIASED_SIZE)

    def __str__(self) -> str:
        return (
            f"noise-free runs of the fitted surface give an exponent that is {self.exponent:+.3f} off,"
            f" and at the largest compute {self.params:.2f} times the surface's N*"
        )


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method's N* = prefactor x C^exponent; without numbers where the table does not allow it (`reason`)."""

    name: str
    method: str
    params_column: str
    """Which count of parameters is N."""
    exponent: float | None = None
    exponent_interval: Range | None = None
    prefactor: float | None = None
    """Parameters at C = 1 FLOP, far outside any data: read it together with the exponent."""
    prefactor_interval: Range | None = None
    largest: BestSize | None = None
    """N* at the table's largest compute."""
    points: list[PathPoint] = field(default_factory=list)
    """What the line goes through."""
    bias: Bias | None = None
    reason: str | None = None
    """Why there is no exponent."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PathDraws:
    """The estimate (first) and draws (the rest) of a line ln N* = intercept + slope x ln C."""

    slopes: Array
    """[1 + draws]."""
    intercepts: Array
    """ln G, N* in parameters and C in FLOP [1 + draws]."""

    def at(self, flops: float) -> Array:
        """Ln N* at one compute [1 + draws]."""
        return np.asarray(self.intercepts + self.slopes * np.log(flops))


def route_of(
    name: str,
    method: str,
    path: PathDraws,
    *,
    level: float,
    largest: float,
    params_column: str,
    points: Sequence[PathPoint] = (),
    bias: Bias | None = None,
) -> Route:
    """The route of a line through minima. Intervals are quantiles of its draws; `largest` is in FLOP."""
    ends = path.at(largest)
    return Route(
        name=name,
        method=method,
        params_column=params_column,
        exponent=float(path.slopes[0]),
        exponent_interval=quantile_range(path.slopes[1:], level),
        prefactor=float(np.exp(path.intercepts[0])),
        prefactor_interval=exp_range(quantile_range(path.intercepts[1:], level)),
        largest=BestSize(float(largest), float(np.exp(ends[0])), exp_range(quantile_range(ends[1:], level))),
        points=list(points),
        bias=bias,
    )


def points_of(compute: Array, sizes: Array) -> list[PathPoint]:
    """Points of ln C [c] and ln N* [c]."""
    return [PathPoint(float(np.exp(c)), float(np.exp(n))) for c, n in zip(compute, sizes, strict=True)]


def quantile_range(draws: Array, level: float) -> Range:
    """The middle `level` of draws [b]."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Range(float(low), float(high))


def exp_range(ends: Range) -> Range:
    """Both ends of an interval of logarithms, as the numbers themselves."""
    return Range(float(np.exp(ends.low)), float(np.exp(ends.high)))
