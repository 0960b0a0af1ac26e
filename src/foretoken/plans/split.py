"""Splitting a budget between size and tokens under limits, and the cheapest way to a loss. In FLOP of training.

The same search serves a whole life: `serving` FLOP per parameter are spent after training, so that a size leaves
(budget / params - serving) / flops_per_param_token tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.objectives import MAP
from foretoken.forecasts.predict import DISAGREEMENT
from foretoken.laws import find_law
from foretoken.laws.law import Array
from foretoken.plans.constraints import NO_LIMITS, SIZES, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.scalar_search import crossing, least

NO_DRAWS = "a published law has no draws of its parameters"
ONE_RATIO = "the fit's runs lie at one ratio of tokens to parameters: what another split would give is unknown"
NEAR, MOST = 1e20, math.log(1e60)
"""Where a budget is looked for first, in FLOP, and ln of where it is given up."""
EXACT = 1e-7
"""A share of a loss, or of a compute, below which a difference is what the search leaves over."""
ROUNDS, SLOPE_STEP, CLOSE = 200, 1e-3, 1e-9
"""Rounds of that search at most, the step of its slopes and its accuracy, in ln."""
SLOPE_ERROR = math.sqrt(2.0)
"""Standard deviation of the slope of ln loss over ln params at one budget, times the law's misfit per e-fold."""
EXPONENT_SD = 0.08
"""Standard deviation of the exponent of the best size over compute beyond the runs, for what no table shows of itself.

So widely the exponents of the published laws scatter: it is half of what their middle 68 % span. Simulated tables whose
law the fit does not know ask for as much (docs/plan.md)."""
NUDGE = 0.1
"""Step in ln params of the curvature of ln loss at a split."""
FLAT, WIDEST = 1e-9, math.log(SIZES[1] / SIZES[0])
"""The least curvature that is reckoned with, and the largest doubt: of all sizes."""


@dataclass(frozen=True)
class Allocation:
    """A size and a length for a budget."""

    flops: float
    """Training compute that it spends."""
    params: float
    tokens: float
    epochs: float
    """Times that each token is seen; 1 unless unique tokens were given."""
    loss: float | None
    loss_reason: str | None
    intervals: dict[str, list[float] | None]
    """Of params, tokens (the best of the budget: the draws', with the law's misfit, see `split_sd`), flops (each draw's
    own) and loss (of this very run, of the law and not of a new run)."""
    level: float
    interval_reason: str | None
    extrapolation: dict[str, float]
    binding: list[str]
    """The limits without which it would be another."""
    assumed: list[str]


def allocate(loss_model: LossModel, flops: float, limits: Limits = NO_LIMITS) -> Allocation:
    """The split of `flops` FLOP of training with the least loss.

    Raises ForetokenError for a law that does not split compute, RefusedError where the best size has no inside.

    >>> from foretoken.plans.loss_model import published
    >>> split = allocate(published("besiroglu_2024"), 5.76e23)
    >>> f"{split.params:.3g} {split.tokens:.3g} {split.loss:.3f}"
    '7.22e+10 1.33e+12 1.974'
    >>> allocate(published("besiroglu_2024"), 5.76e23, Limits(max_params=8e9)).binding
    ['max_params']
    """
    check_positive("compute", flops)
    if not loss_model.predicts_loss:
        return _split_only(loss_model, flops, limits)
    both = loss_model.over_draws(lambda model: np.concatenate(best_split(model, np.array([flops]), limits)))
    found = _allocation(loss_model, np.column_stack([both, np.full(len(both), float(flops))]), limits)
    return replace(found, intervals=found.intervals | split_intervals(loss_model, both, flops, limits))


def split_intervals(
    loss_model: LossModel, splits: Array, flops: float, limits: Limits = NO_LIMITS
) -> dict[str, list[float] | None]:
    """Intervals of `params` and `tokens` of the best split of `flops` FLOP, from the best splits [w, 2] by the draws.

    Under limits they are those without, moved within the limits.
    """
    if not loss_model.has_draws:
        return {"params": None, "tokens": None}
    budget, per_token = np.array([float(flops)]), loss_model.flops_per_param_token
    if limits != NO_LIMITS:
        free = loss_model.over_draws(lambda model: np.concatenate(search_split(model, budget, NO_LIMITS, 0.0)))
    else:
        free = splits
    ends = loss_model.wider_interval(free[:, 0], split_sd(loss_model, float(free[0, 0]), float(free[0, 1])))
    if ends is None:
        return {"params": None, "tokens": None}
    least_size, most_size = np.exp(limits.ends(budget, per_token, 0.0))
    sizes = np.clip(ends, least_size, most_size)
    if limits.sizes:
        allowed = np.array(limits.admissible)
        sizes = allowed[np.abs(np.log(allowed / sizes[:, None])).argmin(axis=1)]
    # Which of two sizes is nearer is not quite which is better, and an interval always holds its own split.
    sizes = np.array([min(sizes[0], splits[0, 0]), max(sizes[1], splits[0, 0])])
    return {"params": sizes.tolist(), "tokens": limits.tokens(sizes, budget, per_token, 0.0)[::-1].tolist()}


