"""Where two curves cross, with an interval: every compute at which neither is told to be the better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.laws.law import Array


@dataclass(frozen=True)
class Crossing:
    """The compute at which two recipes are equal; None for an end that lies beyond the computes looked at."""

    flops: float
    low: float | None
    high: float | None


def zeros(values: Array, grid: Array) -> list[float]:
    """Where values [r] over a rising grid [r] change their sign, by straight lines over the logarithm of the grid.

    >>> [round(place, 6) for place in zeros(np.array([1.0, -1.0, -2.0]), np.array([1.0, 100.0, 1e4]))]
    [10.0]
    """
    log = np.log(grid)
    changes = np.flatnonzero(np.signbit(values[1:]) != np.signbit(values[:-1]))
    shares = [values[i] / (values[i] - values[i + 1]) for i in changes]
    return [math.exp(log[i] + share * (log[i + 1] - log[i])) for i, share in zip(changes, shares, strict=True)]


def crossing(centre: Array, low: Array, high: Array, grid: Array, near: float) -> Crossing | None:
    """The crossing nearest to a compute, from a difference [r] over a grid of compute and the ends of its interval.

    Its interval inverts the test: at the true crossing the difference is 0, and the difference's interval at that
    compute holds it as often as its level says. So all computes around the crossing whose interval holds 0 are in it.
    """
    places = zeros(centre, grid)
    if not places:
        return None
    at = min(places, key=lambda place: abs(math.log(place / near)))
    # Ends of the set on which neither is the better: where low rises through 0, or high falls through it.
    ends = sorted([*zeros(low, grid), *zeros(high, grid)])
    below, above = [end for end in ends if end < at], [end for end in ends if end > at]
    return Crossing(at, below[-1] if below else None, above[0] if above else None)
