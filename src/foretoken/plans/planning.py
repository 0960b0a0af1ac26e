"""The plan of a request: every part is computed, then the plan is built in one call."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from foretoken.arguments import takes
from foretoken.compute.layout import Layout
from foretoken.compute.price import Cost, cost, training_hours
from foretoken.errors import ForetokenError
from foretoken.fits.check import Check
from foretoken.plans.advice import alternatives
from foretoken.plans.constraints import NO_LIMITS
from foretoken.plans.experts import Mixtures, compare_experts
from foretoken.plans.given_size import Choice, OpenHalf, at_size, other_halves, solve_split
from foretoken.plans.inputs import PlanInputs, read_inputs
from foretoken.plans.lifecycle_cost import WholeLife, whole_life
from foretoken.plans.loss_model import LossModel
from foretoken.plans.provenance import Sources, checks_of, sources_of
from foretoken.plans.recipe import Built, Recipe, build, serve_request
from foretoken.plans.regret import Band, Regret, band, regrets
from foretoken.plans.repetition import Repeated, repeated
from foretoken.plans.request import PlanRequest
from foretoken.plans.result import Alternative, Extrapolation, Intervals, Plan, PlanCost, PlanLimits
from foretoken.plans.split import Allocation, stated
from foretoken.runs.loss_units import NATS_PER_TOKEN

if TYPE_CHECKING:
    from foretoken.abilities.downstream_result import TaskForecast

SMALLEST = 1e4
"""A best model of fewer parameters than this is no language model."""
FEWEST_TOKENS_PER_PARAM = 1e-3
"""Nor is one that is trained on fewer tokens for each parameter."""
STATED_ROUNDS, STATED_CLOSE = 8, 1e-6
"""Rounds in which a given loss is met, and how closely; the ratio of the two losses hardly changes between them."""


@takes(PlanRequest)
def plan(request: PlanRequest) -> Plan:
    """The plan for a budget, or for a loss, a size or a number of tokens: what to train, its price, doubt and regret.

    Raises ForetokenError where a text is no quantity or nothing meets what is given.

    >>> decision = plan("5.76e23", law="besiroglu_2024")
    >>> round(decision.tokens / decision.params, 1)
    18.4
    """
    return make_plan(read_inputs(request))


@takes(PlanRequest)
def plan_with_losses(request: PlanRequest) -> tuple[Plan, LossModel]:
    """As `plan`, with the model of its losses, which the page of a plan draws.

    >>> decision, losses = plan_with_losses("5.76e23", law="besiroglu_2024")
    >>> abs(float(losses.loss(decision.params, decision.tokens)) - decision.loss) < 1e-9
    True
    """
    inputs = read_inputs(request)
    return make_plan(inputs), inputs.loss_model


def make_plan(inputs: PlanInputs) -> Plan:
    """The plan of inputs that are all in numbers. Raises ForetokenError for what nothing meets."""
    given, training = inputs.given, inputs.training
    split, forecast, built = _decide(inputs)
    # The band comes before the alternatives, whose ends it names, and the price before all that is told in dollars.
    near, band_reason = _band(inputs, split)
    price = cost(training, training_hours(training, split.flops), inputs.count)
    repetition, repetition_reason = _repetition(inputs, split)
    life, life_reason = _whole_life(inputs, split, price)
    experts, experts_reason = _experts(inputs, split, built.recipe)
    choices, choices_reason = _choices(inputs, split)
    scores, score_checks = _scores(inputs, split)
    return Plan(
        params=split.params,
        tokens=split.tokens,
        flops=split.flops,
        loss=forecast.loss,
        loss_reason=forecast.loss_reason,
        interval=_intervals(forecast),
        level=split.level,
        band=near,
        band_reason=band_reason,
        alternatives=_alternatives(inputs, split, forecast, near, price),
        recipe=built.recipe,
        recipe_reason=built.recipe_reason,
        layout=built.layout,
        layout_reason=built.layout_reason,
        serving=None if built.recipe is None else serve_request(built.recipe, inputs.serving),
        serving_reason=built.recipe_reason,
        cost=PlanCost.of(price, training, inputs.count),
        extrapolation=_extrapolation(split),
        sources=_sources(inputs, life),
        checks=[*checks_of(inputs.loss_model, split), *_deadline_checks(inputs, split, built.layout), *score_checks],
        assumed=[*split.assumed, *inputs.assumed, *_unit_words(inputs)],
        budget="" if given.budget is None else str(given.budget),
        binding=[*split.binding, *inputs.binding],
        limits=PlanLimits.of(given.limits, inputs.loss_model),
        epochs=split.epochs,
        repetition=repetition,
        repetition_reason=repetition_reason,
        whole_life=life,
        whole_life_reason=life_reason,
        experts=experts,
        experts_reason=experts_reason,
        choices=choices,
        choices_reason=choices_reason,
        loss_unit=inputs.loss_model.loss_unit,
        scores=scores,
    )


def _scores(inputs: PlanInputs, split: Allocation) -> tuple[tuple[TaskForecast, ...], list[Check]]:
    """The scores to expect of the run, with their doubts; none where no table of scores was given."""
    if inputs.scores is None:
        return (), []
    from foretoken.abilities.downstream import downstream  # a plan without scores must not wait for it

    found = downstream(inputs.scores, at=(split.params, split.tokens), tasks=inputs.tasks, level=split.level)
    return found.tasks, [check for check in found.checks if check.is_doubt]


def _decide(inputs: PlanInputs) -> tuple[Allocation, Allocation, Built]:
    """The split, the same as it is stated, and the network that carries it; of experts the split of that network."""
    split, forecast = _solve(inputs)
    _require_sensible(split)
    built = _build(inputs, split)
    if inputs.experts and (sized := _at_network(inputs, split, built)):
        split, built = sized
        forecast = stated(inputs.loss_model, split)
    return split, forecast, built


def _solve(inputs: PlanInputs) -> tuple[Allocation, Allocation]:
    """The split, as the law that is searched has it, and as it is stated: with the loss and interval of `predict`.

    Which split is best the law of the fit says, which is the heaviest of several. What its loss will be the average of
    all says, and its interval knows the noise of a run and the law's misfit too. A loss that was given is the stated
    one: the law is asked for the loss that is stated so.
    """
    given = inputs.given
    split = solve_split(inputs.loss_model, given)
    forecast = stated(inputs.loss_model, split)
    for _ in range(0 if given.loss is None else STATED_ROUNDS):
        assert given.loss is not None
        assert split.loss is not None
        assert forecast.loss is not None
        if abs(forecast.loss / given.loss - 1) < STATED_CLOSE:
            break
        split = solve_split(inputs.loss_model, replace(given, loss=given.loss * split.loss / forecast.loss))
        forecast = stated(inputs.loss_model, split)
    return split, forecast


def _of_tokens(inputs: PlanInputs, split: Allocation) -> Allocation:
    """The split as laws of the batch may read it: those that read a loss are of nats per token alone."""
    return split if inputs.loss_model.loss_unit == NATS_PER_TOKEN else replace(split, loss=None)


def _unit_words(inputs: PlanInputs) -> list[str]:
    unit = inputs.loss_model.loss_unit
    return [] if unit == NATS_PER_TOKEN else [f"losses are in {unit}; laws of the batch that read a loss are left out"]


def _build(inputs: PlanInputs, split: Allocation) -> Built:
    return build(_of_tokens(inputs, split), inputs.training, inputs.count, inputs.proportions, inputs.count_is_fixed)


def _at_network(inputs: PlanInputs, split: Allocation, built: Built) -> tuple[Allocation, Built] | None:
    """The split moved to the size of the network that carries it; None where a size was given, or limits leave no room.

    The parameters of experts in all follow from those that a token passes only for a network: a plan that named the
    size of the law and its network would name two pairs.
    """
    if built.recipe is None or inputs.given.names != ("flops",) or split.binding or inputs.given.limits != NO_LIMITS:
        return None
    moved = at_size(inputs.loss_model, split, float(built.recipe.params_active))
    again = _build(inputs, moved)
    return (moved, again) if again.recipe and again.recipe.params_active == moved.params else None


def _require_sensible(split: Allocation) -> None:
    if split.params < SMALLEST or split.tokens < FEWEST_TOKENS_PER_PARAM * split.params:
        raise ForetokenError(
            "the budget is below the smallest sensible model",
            expected=f"a best size of at least {SMALLEST:.0f} parameters",
            got=f"{split.params:.3g} parameters on {split.tokens:.3g} tokens",
            cure="give a larger budget",
        )


def _band(inputs: PlanInputs, split: Allocation) -> tuple[Band | None, str | None]:
    """The band, or why there is none."""
    if split.loss is None:
        return None, split.loss_reason
    if inputs.given.fixed:
        return None, f"{inputs.given.fixed} was given, so there is nothing to choose"
    return band(inputs.loss_model, split.flops, inputs.tolerance, inputs.given.limits), None


def _repetition(inputs: PlanInputs, split: Allocation) -> tuple[Repeated | None, str | None]:
    """What the epochs are worth, where distinct tokens are few and the number of tokens is free."""
    if inputs.loss_model.repetition is None:
        return None, "the number of distinct tokens is not known (--unique)"
    if inputs.given.fixed:
        return None, f"{inputs.given.fixed} was given, so the epochs are too"
    return repeated(inputs.loss_model, split.flops, inputs.given.limits), None


def _whole_life(inputs: PlanInputs, split: Allocation, price: Cost) -> tuple[WholeLife | None, str | None]:
    """The cheapest model over training and serving, where it is known how much it serves."""
    if inputs.demand is None:
        return None, "the tokens that it will serve are not known (--serve)"
    if split.loss is None:
        return None, split.loss_reason
    return whole_life(inputs, split, inputs.demand, price), None


def _experts(inputs: PlanInputs, split: Allocation, recipe: Recipe | None) -> tuple[Mixtures | None, str | None]:
    """What other numbers of experts would give, where some were asked for."""
    if inputs.experts is None:
        return None, "no experts were asked for (--experts)"
    if split.loss is None:
        return None, split.loss_reason
    total = split.params * inputs.experts.total_per_active if recipe is None else float(recipe.params_total)
    return compare_experts(inputs.loss_model, inputs.experts, split, total, inputs.given.limits), None


def _choices(inputs: PlanInputs, split: Allocation) -> tuple[list[Choice] | None, str | None]:
    """Other lengths for a given size, or sizes for a given length; or why there are none."""
    halves: dict[tuple[str, ...], OpenHalf] = {("params",): "tokens", ("tokens",): "params"}
    open_half = halves.get(inputs.given.names)
    if open_half is None or split.loss is None:
        return None, split.loss_reason or "neither a size nor a number of tokens alone was given"
    return other_halves(inputs.loss_model, split.params, split.tokens, open_half), None


def _alternatives(
    inputs: PlanInputs, split: Allocation, forecast: Allocation, near: Band | None, price: Cost
) -> list[Alternative]:
    """The reference size, 20 tokens per parameter, the ends of the band, each law's advice; this plan, if given.

    Their losses stand to the plan's stated loss as the law has it.
    """
    loss_model = inputs.loss_model
    named = alternatives(split.flops, loss_model.flops_per_param_token, band=near, reference_size=inputs.reference_size)
    if inputs.given.fixed:
        named = {"this plan": (split.params, split.tokens), **named}
    else:
        named.pop(loss_model.name, None)
    if split.loss is None:
        reason = split.loss_reason or f"{loss_model.name} gives no loss"
        return [Alternative(name, params, tokens, reason=reason) for name, (params, tokens) in named.items()]
    found = regrets(loss_model, named, inputs.given.limits)
    assert forecast.loss is not None
    return [_priced(regret, split, price, forecast.loss / split.loss) for regret in found]


def _priced(regret: Regret, split: Allocation, price: Cost, scale: float) -> Alternative:
    """A regret in FLOP, priced as the plan is: a share of its compute is that share of its dollars and days.

    `scale` is the loss that is stated over the law's.
    """
    share = None if regret.regret_flops is None else regret.regret_flops / split.flops
    hours = None if share is None or price.hours is None else share * price.hours
    return Alternative(
        regret.name,
        regret.params,
        regret.tokens,
        loss=_scaled(regret.loss, scale),
        regret_loss=_scaled(regret.regret_loss, scale),
        regret_loss_interval=_scaled_ends(regret.regret_loss_interval, scale),
        regret_flops=regret.regret_flops,
        regret_flops_interval=regret.regret_flops_interval,
        regret_usd=None if share is None or price.usd is None else share * price.usd,
        regret_days=None if hours is None else hours / 24,
        reason=regret.flops_reason or price.usd_reason,
        interval_reason=split.interval_reason,
    )


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _scaled_ends(ends: list[float] | None, scale: float) -> list[float] | None:
    return None if ends is None else [end * scale for end in ends]


def _intervals(split: Allocation) -> Intervals:
    ends = split.intervals
    return Intervals(ends["params"], ends["tokens"], ends["flops"], ends["loss"], reason=split.interval_reason)


def _extrapolation(split: Allocation) -> Extrapolation:
    factors = split.extrapolation
    return Extrapolation(*(factors.get(name) for name in ("params", "tokens", "flops", "experts")))


def _sources(inputs: PlanInputs, life: WholeLife | None) -> Sources:
    """Where every number comes from, those of a whole life last."""
    sources = sources_of(inputs.loss_model, inputs.training, inputs.serving)
    return Sources(sources.law, [*sources.numbers, *(life.assumed if life else ())])


def _deadline_checks(inputs: PlanInputs, split: Allocation, layout: Layout | None) -> list[Check]:
    """A doubt where the layout misses the deadline.

    A run whose length is fixed cannot be shortened: it is refused with ForetokenError.
    """
    hours = inputs.deadline_hours
    needed = math.nan if layout is None else layout.hours(split.tokens)
    if layout is None or needed <= hours:
        return []
    if inputs.given.budget is None:
        raise ForetokenError(
            f"no layout meets the deadline: it is missed by a factor {needed / hours:.3g}",
            expected=f"at most {hours:.4g} h",
            got=f"{needed:.4g} h with the fastest, by arithmetic",
            cure="take more accelerators or a smaller run, or give the one that you measured: --mfu",
        )
    evidence = f"the fastest layout takes {needed:.4g} h by arithmetic, {needed / hours:.3g} times the deadline"
    cure = f"plan with --mfu {layout.mfu:.2f}, or with the one that you measured"
    return [Check("slow_layout", "doubt", evidence, cure)]
