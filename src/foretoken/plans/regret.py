"""What another split than the best one loses: the band of sizes that are nearly as good, and the regret of a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.request import TOLERANCE
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split_search import EXACT, best_losses, best_split, budgets_for, tokens_for


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
    """The band at `flops` FLOP, by the point estimate; its edges are exact, or a limit.

    Raises ForetokenError for a tolerance that is not above 0, or a law that gives no loss.

    >>> from foretoken.plans.loss_model import published
    >>> near = band(published("besiroglu_2024"), 5.76e23)
    >>> [f"{params:.3g}" for params in near.params]
    ['4.63e+10', '1.13e+11']
    """
    check_positive("tolerance", tolerance)
    model, budget = loss_model.point_estimate, np.array([flops])
    per_token = model.flops_per_param_token
    params, tokens = best_split(model, budget, limits)
    most = float(model.loss(params, tokens)[0]) * (1 + tolerance)

    def excess(log_params: float) -> float:
        size = np.exp([log_params])
        return float(model.loss(size, limits.tokens(size, budget, per_token, 0.0))[0]) / most - 1

    # Along the budget the loss falls to the best size and rises beyond it, so each side crosses the tolerance once.
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


def _edge(place: float | None, end: float) -> float:
    return end if place is None else place


@dataclass(frozen=True)
class Regret:
    """What is lost by another split than the best of the same budget."""

    name: str
    params: float
    tokens: float
    flops: float
    """Training compute of the alternative."""
    loss: float
    regret_loss: float
    """Its loss less the least loss of its compute."""
    regret_loss_interval: list[float] | None
    regret_flops: float | None
    """Compute that the best split would have saved at the same loss; None where no compute gives it."""
    regret_flops_interval: list[float] | None
    more_flops: float | None
    """Compute that its size needs beyond its own, trained longer, to reach that least loss; None if it never does."""

    @property
    def flops_reason(self) -> str | None:
        """Why `regret_flops` is None."""
        if self.regret_flops is not None:
            return None
        return (
            f"within the limits no compute gives the best split so {'low' if self.regret_loss < 0 else 'large'} a loss"
        )


def regret(loss_model: LossModel, name: str, params: float, tokens: float, limits: Limits = NO_LIMITS) -> Regret:
    """The regret of training `params` parameters on `tokens` tokens, against the best split of the same compute.

    The best split keeps to `limits`; an alternative outside them can do better, and then has a negative regret.

    >>> from foretoken.plans.loss_model import published
    >>> eight = regret(published("besiroglu_2024"), "8B", 8e9, 5.76e23 / 6 / 8e9)
    >>> f"{eight.regret_loss:.3f} {eight.regret_flops:.3g}"
    '0.050 4.55e+23'
    """
    (only,) = regrets(loss_model, {name: (params, tokens)}, limits)
    return only


def regrets(
    loss_model: LossModel, alternatives: dict[str, tuple[float, float]], limits: Limits = NO_LIMITS
) -> list[Regret]:
    """The regret of each alternative, {name: (params, tokens)}, with intervals from the draws.

    With the alternative's loss L = loss(N, D) at C = k N D, and best(C) the least loss of a budget, the regret in loss
    is L - best(C), and that in FLOP is C - best^-1(L): what the best split saves at the same loss. Draw by draw both
    terms take the same parameters, so that what they share cancels in the interval. Raises ForetokenError for a size
    or length that is no positive number.
    """
    for name, values in alternatives.items():
        for value in values:
            if not (math.isfinite(value) and value > 0):
                raise ForetokenError(f"the alternative {name!r} has no positive size and length", got=repr(values))
    if not alternatives:
        return []
    params, tokens = np.array(list(alternatives.values()), dtype=np.float64).T
    flops = loss_model.flops_per_param_token * params * tokens
    losses = loss_model.losses(params, tokens)
    best = loss_model.over_draws(lambda model: best_losses(model, flops, limits))
    first = budgets_for(loss_model.point_estimate, losses[0], limits, near=flops)
    near = np.where(np.isfinite(first), first, flops)
    # Inverting best(C) is a search in every draw, so few draws are taken; the losses above are cheap in all of them.
    few = loss_model.subsample()
    rows = zip(few.draws(), few.losses(params, tokens), strict=True)
    saved = flops - np.array([budgets_for(model, row, limits, near=near) for model, row in rows])
    saved[~np.isfinite(saved)] = np.nan
    # Below this the search itself is not exact: a plan that is its own alternative loses nothing, not 1e17 FLOP.
    saved[np.abs(saved) < EXACT * flops] = 0.0
    return [
        Regret(
            name,
            float(params[k]),
            float(tokens[k]),
            float(flops[k]),
            float(losses[0, k]),
            float(losses[0, k] - best[0, k]),
            loss_model.interval(losses[:, k] - best[:, k]),
            _known(saved[0, k]),
            loss_model.interval(saved[:, k]),
            _more(loss_model.point_estimate, params[k], tokens[k], float(best[0, k])),
        )
        for k, name in enumerate(alternatives)
    ]


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _more(model: LossModel, params: float, tokens: float, loss: float) -> float | None:
    needed = tokens_for(model, params, loss)
    return float(model.flops_per_param_token * params * (needed - tokens)) if math.isfinite(needed) else None
