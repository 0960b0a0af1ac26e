"""Likelihood: how much worse the best fit becomes when one parameter is held, and how likely a law makes the runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from foretoken.arguments import did_you_mean
from foretoken.errors import ForetokenError
from foretoken.fits.estimate import Sample, Unpenalised
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.parts import ParameterProfile, Range
from foretoken.fits.solvers import Common, Problem, solve
from foretoken.laws.law import Array

POINTS = 49
REACH = 3.0
"""A profile is looked at this far either way, on a log scale, but not beyond the bounds."""
WIDE = 4.0
"""An interval that is wider than this factor, or open at an end, identifies no positive parameter."""
NOTHING = 1e-15
"""A Huber sum per run that is rounding alone."""
FLAT = 0.0015
"""A rise of the objective by less than this share is no evidence."""


def profiles(sample: Sample, best: Unpenalised, names: tuple[str, ...], level: float) -> dict[str, ParameterProfile]:
    """The profiles of these parameters under the unpenalised objective, by name.

    `rise` is the share by which the objective grows. An interval that is open ends where the profile was looked at.
    Raises ForetokenError for a parameter that the law does not have.
    """
    unknown = [name for name in names if name not in sample.law.parameters]
    if unknown:
        raise ForetokenError(
            f"{sample.law.name} has no parameter {unknown[0]!r}",
            expected=", ".join(sample.law.parameters),
            cure=did_you_mean(unknown[0], sample.law.parameters),
        )
    signed = [name for name in names if name in sample.law.signed]
    if signed:
        raise ForetokenError(
            f"{signed[0]!r} may be of either sign, and profiles are of positive parameters",
            expected=", ".join(name for name in sample.law.parameters if name not in sample.law.signed) or "none",
        )
    profiled = {}
    for name in names:
        curve = _profile(sample, best, name, level)
        profiled[name] = ParameterProfile(
            values=curve.values.tolist(),
            rise=(curve.objective / curve.objective.min() - 1).tolist(),
            interval=curve.interval,
            identified=curve.identified,
        )
    return profiled


def _profile(sample: Sample, best: Unpenalised, name: str, level: float) -> Profile:
    """One profile, in the features' own units, where a scale A no longer moves with its exponent."""
    from scipy.special import gammaincinv

    index = sample.law.parameters.index(name)
    theta = sample.law.shift(best.theta, sample.origin)
    low, high = (bound + theta - best.theta for bound in sample.law.bounds(sample.y))
    # By sinh the values lie close together at the estimate, where a sharp profile ends, and far apart at the reach.
    steps = np.sinh(np.linspace(-REACH, REACH, POINTS)) * REACH / np.sinh(REACH)
    held = np.unique(np.clip(theta[index] + steps, low[index], high[index]))
    own = replace(sample, x=sample.x + sample.origin, origin=np.zeros_like(sample.origin))
    problem = own.unpenalised_problem(own.y[None], np.ones((1, len(own.y))), OBJECTIVES[best.objective], best.scale)
    free = np.arange(len(theta)) != index
    problem = replace(problem, precision=np.where(free, 0.0, np.inf), low=low - REACH * free, high=high + REACH * free)
    objective = _refitted(problem, theta, index, held)
    values = sample.law.values(np.where(free, theta, held[:, None]))[:, index]
    least = dict(zip(values.tolist(), objective.tolist(), strict=True))
    return profile(lambda value: least[value], values, int(sample.count.sum()), 2 * float(gammaincinv(0.5, level)))


def _refitted(problem: Problem, best: Array, index: int, held: Array) -> Array:
    """The least objective with one parameter held at each value: begun at the best, then at both neighbours' ends."""
    theta = np.repeat(best[None], len(held), axis=0)
    theta[:, index] = held
    theta, value = solve(problem, theta, 1e-8, steps=120)
    near = np.concatenate([np.roll(theta, step, axis=0) for step in (1, -1)])
    near[:, index] = np.tile(held, 2)
    others = solve(problem, near, 1e-8, steps=120)[1].reshape(2, -1)
    return np.asarray(np.minimum(value, others.min(axis=0)))


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


def log_evidence(sample: Sample, theta: Array, sigma: Array, common: Common | None) -> float:
    """Log probability of the runs under a law, its parameters averaged over their prior (Laplace's approximation).

    Of use between laws of the same runs, at the same noise sigma [r], that assume nothing of the same parameters.
    """
    # ln of the integral of exp(-objective) about its minimum theta: -objective - ln det(H) / 2, with H the Gauss-Newton
    # curvature, prior included; each proper prior adds -ln(scale). A parameter that the runs do not need costs what
    # they narrow it down from its prior (MacKay 2003, chapter 28).
    problem = sample.map_problem(sample.y[None], np.ones((1, len(sample.y))), sigma, common=common)
    residual, gradient = problem.fitted(theta[None])
    slopes = gradient[0] * np.sqrt(sample.count)[:, None] / sigma[:, None]
    scale = sample.prior()[1]
    curvature = slopes.T @ slopes + np.diag(scale**-2.0 + 1e-9)
    priors = np.log(scale[np.isfinite(scale)]).sum()
    return float(-problem.objective(theta[None], residual)[0] - np.linalg.slogdet(curvature)[1] / 2 - priors)
