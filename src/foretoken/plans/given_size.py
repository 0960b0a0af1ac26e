"""Half of the decision made: a size whose length is open, or a length whose size is open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.errors import RefusedError
from foretoken.laws.law import Array
from foretoken.plans.limits import NO_LIMITS
from foretoken.plans.loss_model import LossModel
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import EXACT, best_losses, best_split, budgets_for, require_positive, search_split

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Lengths, or sizes, that are looked at: times the one that is best for compute."""


@dataclass(frozen=True)
class Choice:
    """One size and length, and what the best split of the same compute would give."""

    params: float
    tokens: float
    flops: float
    loss: float
    loss_interval: list[float] | None
    regret_loss: float
    """Its loss less the least loss of its compute."""
    regret_flops: float | None
    """Compute that the best split would have saved at the same loss; None where no compute gives it."""
    gain_of_doubling: float
    """Loss that doubling the open half would take off."""


@dataclass(frozen=True)
class Fixed:
    """What to do with a given size or a given number of tokens."""

    params: float
    tokens: float
    """The given half, and the other one that makes it the best split of some budget."""
    flops: float
    """That budget."""
    intervals: dict[str, list[float] | None]
    """Of the open half and of the budget."""
    choices: list[Choice]
    """Other lengths, or sizes, from fewer to more."""


def train_for_how_long(loss_model: LossModel, params: float) -> Fixed:
    """A given size: the tokens for which it is the best size of a budget, and what more of them give.

    No law says where to stop: a smaller loss always follows from more tokens. What it says is what they cost.

    >>> from foretoken.plans.loss_model import published
    >>> found = train_for_how_long(published("besiroglu_2024"), 7e9)
    >>> f"{found.tokens:.3g} {found.choices[5].regret_loss:.3f}"
    '1.44e+11 0.018'
    """
    require_positive("params", params)
    tokens = loss_model.over_draws(lambda model: best_tokens(model, params))
    return _fixed(loss_model, np.full(len(tokens), params), tokens, "tokens")


def how_large(loss_model: LossModel, tokens: float) -> Fixed:
    """A given number of tokens: the size for which it is the best length, and what larger ones give.

    >>> from foretoken.plans.loss_model import published
    >>> f"{how_large(published('besiroglu_2024'), 1.4e12).params:.3g}"
    '7.63e+10'
    """
    require_positive("tokens", tokens)
    params = loss_model.over_draws(lambda model: _partner(model, tokens, 1))
    return _fixed(loss_model, params, np.full(len(params), tokens), "params")


def best_tokens(model: LossModel, params: float) -> float:
    """Tokens for which `params` is the best size of a budget. Raises RefusedError where it is for none."""
    return _partner(model, params, 0)


def _partner(model: LossModel, given: float, half: int) -> float:
    """The other half of the split that has `given` params (half 0) or tokens (half 1)."""
    k = model.flops_per_param_token

    def excess(log_other: float) -> float:
        budget = np.array([k * given * math.exp(log_other)])
        return math.log(float(search_split(model, budget, NO_LIMITS, 0.0)[half][0]) / given)

    for span in (12.0, 24.0, 36.0):
        found = crossing(excess, math.log(given) - span, math.log(given) + span)
        if found is not None:
            best_split(model, np.array([k * given * math.exp(found)]))  # refused where it is an end of the search
            return math.exp(found)
    evidence = f"by {model.name} no budget has its best split at {given:.4g} {('parameters', 'tokens')[half]}"
    raise RefusedError("no_interior_minimum", evidence, "give another size or number of tokens")


def _fixed(loss_model: LossModel, params: Array, tokens: Array, open_half: str) -> Fixed:
    k = loss_model.flops_per_param_token
    intervals = {
        open_half: loss_model.interval(tokens if open_half == "tokens" else params),
        "flops": loss_model.interval(k * params * tokens),
    }
    size, length = float(params[0]), float(tokens[0])
    choices = other_halves(loss_model, size, length, open_half)
    return Fixed(size, length, k * size * length, intervals, choices)


def other_halves(loss_model: LossModel, params: float, tokens: float, open_half: str) -> list[Choice]:
    """Other tokens (`open_half` "tokens") or params for the given half, a quarter to 64 times those at hand.

    >>> from foretoken.plans.loss_model import published
    >>> rows = other_halves(published("besiroglu_2024"), 7e9, 1.44e11, "tokens")
    >>> [f"{row.tokens:.3g} {row.loss:.3f}" for row in rows[2:5]]
    ['1.44e+11 2.171', '2.88e+11 2.133', '5.76e+11 2.103']
    """
    sizes, lengths = (np.full(len(MULTIPLES), value) for value in (params, tokens))
    (lengths if open_half == "tokens" else sizes)[:] *= MULTIPLES
    model, flops = loss_model.point_estimate, loss_model.flops_per_param_token * sizes * lengths
    losses = loss_model.losses(sizes, lengths)
    doubled = model.loss(sizes, 2 * lengths) if open_half == "tokens" else model.loss(2 * sizes, lengths)
    lost = losses[0] - best_losses(model, flops)
    saved = flops - budgets_for(model, losses[0], near=flops)
    lost[np.abs(lost) < EXACT * losses[0]], saved[np.abs(saved) < EXACT * flops] = 0.0, 0.0
    return [
        Choice(
            float(sizes[j]),
            float(lengths[j]),
            float(flops[j]),
            float(losses[0, j]),
            loss_model.interval(losses[:, j]),
            float(lost[j]),
            float(saved[j]) if math.isfinite(saved[j]) else None,
            float(losses[0, j] - doubled[j]),
        )
        for j in range(len(sizes))
    ]
