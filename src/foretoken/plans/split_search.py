"""The search for the split of a budget with the least loss, and for the budget of a loss, by one law under limits.

The same search serves a whole life: `serving` FLOP per parameter are spent after training, so that a size leaves
(budget / params - serving) / flops_per_param_token tokens.
"""

from __future__ import annotations

import math

import numpy as np

from foretoken.errors import ForetokenError, RefusedError
from foretoken.laws.law import Array
from foretoken.plans.constraints import NO_LIMITS, SIZES, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.scalar_search import crossing, least

NEAR, MOST = 1e20, math.log(1e60)
"""Where a budget is looked for first, in FLOP, and ln of where it is given up."""
EXACT = 1e-7
"""A share of a loss, or of a compute, below which a difference is what the search leaves over."""
ROUNDS, SLOPE_STEP, CLOSE = 200, 1e-3, 1e-9
"""Rounds of that search at most, the step of its slopes and its accuracy, in ln."""


def best_split(
    model: LossModel, budgets: Array, limits: Limits = NO_LIMITS, serving: float = 0.0
) -> tuple[Array, Array]:
    """Params and tokens of least loss at each budget [r], by the point estimate of `model`.

    Raises RefusedError where the loss is still falling at the end of the search.
    """
    require_loss(model)
    params, tokens = search_split(model, budgets, limits, serving)
    if (tokens < 1).any() or (params < 0.999 * limits.min_params).any():
        raise ForetokenError(
            "the budget does not train the smallest size that is allowed",
            got=f"{float(budgets.min()):.4g} FLOP for {limits.admissible[0] if limits.sizes else limits.min_params:.4g}"
            " parameters or more",
        )
    if not limits.sizes:
        _require_inside(model, np.log(params), budgets, limits, serving)
    return params, tokens


def search_split(model: LossModel, budgets: Array, limits: Limits, serving: float) -> tuple[Array, Array]:
    """The same wherever it is, an end of the search included; in closed form where there is one."""
    per_token = model.flops_per_param_token
    # The closed form counts training alone, on fresh tokens and without limits; everything else is searched.
    if model.law.optimum and not (model.other_features or model.repetition or serving) and limits == NO_LIMITS:
        params, tokens = model.law.optimum(model.parameters, budgets, per_token)
        return np.asarray(params, np.float64), np.asarray(tokens, np.float64)
    column = budgets[:, None]

    def losses(log_params: Array) -> Array:
        params = np.exp(log_params)
        return model.loss(params, limits.tokens(params, column, per_token, serving))

    if limits.sizes:
        sizes = np.array(limits.admissible)
        with np.errstate(all="ignore"):
            of_sizes = losses(np.log(np.broadcast_to(sizes, (len(budgets), len(sizes)))))
        params = sizes[np.where(np.isfinite(of_sizes), of_sizes, np.inf).argmin(axis=1)]
    else:
        params = np.asarray(np.exp(least(losses, *limits.ends(budgets, per_token, serving))), np.float64)
    return params, limits.tokens(params, budgets, per_token, serving)


def best_losses(model: LossModel, budgets: Array, limits: Limits = NO_LIMITS, serving: float = 0.0) -> Array:
    """Least loss at each budget [r], by the point estimate of `model`."""
    return np.asarray(model.loss(*search_split(model, budgets, limits, serving)))


