"""Regret: what is lost by another split than the best, in loss and in compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split import EXACT, best_losses, budgets_for, tokens_for


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
    """Its loss less the least loss of its compute, in nats per token."""
    regret_loss_interval: list[float] | None
    regret_flops: float | None
    """Compute that the best split would have saved at the same loss; None where no compute gives it."""
    regret_flops_interval: list[float] | None
    more_flops: float | None
    """Compute that its size needs beyond its own, trained longer, to reach that least loss; None if it never does."""


def regret(loss_model: LossModel, name: str, params: float, tokens: float, limits: Limits = NO_LIMITS) -> Regret:
    """The regret of training `params` parameters on `tokens` tokens, against the best split of the same compute.

    The best split keeps to `limits`; an alternative outside them can do better, and then has a negative regret.

    >>> from foretoken.plans.loss_model import published
    >>> found = regret(published("besiroglu_2024"), "8B", 8e9, 5.76e23 / 6 / 8e9)
    >>> f"{found.regret_loss:.3f} {found.regret_flops:.3g}"
    '0.050 4.55e+23'
    """
    (found,) = regrets(loss_model, {name: (params, tokens)}, limits)
    return found


def regrets(
    loss_model: LossModel, alternatives: dict[str, tuple[float, float]], limits: Limits = NO_LIMITS
) -> list[Regret]:
    """The regret of each alternative, {name: (params, tokens)}, with intervals from the source's draws.

    Raises ForetokenError for a size or length that is no positive number.
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
    few = loss_model.subsample()
    rows = zip(few.draws(), few.losses(params, tokens), strict=True)
    saved = flops - np.array([budgets_for(model, row, limits, near=near) for model, row in rows])
    saved[~np.isfinite(saved)] = np.nan
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
