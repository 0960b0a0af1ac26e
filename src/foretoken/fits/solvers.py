"""Many fits of one law at once: a robust sum by damped, reweighted least squares.

Shapes: b batch, r runs, p parameters, f features. Starts, bootstrap draws and held-out fits are all one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretoken.fits.objectives import HUBER, Objective, huber
from foretoken.laws.law import Array, Indices, Law

__all__ = ["TIGHT", "TOLERANCE", "Problem", "huber", "solve"]

TOLERANCE = 1e-6
"""A fit of a batch rests once a step lowers its objective by less than this share."""
TIGHT = 1e-13
"""The same for one fit whose last digits count."""


@dataclass(frozen=True)
class Common:
    """An error that the runs of a cluster share, as a random effect.

    Errors of runs i, j of one cluster have the covariance sigma_i^2 [i = j] + sd^2. With w = 1 / sigma^2, residuals
    less the share 1 - (1 + sd^2 sum w)^(-1/2) of their cluster's weighted mean are independent, with their own sigma.
    """

    of_run: Indices
    """Number of the cluster of each run [r]."""
    mean: Array
    """[clusters, r]: what is taken off each run of a cluster, as weights of its runs' residuals."""

    @classmethod
    def of(cls, of_run: Indices, sd: float, sigma: Array, count: Array) -> Common:
        """From the standard deviations of the shared error and of the runs' own [r], and how many runs a row is."""
        weight = np.eye(int(of_run.max()) + 1)[:, of_run] * (count / sigma**2)
        total = weight.sum(axis=1, keepdims=True)
        return cls(of_run, (1 - (1 + sd**2 * total) ** -0.5) * weight / total)

    def taken_off(self, values: Array) -> Array:
        """Residuals [b, r], or gradients [b, r, p], less what is shared."""
        if values.ndim == 2:
            return np.asarray(values - (values @ self.mean.T)[:, self.of_run])
        return np.asarray(values - np.matmul(self.mean, values)[:, self.of_run])


@dataclass(frozen=True)
class Problem:
    """What is minimised, for every member of a batch.

    The sum over runs of weight x cost(fitted - y), and over parameters of precision / 2 x (theta - mean)^2.
    """

    law: Law
    x: Array
    """[r, f], centred."""
    y: Array
    """What is fitted, ln loss for most laws: [b, r]."""
    weight: Array
    """[b, r] or [1, r]; 0 holds a run out."""
    delta: Array | float
    """Scale of the objective: one for all runs, or [r]."""
    mean: Array
    """[b, p] or [1, p]."""
    precision: Array
    """[p]; 0 assumes nothing. Infinite precision holds a parameter at its start."""
    low: Array
    high: Array
    cost: Objective = HUBER
    common: Common | None = None
    """What runs share; their residuals are then made independent before they are counted."""

    def fitted(self, theta: Array) -> tuple[Array, Array]:
        """Fitted minus y [b, r], and the gradient [b, r, p]; both of the loss itself when the objective is raw."""
        value, gradient = self.law.value_and_grad(theta, self.x)
        if not self.cost.raw or not self.law.is_logarithmic:
            if self.common:
                return self.common.taken_off(value - self.y), self.common.taken_off(gradient)
            return value - self.y, gradient
        loss = np.exp(value)
        return loss - np.exp(self.y), gradient * loss[..., None]

    def assumed(self, theta: Array) -> Array:
        """The cost of departing from what is assumed: [b]."""
        finite = np.where(np.isfinite(self.precision), self.precision, 0.0)
        return np.asarray((finite * (theta - self.mean) ** 2).sum(axis=-1) / 2)

    def objective(self, theta: Array, residual: Array | None = None) -> Array:
        """What is minimised, at theta [b, p]: [b]. `residual` [b, r] is `fitted` there, where it is known."""
        residual = self.fitted(theta)[0] if residual is None else residual
        return np.asarray(self.assumed(theta) + (self.weight * self.cost.cost(residual, self.delta)).sum(axis=-1))

    def part(self, keep: Indices) -> Problem:
        """The members of the batch that `keep` [b] picks."""

        def pick(values: Array) -> Array:
            return values if len(values) == 1 else values[keep]

        return replace(self, y=pick(self.y), weight=pick(self.weight), mean=pick(self.mean))


