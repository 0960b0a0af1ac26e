"""Plan: a budget becomes a decision, with its price, its doubt and its regret."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from foretoken.compute.layout import Layout
from foretoken.compute.machine import Machine
from foretoken.compute.price import Cost, cost, training_hours
from foretoken.compute.proportions import Proportions
from foretoken.errors import ForetokenError
from foretoken.fits.check import Check
from foretoken.plans.advice import alternatives
from foretoken.plans.band import TOLERANCE, Band, band
from foretoken.plans.building import build, served
from foretoken.plans.constraints import Given, solve_split
from foretoken.plans.experts import Experts, Mixtures, compared
from foretoken.plans.given_size import Choice, other_halves
from foretoken.plans.lifecycle_cost import BATCH, WholeLife, whole_life
from foretoken.plans.lifetime import Demand, Life
from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.provenance import as_source, checks_of, sources_of
from foretoken.plans.reasons import with_reasons
from foretoken.plans.recipe import Recipe
from foretoken.plans.regret import Regret, regrets
from foretoken.plans.repetition import Repeated, repeated
from foretoken.plans.split import Allocation

SMALLEST = 1e4
"""A best model of fewer parameters than this is no language model."""


@dataclass(frozen=True)
class Alternative:
    """Another split of the same budget, and what it loses."""

    name: str
    params: float
    tokens: float
    loss: float | None
    regret_loss: float | None
    """Nats per token above the best split."""
    regret_loss_interval: list[float] | None
    regret_flops: float | None
    """FLOP that the best split would have saved at the same loss; None where no compute gives it."""
    regret_flops_interval: list[float] | None
    regret_usd: float | None
    regret_days: float | None
    reason: str | None
    """Why a number is None."""


@dataclass(frozen=True)
class Plan:
    """What to train with a budget."""

    params: float
    tokens: float
    flops: float
    loss: float | None
    loss_reason: str | None
    interval: dict[str, list[float] | None]
    """Of params, tokens, flops (the best ones, by the fit's draws) and loss (of this run, by the law)."""
    interval_reason: str | None
    level: float
    band: Band | None
    """Splits of the budget whose expected loss is within `tolerance` of the best."""
    band_reason: str | None
    alternatives: list[Alternative]
    recipe: Recipe | None
    recipe_reason: str | None
    layout: Layout | None
    """How the training is cut over the accelerators."""
    layout_reason: str | None
    serving: dict[str, Any] | None
    """What one request costs on the fewest accelerators that hold the model."""
    cost: dict[str, Any]
    extrapolation: dict[str, float]
    """Factors beyond the runs behind the law; 1 inside them."""
    sources: list[dict[str, Any]]
    """Every number that was assumed, and where it comes from."""
    checks: list[Check]
    assumed: list[str]
    budget: str = ""
    binding: list[str] = field(default_factory=list)
    """What keeps the plan from the best split."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Of min_params, max_params, max_tokens, sizes and unique_tokens those that were said."""
    epochs: float = 1.0
    repetition: Repeated | None = None
    repetition_reason: str | None = "the number of distinct tokens is not known (--unique)"
    whole_life: WholeLife | None = None
    whole_life_reason: str | None = "the tokens that it will serve are not known (--serve)"
    experts: Mixtures | None = None
    experts_reason: str | None = "no experts were asked for (--experts)"

    choices: list[Choice] | None = None
    """Where a size or a length alone was given: other halves for it, from fewer to more, and what they lose."""
    choices_reason: str | None = "neither a size nor a number of tokens alone was given"

    @property
    def lifetime(self) -> Life | None:
        """The size that is cheapest over training and serving, in FLOP."""
        return None if self.whole_life is None else self.whole_life.flop

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        layout = None if self.layout is None else self.layout.to_json()
        life = None if self.lifetime is None else asdict(self.lifetime)
        told = asdict(self) | {"layout": layout, "lifetime": life, "lifetime_reason": self.whole_life_reason}
        if told["whole_life"] is not None:
            del told["whole_life"]["assumed"]  # they stand among the sources
        return with_reasons(told)


def plan(
    loss_model: LossModel,
    given: Given,
    machine: Machine,
    *,
    count: float | None = None,
    tolerance: float = TOLERANCE,
    reference_size: float | None = None,
    demand: Demand | None = None,
    proportions: Proportions | None = None,
    count_is_fixed: bool = False,
    serving: Machine | None = None,
    serving_batch: int = BATCH,
    experts: Experts | None = None,
) -> Plan:
    """The plan that `wish` asks for, by the losses of `loss_model` and the costs of `machine`.

    `count` accelerators work side by side (days follow from it), no more if `count_is_fixed`; the regret of
    `reference_size` is shown; `demand` are the tokens that the model will serve, `serving_batch` requests at once, on
    `serving` if that is another machine; `experts` are those at which `loss_model` is read. Raises ForetokenError for
    what nothing meets.

    >>> from foretoken.compute.machine import machine
    >>> from foretoken.plans.loss_model import published
    >>> found = plan(published("besiroglu_2024"), Given(flops=5.76e23), machine("H100"), count=512)
    >>> f"{found.params:.3g} {found.tokens:.3g} {found.band.params[0]:.3g} {found.cost['days']:.0f}"
    '7.22e+10 1.33e+12 4.63e+10 33'
    """
    found, serving = solve_split(loss_model, given), serving or machine
    _require_sensible(found)
    near, why = _band(loss_model, found, tolerance, given)
    priced = _priced(machine, found.flops, count)
    built = build(found, machine, count, proportions or Proportions(), count_is_fixed)
    told = Plan(
        params=found.params,
        tokens=found.tokens,
        flops=found.flops,
        loss=found.loss,
        loss_reason=found.loss_reason,
        interval={name: found.intervals[name] for name in ("params", "tokens", "flops", "loss")},
        interval_reason=found.interval_reason,
        level=found.level,
        band=near,
        band_reason=why,
        alternatives=_alternatives(loss_model, found, near, given, reference_size, priced),
        recipe=built.recipe,
        recipe_reason=built.recipe_reason,
        layout=built.layout,
        layout_reason=built.layout_reason,
        serving=None if built.recipe is None else served(built.recipe, serving),
        cost=_cost_json(priced, machine, count),
        extrapolation=found.extrapolation,
        sources=sources_of(loss_model, machine, serving),
        checks=checks_of(loss_model, found),
        assumed=list(found.assumed),
        budget=given.text,
        binding=found.binding,
        limits=_limits(loss_model, given.limits),
        epochs=found.epochs,
    )
    told = _with_choices(_with_repetition(told, loss_model, given), loss_model, given)
    if demand is not None:
        told = replace(told, whole_life_reason=found.loss_reason)
        if found.loss is not None:
            life = whole_life(loss_model, found, demand, given.limits, machine, serving, priced, serving_batch)
            told = replace(told, whole_life=life, sources=[*told.sources, *map(as_source, life.assumed)])
    return told if experts is None else _with_experts(told, loss_model, given, experts)


def _with_experts(told: Plan, loss_model: LossModel, given: Given, experts: Experts) -> Plan:
    """The plan with what other numbers of experts would give."""
    mixed = None
    if told.loss is not None:
        mixed = compared(loss_model, experts, told.flops, told.params, told.loss, given.limits)
    return replace(told, experts=mixed, experts_reason=told.loss_reason)


def _with_choices(told: Plan, loss_model: LossModel, given: Given) -> Plan:
    """The plan with other lengths for a given size, or sizes for a given length."""
    if given.names not in (("params",), ("tokens",)):
        return told
    open_half = "tokens" if given.names == ("params",) else "params"
    rows = other_halves(loss_model, told.params, told.tokens, open_half)
    return replace(told, choices=rows, choices_reason=None)


def _with_repetition(told: Plan, loss_model: LossModel, given: Given) -> Plan:
    """The plan with what the epochs are worth, where distinct tokens are few and their number is not given."""
    if loss_model.repetition is None:
        return told
    if given.fixed:
        return replace(told, repetition_reason=f"{given.fixed} was given, so the epochs are too")
    return replace(told, repetition=repeated(loss_model, told.flops, given.limits), repetition_reason=None)


def _limits(loss_model: LossModel, limits: Limits) -> dict[str, Any]:
    told = {name: value for name, value in asdict(limits).items() if value != getattr(NO_LIMITS, name)}
    return told if loss_model.repetition is None else told | {"unique_tokens": loss_model.repetition.unique}


def _require_sensible(found: Allocation) -> None:
    if found.params < SMALLEST or found.tokens < found.params / 1e3:
        raise ForetokenError(
            "the budget is below the smallest sensible model",
            expected=f"a best size of at least {SMALLEST:.0f} parameters",
            got=f"{found.params:.3g} parameters on {found.tokens:.3g} tokens",
            cure="give a larger budget",
        )


def _band(loss_model: LossModel, found: Allocation, tolerance: float, given: Given) -> tuple[Band | None, str | None]:
    if found.loss is None:
        return None, found.loss_reason
    if given.fixed:
        return None, f"{given.fixed} was given, so there is nothing to choose"
    return band(loss_model, found.flops, tolerance, given.limits), None


def _alternatives(
    loss_model: LossModel,
    found: Allocation,
    near: Band | None,
    given: Given,
    reference_size: float | None,
    priced: Cost,
) -> list[Alternative]:
    """The reference size, 20 tokens per parameter, the ends of the band, each law's advice; this plan, if given."""
    named = alternatives(found.flops, loss_model.flops_per_param_token, band=near, reference_size=reference_size)
    if given.fixed:
        named = {"this plan": (found.params, found.tokens), **named}
    else:
        named.pop(loss_model.name, None)
    if found.loss is None:
        reason = f"{loss_model.name} gives no loss"
        return [Alternative(name, *split, *(None,) * 7, reason) for name, split in named.items()]
    return [_told(one, found.flops, priced) for one in regrets(loss_model, named, given.limits)]


def _told(one: Regret, flops: float, priced: Cost) -> Alternative:
    """A regret in FLOP, priced as the plan is."""
    share = None if one.regret_flops is None else one.regret_flops / flops
    usd, hours = (None if share is None or value is None else share * value for value in (priced.usd, priced.hours))
    never = "within the limits no compute gives the best split so "
    reason = None if share is not None else never + ("low a loss" if one.regret_loss < 0 else "large a loss")
    if reason is None and (usd is None or hours is None):
        reason = priced.usd_reason or "days need a number of accelerators"
    days = None if hours is None else hours / 24
    return Alternative(
        one.name,
        one.params,
        one.tokens,
        one.loss,
        one.regret_loss,
        one.regret_loss_interval,
        one.regret_flops,
        one.regret_flops_interval,
        usd,
        days,
        reason,
    )


def _priced(machine: Machine, flops: float, count: float | None) -> Cost:
    return cost(machine, training_hours(machine, flops), count)


def _cost_json(priced: Cost, machine: Machine, count: float | None) -> dict[str, Any]:
    """What the run costs, with the machine (`memory`: bytes); `hours` of the whole run, None without their number."""
    told = {
        "accelerator": machine.accelerator.name,
        "memory": machine.accelerator.memory,
        "count": count,
        "mfu": machine.value("mfu"),
        **priced.to_json(),
    }
    hours = priced.hours
    return told | {
        "days": None if hours is None else hours / 24,
        "hours_reason": None if hours is not None else "the number of accelerators is not known",
    }
