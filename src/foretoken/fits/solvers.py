"""Many fits of one law at once: Huber on log loss by damped, reweighted least squares.

Shapes: b batch, r runs, p parameters, f features. Starts, bootstrap draws and held-out fits are all one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foretoken.laws.law import Array, Indices, Law

TOLERANCE = 1e-6
"""A fit of a batch rests once a step lowers its objective by less than this share."""
TIGHT = 1e-13
"""The same for one fit whose last digits count."""


@dataclass(frozen=True)
class Problem:
    """What is minimised, for every member of a batch.

    The sum over runs of weight x huber_delta(ln fitted - y), and over parameters of precision / 2 x (theta - mean)^2.
    """

    law: Law
    x: Array
    """[r, f], centred."""
    y: Array
    """ln loss [b, r]."""
    weight: Array
    """[b, r] or [1, r]; 0 holds a run out."""
    delta: float
    mean: Array
    """[b, p] or [1, p]."""
    precision: Array
    """[p]; 0 assumes nothing."""
    low: Array
    high: Array

    def objective(self, theta: Array) -> Array:
        """What is minimised, at theta [b, p]: [b]."""
        residual = self.law.log_loss(theta, self.x)[0] - self.y
        assumed = (self.precision * (theta - self.mean) ** 2).sum(axis=-1) / 2
        return np.asarray(assumed + (self.weight * huber(residual, self.delta)).sum(axis=-1))

    def part(self, keep: Indices) -> Problem:
        """The members of the batch that `keep` [b] picks."""

        def pick(values: Array) -> Array:
            return values if len(values) == 1 else values[keep]

        return replace(self, y=pick(self.y), weight=pick(self.weight), mean=pick(self.mean))


def huber(residual: Array, delta: float) -> Array:
    """r^2 / 2 near 0, delta (|r| - delta / 2) beyond delta (scipy.special.huber; Hoffmann et al. 2022, app. D.2)."""
    size = np.abs(residual)
    return np.where(size <= delta, residual**2 / 2, delta * (size - delta / 2))


def solve(problem: Problem, theta: Array, tolerance: float = TOLERANCE, steps: int = 400) -> tuple[Array, Array]:
    """Descend from theta [b, p]: (theta [b, p], objective [b]).

    Levenberg-Marquardt on the quadratic that touches the Huber sum from above (weights delta / |r|), so every
    accepted step descends; steps that do not are damped.
    """
    theta = np.clip(theta, problem.low, problem.high)
    value = problem.objective(theta)
    damping = np.full(len(theta), 1e-3)
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
    fitted, gradient = problem.law.log_loss(theta, problem.x)
    residual = fitted - problem.y
    weight = problem.weight * np.minimum(1.0, problem.delta / np.maximum(np.abs(residual), 1e-300))
    weighted = gradient * weight[..., None]
    slope = (weighted * residual[..., None]).sum(axis=1) + problem.precision * (theta - problem.mean)
    curvature = np.matmul(weighted.swapaxes(1, 2), gradient) + np.diag(problem.precision)
    diagonal = np.einsum("bpp->bp", curvature)
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    damped = curvature + np.einsum("bp,pq->bpq", damping[:, None] * diagonal + floor, np.eye(theta.shape[1]))
    step: Array = -np.linalg.solve(damped, slope[..., None])[..., 0]
    return np.clip(step, -2.0, 2.0)
