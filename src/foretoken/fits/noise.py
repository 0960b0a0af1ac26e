"""How far runs lie from a law: less, the more tokens they saw.

Warm-up, few steps and a schedule that is off leave their marks on short runs, so the variance of a run about the law
falls with its tokens, about like 1 / tokens in most tables. A table's own residuals say how fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.laws.law import Array

SLOPE, SLOPE_SD = 0.5, 1.0
"""What is assumed of the power with which the variance falls, before a table says more."""
FREEDOM = 5.0
"""Student's t for the residuals, so that no outlier decides."""
STEEPEST = 3.0
"""Longer runs are never taken to be noisier; beyond a power of 3 the long ones would count alone."""
LEAST = 1e-5


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviation of one run about the law, on log loss: sd x (tokens / most tokens)^(-tokens_power / 2)."""

    sd: float
    """At the most tokens of the table, and beyond."""
    tokens_power: float

    def at(self, effort: Array) -> Array:
        """Standard deviation of runs with this ln(tokens / most tokens) [r]."""
        return np.asarray(self.sd * np.exp(-0.5 * self.tokens_power * np.minimum(effort, 0.0)))


def estimate_noise(residual: Array, effort: Array, parameters: int, count: Array | None = None) -> NoiseModel:
    """The noise that explains the residuals [r] of a fit of so many parameters.

    Newton's method on a Student-t likelihood of ln variance = level - slope x effort, with a weak assumption on the
    slope. `count` [r] says how many runs a row stands for.
    """
    weight = np.ones_like(residual) if count is None else count
    runs = len(residual)
    square = np.maximum(residual**2 * runs / max(1, runs - parameters), LEAST**2)
    design = np.stack([np.ones(runs), -effort], axis=1)
    mean, precision = np.array([0.0, SLOPE]), np.diag([1e-9, SLOPE_SD**-2.0])
    # 0.45: the median of a squared standard normal is 0.455 of its variance.
    level = np.array([np.log(np.median(square * np.exp(SLOPE * effort)) / 0.45), SLOPE])
    for _ in range(60):
        # Student-t for z = residual / sd, in s = ln variance: with ratio z^2 and share (f + 1) z^2 / (f + z^2), the log
        # likelihood's slope in s is (share - 1) / 2 and its curvature -share f / (2 (f + z^2)). The floor on the latter
        # keeps Newton's steps finite where residuals vanish.
        ratio = square / np.exp(design @ level)
        share = (FREEDOM + 1) / (FREEDOM + ratio) * ratio
        slope = 0.5 * design.T @ (weight * (share - 1)) - precision @ (level - mean)
        bend = np.maximum(share * FREEDOM / (FREEDOM + ratio), 0.25) * weight
        step = np.linalg.solve(0.5 * design.T @ (bend[:, None] * design) + precision, slope)
        level = level + np.clip(step, -1.0, 1.0)
        level[1] = np.clip(level[1], 0.0, STEEPEST)
        if abs(step[0]) < 1e-6:
            break
    shape = NoiseModel(max(float(np.exp(level[0] / 2)), LEAST), float(level[1]))
    return NoiseModel(max(shape.sd * spread(residual / shape.at(effort), parameters), LEAST), shape.tokens_power)


def spread(residual: Array, parameters: int) -> float:
    """Standard deviation of residuals [r] after fitting so many parameters; outliers count as 3 deviations at most.

    The scale of what is an outlier is the median of the larger r - p sizes, since p parameters can make p vanish.
    """
    sizes = np.sort(np.abs(residual))
    # 1.4826 is 1 / 0.6745: half of a normal sample lies within 0.6745 standard deviations.
    scale = 1.4826 * float(np.median(sizes[min(parameters, len(sizes) - 2) :]))
    clipped = np.minimum(sizes, 3 * scale)
    return max(float(np.sqrt((clipped**2).sum() / max(1, len(sizes) - parameters))), LEAST)
