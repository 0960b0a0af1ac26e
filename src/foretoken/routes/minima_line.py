"""The line of ln N* over ln C through the minima of IsoFLOP curves, with intervals that allow for shared errors.

Shapes: c budgets, b bootstrap draws. What is asked of a line is p x intercept + q x slope: its exponent with p = 0 and
q = 1, ln N* at C with p = 1 and q = ln C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.parts import Range
from foretoken.laws.law import Array

UNSEEN = 1.25
"""Half-width over that of the runs' own noise where one or two budgets cannot show what their runs share.

In 16 public IsoFLOP tables (Hoffmann et al. 2022 as digitised, and 15 of Porian et al. 2024; 8 to 12 budgets each) the
vertices scatter about their line 1.25 times as widely as their bootstraps say (geometric mean; 0.8 to 2.1).
"""


@dataclass(frozen=True)
class MinimaLine:
    """A straight line through minima, by least squares."""

    compute: Array
    """ln C [c]."""
    minima: Array
    """ln N* [c]."""
    draws: Array
    """Bootstraps of each minimum within its own budget [c, b]."""
    freedom: int
    """Runs less fitted numbers, over all curves: how well their noise is known."""

    def value(self, p: float, q: float) -> float:
        """P x intercept + q x slope.

        >>> line = MinimaLine(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), np.zeros((3, 1)), 9)
        >>> round(line.value(0.0, 1.0), 9), round(line.value(1.0, 3.0), 9)
        (2.0, 7.0)
        """
        return float(self._weights(p, q) @ self.minima)

    def interval(self, p: float, q: float, level: float) -> Range:
        """Of p x intercept + q x slope; the value is its middle."""
        value, half = self.value(p, q), self._half_width(self._weights(p, q), level)
        return Range(value - half, value + half)

    def minimum_interval(self, budget: int, level: float) -> Range:
        """Of one budget's own ln N*."""
        half = self._half_width(np.eye(len(self.minima))[budget], level)
        return Range(float(self.minima[budget] - half), float(self.minima[budget] + half))

    def _weights(self, p: float, q: float) -> Array:
        """Of the minima, in p x intercept + q x slope [c]."""
        # With x from their mean m, slope = sum (x - m) y / S and height at m = mean y; intercept = mean y - m slope.
        middle = self.compute.mean()
        away = self.compute - middle
        return np.asarray(p / len(away) + (q - p * middle) * away / (away @ away))

    def _half_width(self, weights: Array, level: float) -> float:
        """Half the interval of weights @ minima: the wider of what runs tell and of what budgets tell."""
        from scipy.special import ndtri, stdtrit

        # From the middle of the draws' distances, so that minima which a bootstrap moves to one side (it adds noise to
        # noise, and an interpolant then finds other dips) widen the interval and do not carry it off its estimate.
        away = np.abs(weights @ (self.draws - self.minima[:, None]))
        tail = (1 + level) / 2
        runs = float(np.quantile(away, level) * stdtrit(self.freedom, tail) / ndtri(tail))
        if len(self.minima) < 3:
            return UNSEEN * runs
        return max(runs, float(stdtrit(len(self.minima) - 2, tail) * np.sqrt(self._variance(weights))))

    def _variance(self, weights: Array) -> float:
        """Of weights @ minima, from how the minima scatter about their line."""
        # A tilt of t of loss per e-fold, shared by a budget's runs, moves the vertex of loss q u^2 by t / (2 q), and no
        # residual of the parabola shows it: only the budgets together do. Least squares: s^2 sum w^2 with
        # s^2 = sum r^2 / (c - 2). Flat curves, those of large C, move the most; so beside it stands the sum of
        # w^2 r^2 / (1 - h) with leverages h (MacKinnon and White 1985, HC2), and the larger counts. Three minima have
        # one residual between them, which cannot tell who moved the more.
        away = self.compute - self.compute.mean()
        slope = away @ self.minima / (away @ away)
        residual = self.minima - self.minima.mean() - slope * away
        plain = float(residual @ residual / (len(away) - 2) * (weights @ weights))
        if len(away) == 3:
            return plain
        leverage = 1 / len(away) + away**2 / (away @ away)
        return max(plain, float(np.sum(weights**2 * residual**2 / (1 - leverage))))