def cheapest(loss_model: LossModel, loss: float, limits: Limits = NO_LIMITS) -> Allocation:
    """The least training compute that reaches a loss, in nats per token, and its split.

    Raises RefusedError where no compute reaches it.

    >>> from foretoken.plans.loss_model import published
    >>> f"{cheapest(published('besiroglu_2024'), 2.0).flops:.3g}"
    '2.47e+23'
    """
    check_positive("loss", loss)
    if loss_model.ladder:
        raise RefusedError("collinear", ONE_RATIO, "give a budget, or a size and a length of the ladder")
    _require_loss(loss_model)

    def cheapest_of(model: LossModel) -> list[float]:
        budget = budget_for(model, loss, limits)
        params, tokens = best_split(model, np.array([budget]), limits)
        return [float(params[0]), float(tokens[0]), budget]

    splits = loss_model.over_draws(cheapest_of)
    found = _allocation(loss_model, splits, limits)
    # A size that limits fix is not in doubt; what is free is, by as much as for a budget.
    if not loss_model.has_draws or limits != NO_LIMITS:
        return found
    sd = split_sd(loss_model, found.params, found.tokens)
    wider = {name: loss_model.wider_interval(splits[:, k], sd) for k, name in enumerate(("params", "tokens"))}
    return replace(found, intervals=found.intervals | wider)


def split_sd(loss_model: LossModel, params: float, tokens: float) -> float:
    """Standard deviation of ln params of the best split of a budget by what a fit's law has wrong; 0 without a fit.

    An error in the slope of ln loss over ln params at one budget moves its least by error / curvature. The law's misfit
    is g per e-fold beyond the runs: two splits of a budget that are as far from each other as from the runs err
    independently, each by g x distance, so that the slope between them is off by sqrt(2) g at any distance. Curvature
    falls with compute, so the doubt grows.

    What a table cannot show is no part of g: exponents that change beyond it, or parameters that are counted otherwise
    than the law has them. They bend ln params of the best split over ln compute, by `EXPONENT_SD` x distance. Last, the
    laws of the fit do not agree.
    """
    fit, model = loss_model.fit, loss_model.point_estimate
    if fit is None:
        return 0.0
    flops = model.flops_per_param_token * params * tokens
    sizes = params * np.exp([-NUDGE, 0.0, NUDGE])
    with np.errstate(all="ignore"):
        less, here, more = np.log(model.loss(sizes, params * tokens / sizes))
    curvature = float(less - 2 * here + more) / NUDGE**2
    growth = fit.noise.misfit_growth / (1.0 if model.law.is_logarithmic else math.exp(here))
    # Also where the curvature is no number: nothing is then known of the best size.
    moved = SLOPE_ERROR * growth / curvature if curvature > FLAT else WIDEST
    distance = math.log(max(model.extrapolation(params, tokens, flops).values(), default=1.0))
    return min(WIDEST, math.hypot(moved, EXPONENT_SD * distance, _disagreement(loss_model, flops)))


def _disagreement(loss_model: LossModel, flops: float) -> float:
    """Standard deviation of ln params of the best split for what the laws of a fit do not agree on, about the heaviest.

    Of the budget and of the nearest within the runs the larger: straight lines in ln compute that cross beyond the runs
    do not agree there, they pass each other.
    """
    fit = loss_model.fit
    if fit is None or not fit.laws or loss_model.estimator != MAP:
        return 0.0
    budgets = np.array([min(max(flops, fit.ranges.flops.low), fit.ranges.flops.high), flops])
    sizes, weights = [], []
    for weighed in fit.laws:
        law = find_law(weighed.law)
        if law.optimum is not None:
            sizes.append(np.log(law.optimum(weighed.parameters, budgets, loss_model.flops_per_param_token)[0]))
            weights.append(weighed.weight)
    square = np.average((np.array(sizes) - sizes[0]) ** 2, axis=0, weights=weights)
    return DISAGREEMENT * math.sqrt(float(square.max()))


def best_split(
    model: LossModel, budgets: Array, limits: Limits = NO_LIMITS, serving: float = 0.0
) -> tuple[Array, Array]:
    """Params and tokens of least loss at each budget [r], by the point estimate of `model`.

    Raises RefusedError where the loss is still falling at the end of the search.
    """
    _require_loss(model)
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
    _require_loss(model)
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
        evidence = f"{model.name} reaches {ultimate:.4f} nats per token at best within these limits, not {loss:g}"
        raise RefusedError("loss_out_of_reach", evidence, "ask for a higher loss, or loosen the limits")
    return float(budget)


