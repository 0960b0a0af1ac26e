"""Profile likelihood: how much worse the best fit becomes when one parameter is held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.estimate import Sample, Unpenalised
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.profile import Profile, profile
from foretoken.fits.result import ParameterProfile
from foretoken.fits.solvers import Problem, solve
from foretoken.laws.law import Array

POINTS = 49
REACH = 3.0
"""A profile is looked at this far either way, on a log scale, but not beyond the bounds."""


def profiles(sample: Sample, best: Unpenalised, names: tuple[str, ...], level: float) -> dict[str, ParameterProfile]:
    """The profiles of these parameters under the unpenalised objective, by name.

    `rise` is the share by which the objective grows. An interval that is open ends where the profile was looked at.
    Raises ForetokenError for a parameter that the law does not have.
    """
    unknown = [name for name in names if name not in sample.law.parameters]
    if unknown:
        raise ForetokenError(
            f"{sample.law.name} has no parameter {unknown[0]!r}", expected=", ".join(sample.law.parameters)
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
    from scipy.stats import chi2

    index = sample.law.parameters.index(name)
    theta = sample.law.shift(best.theta, sample.origin)
    low, high = (bound + theta - best.theta for bound in sample.law.bounds(sample.y))
    steps = np.sinh(np.linspace(-REACH, REACH, POINTS)) * REACH / np.sinh(REACH)
    held = np.unique(np.clip(theta[index] + steps, low[index], high[index]))
    own = replace(sample, x=sample.x + sample.origin, origin=np.zeros_like(sample.origin))
    problem = own.unpenalised_problem(own.y[None], np.ones((1, len(own.y))), OBJECTIVES[best.objective], best.scale)
    free = np.arange(len(theta)) != index
    problem = replace(problem, precision=np.where(free, 0.0, np.inf), low=low - REACH * free, high=high + REACH * free)
    objective = _refitted(problem, theta, index, held)
    values = sample.law.values(np.where(free, theta, held[:, None]))[:, index]
    least = dict(zip(values.tolist(), objective.tolist(), strict=True))
    return profile(lambda value: least[value], values, int(sample.count.sum()), float(chi2.ppf(level, 1)))


def _refitted(problem: Problem, best: Array, index: int, held: Array) -> Array:
    """The least objective with one parameter held at each value, in one batch; begun at the best, then neighbours."""
    theta = np.repeat(best[None], len(held), axis=0)
    theta[:, index] = held
    theta, value = solve(problem, theta, 1e-8, steps=120)
    for step in (1, -1):
        near = np.roll(theta, step, axis=0)
        near[:, index] = held
        other, least = solve(problem, near, 1e-8, steps=120)
        better = least < value
        theta[better], value[better] = other[better], least[better]
    return value
