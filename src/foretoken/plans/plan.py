"""Plan: a budget becomes a decision, with its price, its doubt and its regret."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from foretoken.compute.layout import ASSUMED as LAID_OUT
from foretoken.compute.layout import Layout, find_layout
from foretoken.compute.machine import Machine
from foretoken.compute.price import Cost, cost, training_hours
from foretoken.compute.proportions import Proportions
from foretoken.compute.serving import serve
from foretoken.errors import DesignError, ForetokenError
from foretoken.fits.result import Check
from foretoken.laws import PUBLISHED
from foretoken.plans.advice import alternatives
from foretoken.plans.allocate import NO_DRAWS, Allocation
from foretoken.plans.band import TOLERANCE, Band, band
from foretoken.plans.choice import Wish, chosen
from foretoken.plans.lifetime import Demand, Life, lifetime
from foretoken.plans.recipe import Recipe, recipe
from foretoken.plans.regret import Regret, regrets
from foretoken.plans.repetition import Repeated, repeated
from foretoken.plans.source import Source

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a plan is marked."""
LARGE, SHARED = 2e10, 8
"""From this size on, each layer is shared by so many accelerators, where there are as many."""
HELD = 0.8
"""Share of the memory that a served model's weights take at most."""
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
    epochs: float = 1.0
    repetition: Repeated | None = None
    lifetime: Life | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"layout": None if self.layout is None else self.layout.to_json()}


def plan(
    source: Source,
    wish: Wish,
    machine: Machine,
    *,
    count: float | None = None,
    tolerance: float = TOLERANCE,
    favourite: float | None = None,
    demand: Demand | None = None,
    proportions: Proportions | None = None,
) -> Plan:
    """The plan that `wish` asks for, by the losses of `source` and the costs of `machine`.

    `count` accelerators work side by side (days follow from it); `favourite` is a size whose regret is wanted;
    `demand` are the tokens that the model will serve. Raises ForetokenError for wishes that nothing meets.

    >>> from foretoken.compute.machine import machine
    >>> from foretoken.plans.source import published
    >>> found = plan(published("besiroglu_2024"), Wish(flops=5.76e23), machine("H100"), count=512)
    >>> f"{found.params:.3g} {found.tokens:.3g} {found.band.params[0]:.3g} {found.cost['days']:.0f}"
    '7.22e+10 1.33e+12 4.63e+10 33'
    """
    found = chosen(source, wish)
    _require_sensible(found)
    near, why = _band(source, found, tolerance, wish)
    priced = _priced(machine, found.flops, count)
    made, no_recipe, layout, no_layout = _built(found, machine, count, proportions or Proportions())
    life = None if demand is None or found.loss is None else lifetime(source, found.loss, demand, limits=wish.limits)
    again = repeated(source, found.flops, wish.limits) if source.repetition and not wish.fixed else None
    return Plan(
        params=found.params, tokens=found.tokens, flops=found.flops, loss=found.loss, loss_reason=found.loss_reason,
        interval={name: found.intervals[name] for name in ("params", "tokens", "flops", "loss")},
        interval_reason=found.interval_reason, level=found.level,
        band=near, band_reason=why, alternatives=_alternatives(source, found, near, wish, favourite, priced),
        recipe=made, recipe_reason=no_recipe, layout=layout, layout_reason=no_layout,
        serving=None if made is None else _served(made, machine),
        cost=_cost_json(priced, machine, count), extrapolation=found.extrapolation,
        sources=_sources(source, machine), checks=_checks(source, found, machine), assumed=list(found.assumed),
        budget=wish.text, binding=found.binding, epochs=found.epochs,
        repetition=again, lifetime=life,
    )  # fmt: skip


def _require_sensible(found: Allocation) -> None:
    if found.params < SMALLEST or found.tokens < found.params / 1e3:
        raise ForetokenError(
            "the budget is below the smallest sensible model",
            expected=f"a best size of at least {SMALLEST:.0f} parameters",
            got=f"{found.params:.3g} parameters on {found.tokens:.3g} tokens",
            cure="give a larger budget",
        )


def _band(source: Source, found: Allocation, tolerance: float, wish: Wish) -> tuple[Band | None, str | None]:
    if found.loss is None:
        return None, found.loss_reason
    if wish.fixed:
        return None, f"{wish.fixed} was given, so there is nothing to choose"
    return band(source, found.flops, tolerance, wish.limits), None


def _alternatives(
    source: Source,
    found: Allocation,
    near: Band | None,
    wish: Wish,
    favourite: float | None,
    priced: Cost,
) -> list[Alternative]:
    """The user's favourite, 20 tokens per parameter, the ends of the band, each law's advice; this plan, if given."""
    named = alternatives(found.flops, source.flops_per_param_token, band=near, favourite=favourite)
    if wish.fixed:
        named = {"this plan": (found.params, found.tokens), **named}
    else:
        named.pop(source.name, None)
    if found.loss is None:
        reason = f"{source.name} gives no loss"
        return [Alternative(name, *split, *(None,) * 6, reason) for name, split in named.items()]
    return [_told(one, found.flops, priced) for one in regrets(source, named, wish.limits)]


