"""The curves behind a plan's figures: losses around the plan's budget, in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.laws.law import Array
from foretoken.plans.lifetime import SERVING
from foretoken.plans.loss_model import LossModel
from foretoken.plans.result import Plan
from foretoken.plans.split_search import best_losses, best_split, budgets_for, tokens_for
from foretoken.reports.plan_limits import limited, limits_of, single_pass

POINTS = 56
"""Of one curve."""
FAN = 24
"""Draws of the law that a figure shows: enough to see their spread, few enough to tell them apart."""
REACH = 30.0
"""Sizes farther than this factor from the plan's are in the table alone."""
FAMILY = (0.01, 0.1, 1 / 3, 1.0, 10.0)
"""Budgets of the IsoFLOP family, in budgets of the plan."""
ARM = 12.0
"""How far each of its curves goes to both sides of its minimum, as a factor."""


@dataclass(frozen=True, eq=False)
class SizeCurve:
    """Loss over size at the plan's budget."""

    params: Array
    tokens: Array
    losses: Array
    """[n], by the best parameters."""
    fan: Array
    """[draws, n], each moved so that its least loss is the best one's."""
    best: tuple[float, float]
    """Size and loss of the best split, whatever the plan had to keep to."""


@dataclass(frozen=True, eq=False)
class Isoflop:
    """Loss over size at one budget, with its minimum."""

    flops: float
    params: Array
    losses: Array
    best: tuple[float, float, float]
    """Size, tokens and loss."""
    allowed: tuple[float, float] | None
    """Size and loss of the best split that the plan's limits allow; None without limits, or where they allow none."""
    once: float | None
    """Loss where each distinct token is seen once; None where they are not limited."""
    beyond: bool
    """Whether the budget is larger than that of every run behind the law."""


@dataclass(frozen=True, eq=False)
class Frontier:
    """The least loss that each compute buys."""

    flops: Array
    losses: Array
    low: Array | None
    high: Array | None
    """The law's interval at these splits, where there are draws."""
    within: Array | None
    """The least losses that the plan's limits allow, where there are any."""
    known: float | None
    """Largest compute of the runs behind the law."""


@dataclass(frozen=True, eq=False)
class LifeCurves:
    """Training and serving at the plan's loss, in FLOP, against the tokens served."""

    demand: Array
    chosen: Array
    optimal: Array
    smallest: Array | None
    """Of the smallest size in the band, trained to the same loss."""
    smallest_params: float | None
    pays_after: float | None
    """Tokens served beyond which that size is the cheaper one."""


def shown_sizes(plan: Plan) -> list[float]:
    """The plan's size, its band and interval, and the alternatives that are near enough to be drawn."""
    sizes = [plan.params, *(choice.params for choice in plan.alternatives)]
    sizes += [*(plan.band.params if plan.band else ()), *(plan.interval.params or ())]
    return [size for size in sizes if plan.params / REACH <= size <= plan.params * REACH]


