"""Many fits of one law at once: a robust sum by damped, reweighted least squares.

Shapes: b batch, r runs, p parameters, f features. Starts, bootstrap draws and held-out fits are all one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foretoken.fits.objectives import HUBER, Objective, huber
from foretoken.laws.law import Array, Indices, Law

__all__ = ["TIGHT", "TOLERANCE", "Problem", "huber", "solve"]

TOLERANCE = 1e-6
"""A fit of a batch rests once a step lowers its objective by less than this share."""
TIGHT = 1e-13
"""The same for one fit whose last digits count."""


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

    def fitted(self, theta: Array) -> tuple[Array, Array]:
        """Fitted minus y [b, r], and the gradient [b, r, p]; both of the loss itself when the objective is raw."""
        value, gradient = self.law.value_and_grad(theta, self.x)
        if not self.cost.raw or not self.law.is_logarithmic:
            return value - self.y, gradient
        loss = np.exp(value)
        return loss - np.exp(self.y), gradient * loss[..., None]

    def assumed(self, theta: Array) -> Array:
        """The cost of departing from what is assumed: [b]."""
        finite = np.where(np.isfinite(self.precision), self.precision, 0.0)
        return np.asarray((finite * (theta - self.mean) ** 2).sum(axis=-1) / 2)

    def objective(self, theta: Array) -> Array:
        """What is minimised, at theta [b, p]: [b]."""
        residual = self.fitted(theta)[0]
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
    theta = np.clip(theta, problem.low, problem.high)
    value = problem.objective(theta)
    damping = np.full(len(theta), 1e-3)
    # `live` members still move; one rests when a step gains too little, or when no step helps however damped.
    live = np.arange(len(theta))
    for _ in range(steps):
        now = problem.part(live)
        step = _step(now, theta[live], damping[live])
        moved = np.clip(theta[live] + step, problem.low, problem.high)
        after = now.objective(moved)
        better = after < value[live]
        gain = value[live] - after
        resting = (gain <= tolerance * value[live]) & (better | (damping[live] > 1e6))
        theta[live[better]], value[live[better]] = moved[better], after[better]
        damping[live] = np.clip(damping[live] * np.where(better, 0.2, 8.0), 1e-9, 1e8)
        live = live[~resting]
        if not len(live):
            break
    return theta, value


def _step(problem: Problem, theta: Array, damping: Array) -> Array:
    """One damped step [b, p]."""
    # Minimising sum w r^2 / 2 with w = cost'(r) / r fixed at the present residuals has the same gradient as the robust
    # sum, and for Huber's cost lies above it everywhere (Huber 1981, section 7.8): going down there is going down here.
    residual, gradient = problem.fitted(theta)
    weight = problem.weight * problem.cost.weight(residual, problem.delta)
    fixed = ~np.isfinite(problem.precision)
    precision = np.where(fixed, 0.0, problem.precision)
    gradient = np.where(fixed, 0.0, gradient) if fixed.any() else gradient
    weighted = gradient * weight[..., None]
    slope = (weighted * residual[..., None]).sum(axis=1) + precision * (theta - problem.mean)
    curvature = np.matmul(weighted.swapaxes(1, 2), gradient) + np.diag(precision)
    diagonal = np.einsum("bpp->bp", curvature)
    # Marquardt's scaling: damping in proportion to the diagonal takes no notice of the parameters' units.
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    damped = curvature + np.einsum("bp,pq->bpq", damping[:, None] * diagonal + floor, np.eye(theta.shape[1]))
    step: Array = -np.linalg.solve(damped, slope[..., None])[..., 0]
    return np.clip(step, -2.0, 2.0)
