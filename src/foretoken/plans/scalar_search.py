"""Minima and crossings of smooth functions on an interval, with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from foretoken.laws.law import Array

POINTS, ROUNDS = 65, 3
"""Every round looks at so many points and keeps the two steps about the best."""
CLOSE, TINY = 1e-12, 1e-14
"""A place, as a share of itself, and a value that are as good as found. Values are ratios less 1, or logarithms."""


def least(values: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where each row has its least value, between low [r] and high [r].

    `values` maps places [r, points] to values of the same shape; what is not finite counts as infinite. Meant for
    functions with one minimum; the last step is a parabola through the three best points.

    >>> least(lambda u: (u - np.array([[1.0], [9.0]])) ** 2, np.zeros(2), np.full(2, 5.0)).round(9).tolist()
    [1.0, 5.0]
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    rows = np.arange(len(low))
    for _ in range(ROUNDS):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, POINTS)
        with np.errstate(all="ignore"):
            found = values(grid)
        found = np.where(np.isfinite(found), found, np.inf)
        best = found.argmin(axis=1)
        before, after = np.maximum(best - 1, 0), np.minimum(best + 1, POINTS - 1)
        # The minimum of a function with one minimum lies between the neighbours of the best point: 32 times narrower.
        low, high = grid[rows, before], grid[rows, after]
    left, middle, right = (found[rows, place] for place in (before, best, after))
    with np.errstate(all="ignore"):
        # The vertex of a parabola through three equally spaced points, from the middle one.
        turn = 0.25 * (high - low) * (left - right) / (left - 2 * middle + right)
    inside = (before < best) & (best < after) & np.isfinite(turn) & (np.abs(turn) <= 0.5 * (high - low))
    return np.asarray(grid[rows, best] + np.where(inside, turn, 0.0))


def crossing(function: Callable[[float], float], low: float, high: float) -> float | None:
    """Where a continuous function changes sign between low and high; None where its ends have the same sign.

    False position, halved where that stalls (Illinois).

    >>> round(crossing(lambda u: u**3 - 8, 0.0, 5.0), 9), crossing(lambda u: u, 1.0, 2.0)
    (2.0, None)
    """
    # The end that stays twice gets half its value (Illinois): false position alone creeps from one side.
    ends, kept = [function(low), function(high)], 0
    if ends[0] == 0 or ends[1] == 0:
        return low if ends[0] == 0 else high
    if not (ends[0] < 0 < ends[1] or ends[1] < 0 < ends[0]):
        return None
    for step in range(300):
        if high - low <= CLOSE * max(1.0, abs(low), abs(high)):
            break
        slope = (high - low) / (ends[1] - ends[0])
        middle = low - slope * ends[0]
        # Every fourth step halves, which bounds the steps where the function is very flat on one side.
        if step % 4 == 3 or not (math.isfinite(middle) and low < middle < high):
            middle = 0.5 * (low + high)
        value = function(middle)
        if abs(value) <= TINY:
            return middle
        side = 0 if (value < 0) == (ends[0] < 0) else 1
        low, high = (middle, high) if side == 0 else (low, middle)
        ends[side] = value
        if kept == side + 1:
            ends[1 - side] *= 0.5
        kept = side + 1
    return 0.5 * (low + high)