def budgets_for(
    model: LossModel, losses: Array, limits: Limits = NO_LIMITS, serving: float = 0.0, near: Array | float = NEAR
) -> Array:
    """The budgets [r] whose least losses are `losses` [r]: training, and serving where that is counted.

    Newton's method on logarithms from `near`, halving where it leaves the bracket; infinite where no budget up to
    1e60 FLOP reaches the loss.
    """
    require_loss(model)
    goal, budget = np.log(losses), np.log(np.broadcast_to(near, losses.shape)).astype(np.float64)
    # The bracket is in ln FLOP, from a single FLOP to what no one will ever have.
    low, high = np.zeros_like(budget), np.full_like(budget, MOST)
    for _ in range(ROUNDS):
        here, slope = _falling(model, np.exp(budget), limits, serving)
        with np.errstate(all="ignore"):
            step = (goal - here) / slope
        # Not `here > goal`: where the loss is NaN, the budget is too small for any size, and counts as short too.
        short = ~(here <= goal)
        low, high = np.where(short, budget, low), np.where(short, high, budget)
        inside = np.isfinite(step) & (low <= budget + step) & (budget + step <= high)
        moved = np.where(np.abs(step) < CLOSE, budget, np.where(inside, budget + step, 0.5 * (low + high)))
        if (np.abs(moved - budget) < CLOSE).all():
            break
        budget = moved
    return np.where(np.abs(here - goal) < 1e-9, np.exp(budget), np.inf)


def _falling(model: LossModel, budgets: Array, limits: Limits, serving: float) -> tuple[Array, Array]:
    """Logarithm of the least loss at each budget [r], and its slope in ln of the budget.

    By the envelope theorem it does not matter at the best split, to first order, what is bought with more compute:
    tokens here, or parameters where there are no more tokens.
    """
    params, tokens = search_split(model, budgets, limits, serving)
    more = limits.tokens(params, budgets * math.exp(SLOPE_STEP), model.flops_per_param_token, serving)
    larger = np.where(more > tokens, params, params * math.exp(SLOPE_STEP))
    with np.errstate(all="ignore"):
        here, ahead = np.log(model.loss(np.stack([params, larger]), np.stack([tokens, more])))
        return here, (ahead - here) / SLOPE_STEP


def budget_for(
    model: LossModel, loss: float, limits: Limits = NO_LIMITS, serving: float = 0.0, near: float = NEAR
) -> float:
    """As `budgets_for`, for one loss. Raises RefusedError where no budget reaches it."""
    (budget,) = budgets_for(model, np.array([loss]), limits, serving, near=near + serving * limits.min_params)
    if not math.isfinite(budget):
        ultimate = float(best_losses(model, np.exp([MOST]), limits, serving)[0])
        evidence = f"{model.name} reaches {ultimate:.4f} {model.loss_unit} at best within these limits, not {loss:g}"
        raise RefusedError("loss_out_of_reach", evidence, "ask for a higher loss, or loosen the limits")
    return float(budget)


def tokens_for(model: LossModel, params: float, loss: float) -> float:
    """Tokens that bring `params` parameters to a loss; infinite where no number of tokens does."""

    def excess(log_tokens: float) -> float:
        return math.log(float(model.loss(params, math.exp(log_tokens))) / loss)

    log_tokens = crossing(excess, 0.0, MOST)
    return math.inf if log_tokens is None else math.exp(log_tokens)


def require_loss(loss_model: LossModel) -> None:
    """Raise ForetokenError for a law that tells no loss for a size and a length."""
    if not loss_model.predicts_loss:
        raise ForetokenError(
            f"the law {loss_model.law.name!r} does not give a loss for size and tokens",
            expected="a law that reads params and tokens, for example besiroglu_2024",
            got=", ".join(loss_model.law.features),
            cure="foretoken compare shows the splits that such laws give",
        )


def _require_inside(model: LossModel, log_params: Array, budgets: Array, limits: Limits, serving: float) -> None:
    """Refuse a best size at an end that only the search set: a hundred parameters, or a single token."""
    low, high = limits.ends(budgets, model.flops_per_param_token, serving)
    at_low = (log_params - low < 1e-3) & (np.exp(low) < SIZES[0] * 1.001) & (limits.min_params == SIZES[0])
    searched = (np.exp(high) < limits.max_params * 0.999) | (limits.max_params == SIZES[1])
    lost = at_low | ((high - log_params < 1e-3) & searched)
    if lost.any():
        evidence = f"the loss of {model.name} at {float(budgets[lost][0]):.4g} FLOP falls to the edge of the search"
        raise RefusedError("no_interior_minimum", evidence, "give another budget, or a law that falls in both N and D")
