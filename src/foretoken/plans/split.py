"""Splitting a budget between size and tokens under limits, and the cheapest way to a loss. In FLOP of training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import RefusedError
from foretoken.fits.ladder_line import COLLINEAR
from foretoken.fits.objectives import MAP
from foretoken.forecasts.predict import DISAGREEMENT
from foretoken.laws import find_law
from foretoken.laws.law import Array
from foretoken.plans.constraints import NO_LIMITS, SIZES, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split_search import best_split, budget_for, require_loss, search_split

NO_DRAWS = "a published law has no draws of its parameters"
ONE_RATIO = "the fit's runs lie at one ratio of tokens to parameters: what another split would give is unknown"
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

SPLITS_ALONE = "says how to split compute, not what loss it gives"


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
    """The least training compute that reaches a loss, in the unit of `loss_model`, and its split.

    Raises RefusedError where no compute reaches it.

    >>> from foretoken.plans.loss_model import published
    >>> f"{cheapest(published('besiroglu_2024'), 2.0).flops:.3g}"
    '2.47e+23'
    """
    check_positive("loss", loss)
    refuse_ladder(loss_model)
    require_loss(loss_model)

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


def refuse_ladder(loss_model: LossModel) -> None:
    """Raise RefusedError where the runs lie at one ratio: which split reaches a loss most cheaply they do not tell."""
    if loss_model.ladder:
        raise RefusedError(COLLINEAR, ONE_RATIO, "give a budget, or a size and a length of the ladder")


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
            sizes.append(np.log(law.best_split(weighed.parameters, budgets, loss_model.flops_per_param_token)[0]))
            weights.append(weighed.weight)
    square = np.average((np.array(sizes) - sizes[0]) ** 2, axis=0, weights=weights)
    return DISAGREEMENT * math.sqrt(float(square.max()))


def advised(loss_model: LossModel, flops: float) -> tuple[float, float]:
    """Size and tokens that a law without a loss advises for a budget. Raises ForetokenError where it advises none.

    >>> from foretoken.plans.loss_model import published
    >>> params, tokens = advised(published("hoffmann_2022_approach1"), 5.76e23)
    >>> f"{params:.2g} {tokens:.2g}"
    '6.7e+10 1.4e+12'
    """
    optimum = loss_model.law.optimum
    if optimum is None or loss_model.repetition:
        require_loss(loss_model)
    params, tokens = loss_model.law.best_split(loss_model.parameters, flops, loss_model.flops_per_param_token)
    return float(params), float(tokens)


def _split_only(loss_model: LossModel, flops: float, limits: Limits) -> Allocation:
    """The split of a law that tells no loss for a size and a length: its advice, or the ladder's own."""
    if loss_model.ladder and limits == NO_LIMITS and not loss_model.repetition:
        params, tokens = loss_model.ladder.split(flops, loss_model.flops_per_param_token)
        return along_ladder(loss_model, params, tokens)
    if limits != NO_LIMITS:
        require_loss(loss_model)
    params, tokens = advised(loss_model, flops)
    return Allocation(
        flops=float(flops),
        params=params,
        tokens=tokens,
        epochs=1.0,
        loss=None,
        loss_reason=f"{loss_model.name} {SPLITS_ALONE}",
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
