"""The split that follows from what is given: a budget, a loss, a size, a number of tokens, or two of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError, RefusedError
from foretoken.laws.law import Array
from foretoken.plans.constraints import NO_LIMITS, Given
from foretoken.plans.loss_model import LossModel
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import (
    NO_DRAWS,
    ONE_RATIO,
    SPLITS_ALONE,
    Allocation,
    advised,
    allocate,
    along_ladder,
    cheapest,
    refuse_ladder,
)
from foretoken.plans.split_search import EXACT, best_losses, best_split, budgets_for, search_split, tokens_for
from foretoken.results import with_reasons_json

OpenHalf = Literal["params", "tokens"]
"""The half of a split that was not given."""
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

    def to_json(self, no_interval: str | None = None) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        no_compute = "no compute gives the best split this loss"
        return with_reasons_json(asdict(self), loss_interval=no_interval, regret_flops=no_compute)


@dataclass(frozen=True)
class GivenHalf:
    """What to do with a given size or a given number of tokens."""

    params: float
    tokens: float
    """The given half, and the other one that makes it the best split of some budget."""
    flops: float
    """That budget."""
    intervals: dict[str, list[float] | None]
    """Of the open half and of the budget."""
    choices: list[Choice]
    """Other lengths, or sizes, from fewer to more; none by a law that tells no loss."""


def given_params(loss_model: LossModel, params: float) -> GivenHalf:
    """A given size: the tokens for which it is the best size of a budget, and what more of them give.

    No law says where to stop: a smaller loss always follows from more tokens. What it says is what they cost.

    >>> from foretoken.plans.loss_model import published
    >>> half = given_params(published("besiroglu_2024"), 7e9)
    >>> f"{half.tokens:.3g} {half.choices[5].regret_loss:.3f}"
    '1.44e+11 0.018'
    """
    check_positive("params", params)
    tokens = loss_model.over_draws(lambda model: best_tokens(model, params))
    return _given_half(loss_model, np.full(len(tokens), params), tokens, "tokens")


def given_tokens(loss_model: LossModel, tokens: float) -> GivenHalf:
    """A given number of tokens: the size for which it is the best length, and what larger ones give.

    >>> from foretoken.plans.loss_model import published
    >>> f"{given_tokens(published('besiroglu_2024'), 1.4e12).params:.3g}"
    '7.63e+10'
    """
    check_positive("tokens", tokens)
    params = loss_model.over_draws(lambda model: _partner(model, tokens, 1))
    return _given_half(loss_model, params, np.full(len(params), tokens), "params")


def best_tokens(model: LossModel, params: float) -> float:
    """Tokens for which `params` is the best size of a budget. Raises RefusedError where it is for none."""
    return _partner(model, params, 0)


def _partner(model: LossModel, given: float, half: int) -> float:
    """The other half of the split that has `given` params (half 0) or tokens (half 1)."""
    k = model.flops_per_param_token

    # Best size and best length both grow with the budget, so ln (best half / given half) crosses 0 once.
    def excess(log_other: float) -> float:
        budget = k * given * math.exp(log_other)
        if not model.predicts_loss:
            return math.log(advised(model, budget)[half] / given)
        return math.log(float(search_split(model, np.array([budget]), NO_LIMITS, 0.0)[half][0]) / given)

    # e^12 = 1.6e5 holds every usual ratio of tokens to parameters; wider brackets cost steps and are for odd laws.
    for span in (12.0, 24.0, 36.0):
        log_other = crossing(excess, math.log(given) - span, math.log(given) + span)
        if log_other is not None and not model.predicts_loss:
            return math.exp(log_other)
        if log_other is not None:
            best_split(model, np.array([k * given * math.exp(log_other)]))  # refused where it is an end of the search
            return math.exp(log_other)
    evidence = f"by {model.name} no budget has its best split at {given:.4g} {('parameters', 'tokens')[half]}"
    raise RefusedError("no_interior_minimum", evidence, "give another size or number of tokens")


def _given_half(loss_model: LossModel, params: Array, tokens: Array, open_half: OpenHalf) -> GivenHalf:
    k = loss_model.flops_per_param_token
    intervals = {
        open_half: loss_model.interval(tokens if open_half == "tokens" else params),
        "flops": loss_model.interval(k * params * tokens),
    }
    size, length = float(params[0]), float(tokens[0])
    choices = other_halves(loss_model, size, length, open_half) if loss_model.predicts_loss else []
    return GivenHalf(size, length, k * size * length, intervals, choices)


def other_halves(loss_model: LossModel, params: float, tokens: float, open_half: OpenHalf) -> list[Choice]:
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
    # At the given half's own best split both are 0 but for the search, of either sign; a negative regret would mislead.
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


def solve_split(loss_model: LossModel, given: Given) -> Allocation:
    """The split that follows from what is given.

    A size alone is trained on the tokens that make it the best size of a budget; a number of tokens alone alike.
    Raises ForetokenError for a loss that nothing reaches, or a law that tells no loss where one is needed.
    """
    flops, loss, params, tokens = given.flops, given.loss, given.params, given.tokens
    if given.names == ("flops",):
        assert flops is not None
        return allocate(loss_model, flops, given.limits)
    if given.names == ("loss",):
        assert loss is not None
        return cheapest(loss_model, loss, given.limits)
    _require_within(given)
    if given.names == ("params",):
        assert params is not None
        if loss_model.ladder:
            return along_ladder(loss_model, params, loss_model.ladder.tokens(params))
        half = given_params(loss_model, params)
        return _allocation(loss_model, half.params, half.tokens, half.intervals)
    if given.names == ("tokens",):
        assert tokens is not None
        if loss_model.ladder:
            return along_ladder(loss_model, loss_model.ladder.params(tokens), tokens)
        half = given_tokens(loss_model, tokens)
        return _allocation(loss_model, half.params, half.tokens, half.intervals)
    return _of_two(loss_model, given)


def at_size(loss_model: LossModel, split: Allocation, params: float) -> Allocation:
    """The compute of a best split on another size beside it; the intervals of the best size and length stay.

    >>> from foretoken.plans.loss_model import published
    >>> best = allocate(published("besiroglu_2024"), 5.76e23)
    >>> beside = at_size(published("besiroglu_2024"), best, 6e10)
    >>> f"{beside.params:.3g} {beside.tokens:.3g} {beside.loss - best.loss:.4f}"
    '6e+10 1.6e+12 0.0003'
    """
    tokens = split.flops / (loss_model.flops_per_param_token * params)
    beside = _allocation(loss_model, params, tokens, {})
    return replace(beside, intervals=split.intervals | {"loss": beside.intervals["loss"]}, binding=split.binding)


def _require_within(given: Given) -> None:
    """A size or length that was given keeps to the limits that were given."""
    limits = given.limits
    if given.params is not None:
        inside = limits.min_params <= given.params <= limits.max_params
        if not inside or (limits.sizes and given.params not in limits.sizes):
            allowed = ", ".join(f"{size:.4g}" for size in limits.admissible)
            raise ForetokenError(
                "the given size does not keep to the limits",
                expected=allowed or f"{limits.min_params:.4g} to {limits.max_params:.4g} parameters",
                got=f"{given.params:.4g}",
                cure="give another size, or loosen the limits",
            )
    if given.tokens is not None and given.tokens > limits.max_tokens:
        raise ForetokenError(
            "the given tokens are more than the limit",
            expected=f"at most {limits.max_tokens:.4g}",
            got=f"{given.tokens:.4g}",
            cure="give fewer tokens, or allow more epochs",
        )


def _of_two(loss_model: LossModel, given: Given) -> Allocation:
    """Two of flops, loss, params and tokens fix the third and the fourth."""
    if given.loss is not None:
        refuse_ladder(loss_model)
    flops, loss, params, tokens = given.flops, given.loss, given.params, given.tokens
    per_token = loss_model.flops_per_param_token
    if params is not None and tokens is not None:
        return _allocation(loss_model, params, tokens, {})
    if flops is not None and params is not None:
        return _allocation(loss_model, params, flops / (per_token * params), {})
    if flops is not None and tokens is not None:
        return _allocation(loss_model, flops / (per_token * tokens), tokens, {})
    if loss is not None and params is not None:
        # A draw may never reach the loss: its tokens are infinite, and `interval` leaves it out.
        lengths = loss_model.over_draws(lambda model: tokens_for(model, params, loss))
        if not np.isfinite(lengths[0]):
            raise ForetokenError(f"no number of tokens takes {params:.4g} parameters to a loss of {loss:g}")
        return _allocation(loss_model, params, float(lengths[0]), {"tokens": loss_model.interval(lengths)})
    raise ForetokenError(
        "these two do not make a plan",
        expected="compute with params or tokens, params with tokens, or loss with params",
        got=" and ".join(given.names),
    )


def _allocation(
    loss_model: LossModel, params: float, tokens: float, intervals: dict[str, list[float] | None]
) -> Allocation:
    """The Allocation of a given size and length, with its loss where the law gives one."""
    flops = loss_model.flops_per_param_token * params * tokens
    losses = loss_model.losses(params, tokens) if loss_model.predicts_loss else None
    unique = loss_model.repetition.unique if loss_model.repetition else tokens
    none: dict[str, list[float] | None] = dict.fromkeys(("params", "tokens", "flops", "loss"))
    return Allocation(
        flops=flops,
        params=params,
        tokens=tokens,
        epochs=max(1.0, tokens / unique),
        loss=None if losses is None else float(losses[0]),
        loss_reason=None
        if losses is not None
        else ONE_RATIO
        if loss_model.ladder
        else f"{loss_model.name} {SPLITS_ALONE}",
        intervals=none | intervals | ({} if losses is None else {"loss": loss_model.interval(losses)}),
        level=loss_model.level,
        interval_reason=None if loss_model.has_draws else NO_DRAWS,
        extrapolation=loss_model.extrapolation(params, tokens, flops),
        binding=[],
        assumed=list(loss_model.assumed),
    )
