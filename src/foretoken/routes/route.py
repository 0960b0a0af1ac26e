"""Route: one way to the compute-optimal path N* = G C^a, with its doubts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from foretoken.fits.parts import Range, interval_about
from foretoken.laws.law import Array
from foretoken.routes.minima_line import MinimaLine

DRAWS = 400
"""Of every bootstrap behind a route, as many as those of `fit`: one exponent has one interval wherever it is asked."""
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
    """N* at the table's largest compute; where one budget alone has a minimum, at that budget."""
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
    """The estimate (first) and draws (the rest) of a line ln N* = intercept + slope x ln C; p and q are weights."""

    slopes: Array
    """[1 + draws]."""
    intercepts: Array
    """ln G, N* in parameters and C in FLOP [1 + draws]."""

    def value(self, p: float, q: float) -> float:
        """P x intercept + q x slope of the estimate."""
        return float(p * self.intercepts[0] + q * self.slopes[0])

    def interval(self, p: float, q: float, level: float) -> Range:
        """Of the same: the middle `level` of the draws, as far as the estimate where that lies outside them."""
        return interval_about(self.value(p, q), p * self.intercepts[1:] + q * self.slopes[1:], level)


def route_of(
    name: str,
    method: str,
    path: PathDraws | MinimaLine,
    *,
    level: float,
    largest: float,
    params_column: str,
    points: Sequence[PathPoint] = (),
    bias: Bias | None = None,
) -> Route:
    """The route of a line, with its intervals; `largest` is in FLOP."""
    at = float(np.log(largest))
    return Route(
        name=name,
        method=method,
        params_column=params_column,
        exponent=path.value(0, 1),
        exponent_interval=path.interval(0, 1, level),
        prefactor=float(np.exp(path.value(1, 0))),
        prefactor_interval=exp_range(path.interval(1, 0, level)),
        largest=BestSize(float(largest), float(np.exp(path.value(1, at))), exp_range(path.interval(1, at, level))),
        points=list(points),
        bias=bias,
    )


def points_of(flops: Iterable[float], sizes: Iterable[float]) -> list[PathPoint]:
    """Points of C in FLOP and ln N*."""
    return [PathPoint(float(c), float(np.exp(n))) for c, n in zip(flops, sizes, strict=True)]


def exp_range(ends: Range) -> Range:
    """Both ends of an interval of logarithms, as the numbers themselves."""
    return Range(float(np.exp(ends.low)), float(np.exp(ends.high)))
