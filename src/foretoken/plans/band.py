"""The band: the sizes and token counts that are nearly as good as the best split of a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import best_split, require_positive

TOLERANCE = 0.001
"""A thousandth of the loss: less than two runs with different seeds usually differ."""


@dataclass(frozen=True)
class Band:
    """Sizes whose loss at a budget is within `tolerance` of the least."""

    tolerance: float
    """A share of the least loss."""
    params: list[float]
    """Smallest and largest."""
    tokens: list[float]
    """Fewest and most, for the largest and the smallest size."""
    loss: float
    """The loss at the edges."""
    sizes: list[float]
    """The admissible sizes inside, where only some are."""


def band(loss_model: LossModel, flops: float, tolerance: float = TOLERANCE, limits: Limits = NO_LIMITS) -> Band:
    """The band at `flops` FLOP, by the best parameters; its edges are exact, or a limit.

    Raises ForetokenError for a tolerance that is not above 0, or a law that gives no loss.

    >>> from foretoken.plans.loss_model import published
    >>> found = band(published("besiroglu_2024"), 5.76e23)
    >>> [f"{params:.3g}" for params in found.params]
    ['4.63e+10', '1.13e+11']
    """
    require_positive("tolerance", tolerance)
    model, budget = loss_model.point_estimate, np.array([flops])
    per_token = model.flops_per_param_token
    params, tokens = best_split(model, budget, limits)
    most = float(model.loss(params, tokens)[0]) * (1 + tolerance)

    def excess(log_params: float) -> float:
        size = np.exp([log_params])
        return float(model.loss(size, limits.tokens(size, budget, per_token, 0.0))[0]) / most - 1

    low, high = (float(end[0]) for end in limits.ends(budget, per_token, 0.0))
    best = math.log(float(params[0]))
    if limits.sizes:
        sizes = [size for size in limits.admissible if excess(math.log(size)) <= 0]
        edges = [sizes[0], sizes[-1]]
    else:
        sizes = []
        edges = [
            math.exp(_edge(crossing(excess, min(low, best), best), low)),
            math.exp(_edge(crossing(excess, best, max(high, best)), high)),
        ]
    lengths = limits.tokens(np.array(edges), budget, per_token, 0.0)
    return Band(tolerance, edges, [float(lengths[1]), float(lengths[0])], most, sizes)


def _edge(found: float | None, end: float) -> float:
    return end if found is None else found
