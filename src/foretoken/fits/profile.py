"""A profile: how well the best fit does when one parameter is held, and whether the data say what that parameter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretoken.fits.result import Range
from foretoken.laws.law import Array

WIDE = 4.0
"""An interval that is wider than this factor, or open at an end, identifies no positive parameter."""
NOTHING = 1e-15
"""A Huber sum per run that is rounding alone."""
FLAT = 0.0015
"""A rise of the objective by less than this share is no evidence."""


@dataclass(frozen=True)
class Profile:
    """The least objective with a parameter held at each value."""

    values: Array
    objective: Array
    interval: Range
    """Values whose objective is within the profile-likelihood limit of the least; an end of `values` means open."""
    flat: Range
    """Values whose objective is within `FLAT` of the least."""

    @property
    def identified(self) -> bool:
        """Whether the interval is closed on both sides and no wider than a factor of 4."""
        low, high = self.interval
        inside = low > self.values[0] * 1.001 and high < self.values[-1] * 0.999
        return bool(inside and high / low <= WIDE)


def profile(refit: Callable[[float], float], values: Array, runs: int, chi2: float = 2.706) -> Profile:
    """Hold a positive parameter at each of `values` (rising); `refit` fits the others and returns the Huber sum.

    With residuals far beyond Huber's delta the sum is that of absolute values. Under normal noise 4 / pi x runs x its
    relative rise is distributed as chi-square, so values belong to the interval as long as runs x ln(sum) is within
    pi / 4 x chi2 of its least (2.706 is 90 %). Heavier tails make it wider than needed; what residuals share, narrower.
    """
    floor = NOTHING * runs  # data without any noise
    objective = np.maximum([refit(float(value)) for value in values], floor)
    x, y = _with_least(np.log(values), np.log(objective))
    rise = y - y.min()
    return Profile(values, objective, _within(x, rise, np.pi / 4 * chi2 / runs), _within(x, rise, np.log(1 + FLAT)))


def _with_least(x: Array, y: Array) -> tuple[Array, Array]:
    """The curve with its least between the points: the vertex of a parabola through the three lowest neighbours."""
    lowest = int(y.argmin())
    if not 0 < lowest < len(y) - 1:
        return x, y
    near = slice(lowest - 1, lowest + 2)
    bend, slope, level = np.polyfit(x[near] - x[lowest], y[near], 2)
    if bend <= 0 or slope == 0:
        return x, y
    at = lowest + int(slope < 0)  # the vertex lies to the right of a falling slope
    return np.insert(x, at, x[lowest] - slope / (2 * bend)), np.insert(y, at, level - slope**2 / (4 * bend))


def _within(x: Array, rise: Array, limit: float) -> Range:
    """First and last value at which the rise crosses the limit; the ends of the values where it does not.

    Between points the root of the rise is taken as a line in x = ln value, as near the least of any smooth curve.
    """
    root, edge = np.sqrt(np.maximum(rise, 0.0)), np.sqrt(limit)
    inside = np.flatnonzero(rise <= limit)
    first, last = int(inside[0]), int(inside[-1])
    low = x[first] if first == 0 else np.interp(-edge, [-root[first - 1], -root[first]], [x[first - 1], x[first]])
    high = x[last] if last == len(x) - 1 else np.interp(edge, [root[last], root[last + 1]], [x[last], x[last + 1]])
    return Range(float(np.exp(low)), float(np.exp(high)))
