"""Where a fit of planned runs would land, for each law that may be true: its weak assumptions pull it off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretoken.ladders.prior import Belief
from foretoken.ladders.target import Asked
from foretoken.laws.law import Array

STEPS, LONGEST = 6, 1.0
"""Gauss-Newton steps, and the longest of them in one parameter's logarithm."""


def half_way(belief: Belief, asked: Asked, x: Array, variance: Array) -> Belief:
    """The belief with its gradients half way between each law and where a fit of it would land.

    A pull may be as large as the parameter; the gradient at the law then misjudges it by a third, the one in the middle
    of the way is exact to second order. Runs at ln N and ln D, x [r, 2], with the variance of their ln loss [r].
    """
    law, x = belief.law, x - belief.origin
    real, middle, theta = law.log_loss(belief.theta, x)[0], belief.theta + asked.astray, belief.theta
    for _ in range(STEPS):
        fitted, gradient = law.log_loss(theta, x)
        weighted = np.swapaxes(gradient / variance[:, None], 1, 2)
        slope = weighted @ (real - fitted)[..., None] + (asked.prior * (middle - theta))[..., None]
        step = np.linalg.solve(weighted @ gradient + np.diag(asked.prior), slope)[..., 0]
        theta = theta + np.clip(step, -LONGEST, LONGEST)
    return replace(belief, near=(belief.theta + theta) / 2)