def size_curve(plan: Plan, source: LossModel) -> SizeCurve:
    """Loss over size at the plan's compute, with the draws of the source."""
    sizes = shown_sizes(plan)
    params = np.geomspace(min(*sizes, plan.params / 4) / 1.3, max(*sizes, plan.params * 4) * 1.3, POINTS)
    tokens = plan.flops / source.flops_per_param_token / params
    raised = _raised(plan, source)
    every, (size, least) = raised * source.losses(params, tokens), _best(source, plan)
    best = (size, raised * least)
    # A draw that is NaN anywhere on the curve has no least loss to be moved by.
    drawn = every[1:][np.isfinite(every[1:]).all(axis=1)]
    drawn = drawn[:: max(1, len(drawn) // FAN)][:FAN]
    # A plan hangs on where the minimum lies, not on how low: draws that share one least loss show that alone.
    moved = drawn - (drawn.min(axis=1, keepdims=True) if len(drawn) else 0.0) + best[1]
    return SizeCurve(params, tokens, every[0], moved, best)


def _raised(plan: Plan, source: LossModel) -> float:
    """The stated loss of the plan over that of the law: several laws are weighed in the one, and curves are of one."""
    law = float(source.loss(plan.params, plan.tokens)) if plan.loss is not None else math.nan
    ratio = (plan.loss or math.nan) / law
    return ratio if math.isfinite(ratio) else 1.0


def _best(source: LossModel, plan: Plan) -> tuple[float, float]:
    try:
        params, tokens = best_split(source.point_estimate, np.array([plan.flops]))
    except ForetokenError:
        return plan.params, float(source.loss(plan.params, plan.tokens))
    return float(params[0]), float(source.loss(params, tokens)[0])


def isoflops(plan: Plan, source: LossModel) -> list[Isoflop]:
    """One curve for each budget of FAMILY; a budget at which the law has no inner minimum is left out."""
    model, most = source.point_estimate, source.ranges.get("flops", (0.0, math.inf))[1]
    raised, curves = _raised(plan, source), []
    for share in FAMILY:
        flops = share * plan.flops
        try:
            size, length = (float(half[0]) for half in best_split(model, np.array([flops])))
        except ForetokenError:
            continue
        params = size * np.geomspace(1 / ARM, ARM, POINTS)
        losses = raised * model.loss(params, flops / model.flops_per_param_token / params)
        least = (size, length, raised * float(model.loss(size, length)))
        once = single_pass(plan, flops)
        seen = None if once is None else raised * float(model.loss(once, flops / model.flops_per_param_token / once))
        within = _allowed(plan, model, flops)
        allowed = within and (within[0], raised * within[1])
        curves.append(Isoflop(flops, params, losses, least, allowed, seen, flops > most))
    return curves


def _allowed(plan: Plan, model: LossModel, flops: float) -> tuple[float, float] | None:
    if not limited(plan):
        return None
    try:
        params, tokens = (float(half[0]) for half in best_split(model, np.array([flops]), limits_of(plan)))
    except ForetokenError:
        return None
    return params, float(model.loss(params, tokens))


def frontier(plan: Plan, source: LossModel) -> Frontier:
    """Least loss over compute about the plan's, without the plan's limits and within them.

    Raises ForetokenError where the law has no inner minimum there.
    """
    # The edge of the data is added as a point, so that the solid and the dashed part of the line meet there.
    flops, known = plan.flops * np.geomspace(FAMILY[0], FAMILY[-1], 31), source.ranges.get("flops", (None, None))[1]
    if known is not None and flops[0] < known < flops[-1]:
        flops = np.sort(np.append(flops, known))
    params, tokens = best_split(source.point_estimate, flops)
    raised = _raised(plan, source)
    every = raised * source.losses(params, tokens)
    ends = [source.interval(every[:, column]) for column in range(len(flops))]
    both = np.array(ends, dtype=np.float64).T if all(end is not None for end in ends) else (None, None)
    within = raised * best_losses(source.point_estimate, flops, limits_of(plan)) if limited(plan) else None
    return Frontier(flops, every[0], both[0], both[1], within, known)


def loss_at(plan: Plan, source: LossModel, share: float) -> float:
    """Least loss at a share of the plan's compute."""
    return _raised(plan, source) * float(best_losses(source.point_estimate, np.array([share * plan.flops]))[0])


def life_curves(plan: Plan, source: LossModel, served: float | None = None) -> LifeCurves:
    """Whole-life compute of the plan's size, the cheapest size at each demand, and the smallest in the band.

    All are trained to the plan's loss; `served` tokens lie inside the demands looked at.
    """
    assert plan.loss is not None
    model, middle = source.point_estimate, served or 10 * plan.tokens
    # From where serving hardly counts to where it is nearly all of the cost.
    demand = np.geomspace(min(0.1 * plan.tokens, middle / 100), max(100 * plan.tokens, middle * 30), 19)
    chosen = plan.flops + SERVING * plan.params * demand
    # As the law says it: what is stated may be raised above it.
    goal = plan.loss / _raised(plan, source)
    target_loss = np.array([goal])
    optimal = np.array(
        [
            budgets_for(model, target_loss, serving=SERVING * float(served_tokens), near=near)[0]
            for served_tokens, near in zip(demand, chosen, strict=True)
        ]
    )
    # Infinity is "no size reaches this loss"; NaN leaves a gap in the line, where infinity would end the axis.
    optimal[~np.isfinite(optimal)] = np.nan
    small, size, pays = _smallest(plan, model, demand, goal)
    return LifeCurves(demand, chosen, optimal, small, size, pays)


def _smallest(
    plan: Plan, model: LossModel, demand: Array, goal: float
) -> tuple[Array | None, float | None, float | None]:
    """The smallest size in the band, trained to the loss `goal` of the law."""
    if plan.band is None or plan.band.params[0] >= plan.params:
        return None, None, None
    size = plan.band.params[0]
    training = model.flops_per_param_token * size * tokens_for(model, size, goal)
    if not math.isfinite(training):
        return None, None, None
    # T' + s n' X = T + s n X, solved for the tokens X served: training T, size n, s FLOP per parameter and token.
    pays = max(0.0, (training - plan.flops) / (SERVING * (plan.params - size)))
    return training + SERVING * size * demand, size, pays