def _told(one: Regret, flops: float, priced: Cost) -> Alternative:
    """A regret in FLOP, priced as the plan is."""
    share = None if one.regret_flops is None else one.regret_flops / flops
    usd, hours = (None if share is None or value is None else share * value for value in (priced.usd, priced.hours))
    never = "within the limits no compute gives the best split so "
    reason = None if share is not None else never + ("low a loss" if one.regret_loss < 0 else "large a loss")
    if reason is None and (usd is None or hours is None):
        reason = priced.usd_reason or "days need a number of accelerators"
    return Alternative(one.name, one.params, one.tokens, one.loss, one.regret_loss, one.regret_loss_interval,
                       one.regret_flops, usd, None if hours is None else hours / 24, reason)  # fmt: skip


def _priced(machine: Machine, flops: float, count: float | None) -> Cost:
    return cost(machine, training_hours(machine, flops), count)


def _cost_json(priced: Cost, machine: Machine, count: float | None) -> dict[str, Any]:
    """What the run costs, with the machine (`memory`: bytes); `hours` of the whole run, None without their number."""
    told = {"accelerator": machine.accelerator.name, "memory": machine.accelerator.memory, "count": count,
            "mfu": machine.value("mfu"), **priced.to_json()}  # fmt: skip
    hours = priced.hours
    return told | {
        "days": None if hours is None else hours / 24,
        "hours_reason": None if hours is not None else "the number of accelerators is not known",
    }


def _built(
    found: Allocation, machine: Machine, count: float | None, like: Proportions
) -> tuple[Recipe | None, str | None, Layout | None, str | None]:
    """The recipe and the layout that carries it, or why there is none; batches that the layout divides."""
    if found.params >= LARGE and count and count >= SHARED:
        like = replace(like, tensor_parallel=SHARED)
    try:
        made = recipe(found.params, found.tokens, found.loss, like)
    except DesignError as error:
        return None, error.message, None, "there is no shape to lay out"
    try:
        layout = find_layout(made.shape, machine, round(count or 1), made.batch_tokens.value)
    except ForetokenError as error:
        return made, None, None, " ".join(str(error).split())
    sequences = layout.split.data * layout.micro_batch
    return recipe(found.params, found.tokens, found.loss, like, sequences=sequences), None, layout, None


def _served(made: Recipe, machine: Machine) -> dict[str, Any]:
    """One request of 512 tokens in and 512 out, at the limit of the fewest accelerators (a power of two)."""
    held = made.params_total * 2.0 / (HELD * machine.accelerator.memory)
    count = 2 ** max(0, math.ceil(math.log2(held)))
    try:
        told = serve(made.shape, machine, prompt=512, answer=512, count=count)
    except ForetokenError as error:
        return {"count": count, "reason": error.message}
    return {"count": count, "prompt": 512, "answer": 512, **told.to_json()}


def _sources(source: Source, machine: Machine) -> list[dict[str, Any]]:
    """Where every number comes from: the law, then the machine."""
    entry = PUBLISHED.get(source.name)
    law = {
        "what": f"loss and best split: {source.name}",
        "value": source.parameters,
        "unit": source.law.formula,
        "source": entry.source if entry else "your fit",
        "status": entry.status if entry else "fitted",
        "counting": entry.counting if entry else "as in your table",
    }
    return [law, *({"what": item.name, **asdict(item)} for item in (*machine.assumed, *LAID_OUT))]


def _checks(source: Source, found: Allocation, machine: Machine) -> list[Check]:
    checks = []
    far = max(found.extrapolation, key=lambda name: found.extrapolation[name], default=None)
    if far is not None and found.extrapolation[far] > FAR:
        evidence = f"{found.extrapolation[far]:.3g} times beyond the runs behind {source.name} in {far}"
        checks.append(Check("far_extrapolation", "doubt", evidence, "train a ladder nearer to this size first"))
    if not found.extrapolation:
        evidence = f"the range of the runs behind {source.name} is not recorded"
        checks.append(Check("unknown_range", "note", evidence, "see foretoken laws show for what is known"))
    if found.interval_reason is not None:
        evidence = f"no interval: {NO_DRAWS}"
        checks.append(Check("no_interval", "doubt", evidence, "fit your own runs: foretoken fit TABLE -o fit.json"))
    if source.name in PUBLISHED:
        evidence = f"{source.name} was fitted to another text, tokenizer and recipe than yours"
        checks.append(Check("borrowed_law", "doubt", evidence, "fit your own runs; its split moves less than its loss"))
    if found.epochs > 4:
        evidence = f"each distinct token is seen {found.epochs:.3g} times"
        checks.append(Check("many_epochs", "doubt", evidence, "find more text, or a smaller budget does as well"))
    return checks


def usual_count(hours: float, days: float = 30.0) -> int:
    """The smallest power of two of accelerators that does these accelerator-hours within `days`.

    >>> usual_count(368640)
    512
    """
    return int(2 ** math.ceil(math.log2(max(1.0, hours / 24 / days))))