def tokens_for(model: LossModel, params: float, loss: float) -> float:
    """Tokens that bring `params` parameters to a loss; infinite where no number of tokens does."""

    def excess(log_tokens: float) -> float:
        return math.log(float(model.loss(params, math.exp(log_tokens))) / loss)

    log_tokens = crossing(excess, 0.0, MOST)
    return math.inf if log_tokens is None else math.exp(log_tokens)


def _require_loss(loss_model: LossModel) -> None:
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


def _split_only(loss_model: LossModel, flops: float, limits: Limits) -> Allocation:
    """The split of a law that tells no loss for a size and a length: its advice, or the ladder's own."""
    if loss_model.ladder and limits == NO_LIMITS and not loss_model.repetition:
        params, tokens = loss_model.ladder.split(flops, loss_model.flops_per_param_token)
        return along_ladder(loss_model, params, tokens)
    if loss_model.law.optimum is None or limits != NO_LIMITS or loss_model.repetition:
        _require_loss(loss_model)
    assert loss_model.law.optimum is not None
    params, tokens = map(float, loss_model.law.optimum(loss_model.parameters, flops, loss_model.flops_per_param_token))
    return Allocation(
        flops=float(flops),
        params=params,
        tokens=tokens,
        epochs=1.0,
        loss=None,
        loss_reason=f"{loss_model.name} says how to split compute, not what loss it gives",
        intervals=dict.fromkeys(("params", "tokens", "flops", "loss")),
        level=loss_model.level,
        interval_reason=NO_DRAWS,
        extrapolation=loss_model.extrapolation(params, tokens, flops),
        binding=[],
        assumed=list(loss_model.assumed),
    )


def along_ladder(loss_model: LossModel, params: float, tokens: float) -> Allocation:
    """A run of a ladder, whose loss `stated` tells: no split is searched, since the runs tell none."""
    flops = loss_model.flops_per_param_token * params * tokens
    return Allocation(
        flops=flops,
        params=params,
        tokens=tokens,
        epochs=1.0,
        loss=None,
        loss_reason=ONE_RATIO,
        intervals=dict.fromkeys(("params", "tokens", "flops", "loss")),
        level=loss_model.level,
        interval_reason=None if loss_model.has_draws else NO_DRAWS,
        extrapolation=loss_model.extrapolation(params, tokens, flops),
        binding=[],
        assumed=[*loss_model.assumed, "split as along the ladder: no other split was compared"],
    )


def _allocation(loss_model: LossModel, splits: Array, limits: Limits) -> Allocation:
    """The Allocation of params, tokens and budget by the point estimate and by every draw: splits [w, 3]."""
    params, tokens, flops = map(float, splits[0])
    spent = loss_model.flops_per_param_token * params * tokens
    losses = loss_model.losses(params, tokens)
    unique = loss_model.repetition.unique if loss_model.repetition else tokens
    names = ("params", "tokens", "flops")
    intervals = {name: loss_model.interval(splits[:, k]) for k, name in enumerate(names)}
    return Allocation(
        # Capped tokens may leave compute unspent; elsewhere `spent` is the budget but for rounding.
        flops=min(spent, flops) if limits.max_tokens < math.inf else flops,
        params=params,
        tokens=tokens,
        epochs=max(1.0, tokens / unique),
        loss=float(losses[0]),
        loss_reason=None,
        intervals=intervals | {"loss": loss_model.interval(losses)},
        level=loss_model.level,
        interval_reason=None if loss_model.has_draws else NO_DRAWS,
        extrapolation=loss_model.extrapolation(params, tokens, spent),
        binding=_binding(params, tokens, limits),
        assumed=list(loss_model.assumed),
    )


def stated(loss_model: LossModel, split: Allocation) -> Allocation:
    """The same split with the forecast of its loss by `predict`, where it is of a fit."""
    told = split.loss is not None or loss_model.ladder is not None
    forecast = loss_model.forecast(split.params, split.tokens, split.flops) if told else None
    if forecast is None:
        return split
    intervals = split.intervals | ({"loss": [forecast.low, forecast.high]} if loss_model.has_draws else {})
    return replace(split, loss=forecast.loss, loss_reason=None, intervals=intervals)


def _binding(params: float, tokens: float, limits: Limits) -> list[str]:
    room = {
        "min_params": params / limits.min_params,
        "max_params": limits.max_params / params,
        "max_tokens": limits.max_tokens / tokens,
    }
    return [name for name, factor in room.items() if factor < 1 + 1e-9] + (["sizes"] if limits.sizes else [])
