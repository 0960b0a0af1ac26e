"""Point estimates: the plain Huber fit, and the one that forecasts use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.solvers import TIGHT, Problem, huber, solve
from foretoken.laws.law import Array, Law

DELTA = 1e-3
"""Huber's delta of the plain fit, on log loss (Hoffmann et al. 2022)."""
ROBUST = 1.5
"""Huber's delta of the forecast fit, in standard deviations of a run."""
AGREE = 0.01
"""Starts agree within this share of the best objective and parameters."""


@dataclass(frozen=True)
class Sample:
    """A law and the data it is fitted to: x [r, f] as logarithms, centred at `origin` [f]; y [r] is ln loss."""

    law: Law
    x: Array
    origin: Array
    y: Array

    @classmethod
    def of(cls, law: Law, features: Array, loss: Array) -> Sample:
        """Centre the features; a law's parameters are far less entangled there."""
        origin = features.mean(axis=0)
        return cls(law, features - origin, origin, np.log(loss))

    def residual(self, theta: Array) -> Array:
        """Measured minus fitted ln loss [r]."""
        return np.asarray(self.y - self.law.log_loss(theta[None], self.x)[0][0])

    def plain_problem(self, y: Array, weight: Array) -> Problem:
        """Hoffmann's objective for a batch of data: y and weight [b, r] (or [1, r])."""
        nothing = np.zeros((1, len(self.law.parameters)))
        return Problem(self.law, self.x, y, weight, DELTA, nothing, nothing[0], *self.law.bounds(self.y))

    def pooled_problem(self, y: Array, weight: Array, sigma: float, mean: Array | None = None) -> Problem:
        """The forecast's objective: wider Huber at the noise sigma of a run, and the law's weak prior."""
        centre, scale = self.law.prior(self.y)
        mean = centre[None] if mean is None else mean
        low, high = self.law.bounds(self.y)
        return Problem(self.law, self.x, y, weight, ROBUST * sigma, mean, (sigma / scale) ** 2, low, high)


@dataclass(frozen=True)
class Plain:
    """Hoffmann's estimate, and how the starts fared."""

    theta: Array
    huber_sum: float
    tried: int
    agree: int


def estimate_plain(sample: Sample) -> Plain:
    """The best of many starts, to the last digits."""
    problem = sample.plain_problem(sample.y[None], np.ones((1, len(sample.y))))
    theta, value = solve(problem, sample.law.starts(sample.x, sample.y), steps=150)
    best, _ = solve(problem, theta[value.argmin()][None], TIGHT, steps=1500)
    huber_sum = float(huber(sample.residual(best[0]), DELTA).sum())
    near = (value <= huber_sum * (1 + AGREE) + 1e-15) & (np.abs(np.expm1(theta - best)).max(axis=1) <= AGREE)
    return Plain(best[0], huber_sum, len(theta), int(near.sum()))


def estimate_pooled(sample: Sample, start: Array) -> tuple[Array, float]:
    """The estimate that forecasts use, and sigma, the standard deviation of one run around it (on log loss).

    Huber at 1.5 sigma with the law's weak prior. Where the data say little the exponents stay near values that are
    known from many studies, instead of taking extreme ones that cancel inside the data and explode beyond them.
    """
    weight = np.ones((1, len(sample.y)))
    theta = start
    for _ in range(3):
        sigma = spread(sample.residual(theta), len(start))
        theta = solve(sample.pooled_problem(sample.y[None], weight, sigma), theta[None], 1e-9)[0][0]
    return theta, spread(sample.residual(theta), len(start))


def spread(residual: Array, parameters: int) -> float:
    """Standard deviation of residuals [r] after fitting so many parameters; outliers count as 3 deviations at most.

    The scale of what is an outlier is the median of the larger r - p sizes, since p parameters can make p vanish.
    """
    sizes = np.sort(np.abs(residual))
    scale = 1.4826 * float(np.median(sizes[min(parameters, len(sizes) - 2) :]))
    clipped = np.minimum(sizes, 3 * scale)
    return max(float(np.sqrt((clipped**2).sum() / max(1, len(sizes) - parameters))), 1e-5)