def solve(problem: Problem, theta: Array, tolerance: float = TOLERANCE, steps: int = 400) -> tuple[Array, Array]:
    """Descend from theta [b, p]: (theta [b, p], objective [b]).

    Levenberg-Marquardt on the quadratic that touches a Huber sum from above (weights delta / |r|), so every
    accepted step descends; steps that do not are damped.
    """
    ends = np.clip(theta, problem.low, problem.high)
    now = _Position.at(problem, ends)
    least, damping = now.value.copy(), np.full(len(ends), 1e-3)
    # `live` members still move; one rests when a step gains too little, or when no step helps however damped.
    live = np.arange(len(ends))
    for _ in range(steps):
        moved = np.clip(now.theta + _step(problem, now, damping), problem.low, problem.high)
        after = _Position.at(problem, moved)
        better, gain = after.value < now.value, now.value - after.value
        resting = (gain <= tolerance * now.value) & (better | (damping > 1e6))
        damping = np.clip(damping * np.where(better, 0.2, 8.0), 1e-9, 1e8)
        now = after if better.all() else now.replaced(after, better)
        ends[live], least[live] = now.theta, now.value
        if resting.all():
            break
        if resting.any():
            moving = np.flatnonzero(~resting)
            live, damping, now, problem = live[moving], damping[moving], now.part(moving), problem.part(moving)
    return ends, least


@dataclass(frozen=True)
class _Position:
    """Where a batch stands, with all that a step needs, so that nothing is evaluated twice."""

    theta: Array
    residual: Array
    """[b, r]."""
    gradient: Array
    """[b, r, p]."""
    value: Array
    """The objective [b]."""

    @classmethod
    def at(cls, problem: Problem, theta: Array) -> _Position:
        residual, gradient = problem.fitted(theta)
        return cls(theta, residual, gradient, problem.objective(theta, residual))

    def part(self, keep: Indices) -> _Position:
        return _Position(self.theta[keep], self.residual[keep], self.gradient[keep], self.value[keep])

    def replaced(self, other: _Position, where: NDArray[np.bool_]) -> _Position:
        """The other position for some members [b]."""
        rows = where[:, None]
        return _Position(
            np.where(rows, other.theta, self.theta),
            np.where(rows, other.residual, self.residual),
            np.where(rows[..., None], other.gradient, self.gradient),
            np.where(where, other.value, self.value),
        )


def _step(problem: Problem, now: _Position, damping: Array) -> Array:
    """One damped step [b, p]."""
    # Minimising sum w r^2 / 2 with w = cost'(r) / r fixed at the present residuals has the same gradient as the robust
    # sum, and for Huber's cost lies above it everywhere (Huber 1981, section 7.8): going down there is going down here.
    weight = problem.weight * problem.cost.weight(now.residual, problem.delta)
    fixed = ~np.isfinite(problem.precision)
    precision = np.where(fixed, 0.0, problem.precision)
    gradient = np.where(fixed, 0.0, now.gradient) if fixed.any() else now.gradient
    weighted = (gradient * weight[..., None]).swapaxes(1, 2)
    slope = np.matmul(weighted, now.residual[..., None])[..., 0] + precision * (now.theta - problem.mean)
    damped = np.matmul(weighted, gradient)
    diagonal = np.einsum("bpp->bp", damped)  # a view: what is added to it is added to the curvature
    diagonal += precision
    # Marquardt's scaling: damping in proportion to the diagonal takes no notice of the parameters' units.
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    diagonal += damping[:, None] * diagonal + floor
    # A parameter that would leave through its bound stays there, and the others step as if it were held.
    stays = np.where(slope > 0, now.theta <= problem.low, now.theta >= problem.high)
    if stays.any():
        damped = np.where(stays[:, :, None] | stays[:, None], np.eye(stays.shape[1]), damped)
        slope = np.where(stays, 0.0, slope)
    step: Array = -np.linalg.solve(damped, slope[..., None])[..., 0]
    return np.clip(step, -2.0, 2.0)
