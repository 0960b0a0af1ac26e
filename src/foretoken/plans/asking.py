"""A plan in people's words: budgets, sizes and machines as texts, one call for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.accelerators import Accelerators
from foretoken.compute.budget import Budget, parse_budget
from foretoken.compute.machine import Machine, machine
from foretoken.compute.price import training_hours
from foretoken.compute.proportions import Proportions
from foretoken.compute.serving import most_params
from foretoken.errors import ForetokenError
from foretoken.fits.result import Fit
from foretoken.plans.band import TOLERANCE
from foretoken.plans.choice import Wish, chosen
from foretoken.plans.lifetime import Demand
from foretoken.plans.limits import SIZES, Limits, usable_flops
from foretoken.plans.plan import Plan, plan, usual_count
from foretoken.plans.repetition import with_unique
from foretoken.plans.source import Source, fitted, published
from foretoken.units import parse_count, parse_flops, parse_hours

USUAL_MACHINE = "H100"
"""Reckoned with where no machine is named."""
Count = str | float | None


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a plan is reckoned with, as far as a user says it; the registry says the rest."""

    accelerator: str | None = None
    count: Count = None
    mfu: float | None = None
    usd_per_hour: float | None = None
    watts: float | None = None
    pue: float | None = None
    kg_co2e_per_kwh: float | None = None
    precision: str | None = None
    file: str | Path | None = None
    """The user's own accelerators, prices and site."""

    @property
    def values(self) -> dict[str, Any]:
        """What `machine.machine` takes by name."""
        names = ("mfu", "usd_per_hour", "watts", "pue", "kg_co2e_per_kwh", "precision")
        return {name: getattr(self, name) for name in names}

    @property
    def known(self) -> Accelerators:
        """The registry, with the user's file over it."""
        return read_accelerators(self.file) if self.file else read_accelerators()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything that can be said of a plan; texts are quantities in people's units."""

    compute: str | float | None = None
    """5.76e23, "512 H100 for 30 days", "$2M of H100"; a bare number is FLOP."""
    law: str | None = None
    """Losses by a published law, an id of `foretoken laws` ..."""
    fit: Fit | str | Path | None = None
    """... or by your own fit."""
    loss: float | None = None
    params: Count = None
    tokens: Count = None
    machines: Machines = Machines()
    deadline: str | None = None
    """What the machines can do in this time caps the compute: "30 days"."""
    ladder: Count = None
    """FLOP of small runs, paid first."""
    unique: Count = None
    """Distinct tokens there are."""
    serve: Count = None
    write: Count = None
    """Tokens that the model reads and writes over its life."""
    favourite: Count = None
    """A size whose regret is wanted."""
    max_params: Count = None
    max_tokens: Count = None
    latency: str | None = None
    """A token is answered within this time: "20 ms"."""
    serve_on: int | None = None
    """Accelerators that must hold the model."""
    sizes: Sequence[str | float] = ()
    """The only sizes allowed."""
    tolerance: float = TOLERANCE
    level: float = 0.9
    estimator: str = "pooled"
    proportions: Proportions | None = None
    """What the shape keeps to: vocabulary, context, ..."""

    @property
    def source(self) -> Source:
        """Where losses come from, with few distinct tokens where that was said."""
        found = _source(self.law, self.fit, self.level, self.estimator)
        return found if self.unique is None else with_unique(found, parse_count(self.unique, "unique tokens"))

    @property
    def limits(self) -> Limits:
        """What bounds size and tokens."""
        most = SIZES[1] if self.max_params is None else parse_count(self.max_params, "the largest size")
        return Limits(
            max_params=min(most, _servable(self.machines, self.latency, self.serve_on)),
            max_tokens=math.inf if self.max_tokens is None else parse_count(self.max_tokens, "most tokens"),
            sizes=tuple(parse_count(size, "size") for size in self.sizes),
        )

    @property
    def wish(self) -> Wish:
        """What is given, in numbers; a budget in machines or money by the MFU of a large model."""
        flops = None if self.compute is None else parse_budget(self.compute, **_of_budget(self.machines, 1e9)).flops
        return Wish(
            flops=flops,
            loss=self.loss,
            params=None if self.params is None else parse_count(self.params, "params"),
            tokens=None if self.tokens is None else parse_count(self.tokens, "tokens"),
            limits=self.limits,
            text="" if self.compute is None else str(self.compute),
        )


def plan_of(compute: str | float | None = None, **asked: Any) -> Plan:
    """The plan for a budget, or for a loss, a size or a number of tokens; `asked` are fields of `Asked`.

    Raises ForetokenError where a text is no quantity or nothing meets the wish.

    >>> found = plan_of("5.76e23", law="besiroglu_2024")
    >>> round(found.tokens / found.params, 1)
    18.4
    """
    return planned(compute, **asked)[0]


def planned(compute: str | float | None = None, **asked: Any) -> tuple[Plan, Source]:
    """As `plan_of`, with the source of its losses, which the page of a plan draws.

    >>> found, losses = planned("5.76e23", law="besiroglu_2024")
    >>> abs(float(losses.loss(found.params, found.tokens)) - found.loss) < 1e-9
    True
    """
    told = Asked(compute=compute, **asked)
    source = told.source
    wish, budget = _at_its_own_mfu(source, told.wish, compute, told.machines)
    wish, reckoned, count, said = _within(source, wish, budget, told.machines, told.ladder, told.deadline)
    found = plan(
        source, wish, reckoned, count=count, tolerance=told.tolerance, proportions=told.proportions,
        favourite=None if told.favourite is None else parse_count(told.favourite, "favourite"),
        demand=_demand(told.serve, told.write),
    )  # fmt: skip
    late = [text for text in said if text.startswith("the deadline")]
    return replace(found, assumed=[*found.assumed, *said], binding=[*found.binding, *late]), source


def _source(law: str | None, fit: Fit | str | Path | None, level: float, estimator: str) -> Source:
    if (law is None) == (fit is None):
        raise ForetokenError(
            "a plan takes its losses from a published law or from your fit",
            expected="one of --law and --fit",
            got="both" if law else "neither",
            cure="for example --law besiroglu_2024, or: foretoken fit runs.csv -o fit.json, then --fit fit.json",
        )
    if not 0 < level < 1:
        raise ForetokenError("the level of an interval lies between 0 and 1", got=repr(level), cure="use 0.9")
    if law is not None:
        return replace(published(law), level=level)
    return fitted(fit if isinstance(fit, Fit) else Fit.load(str(fit)), estimator=estimator, level=level)


def _of_budget(used: Machines, params: float) -> dict[str, Any]:
    """What `parse_budget` takes besides the text."""
    count = None if used.count is None else parse_count(used.count, "number of accelerators")
    return {
        "accelerator": used.accelerator, "count": count, "known": used.known, "params": max(1.0, params), **used.values,
    }  # fmt: skip


def _at_its_own_mfu(
    source: Source, wish: Wish, compute: str | float | None, used: Machines
) -> tuple[Wish, Budget | None]:
    """A budget in machines or money, at the MFU that is typical of the size it buys."""
    if compute is None:
        return wish, None
    for _ in range(3):
        budget = parse_budget(compute, **_of_budget(used, chosen(source, wish).params))
        if math.isclose(budget.flops, wish.flops or 0.0, rel_tol=1e-9):
            break
        wish = replace(wish, flops=budget.flops)
    return wish, budget


def _within(
    source: Source, wish: Wish, budget: Budget | None, used: Machines, ladder: Count, deadline: str | None
) -> tuple[Wish, Machine, float, list[str]]:
    """What is left of the budget after the ladder and before the deadline, the machine, how many, and what was said."""
    size = chosen(source, wish)
    _require_one_machine(budget, used)
    name = used.accelerator or (budget.machine.accelerator.id if budget and budget.machine else USUAL_MACHINE)
    reckoned = machine(name, params=size.params, known=used.known, **used.values)
    said = (
        [] if used.accelerator or (budget and budget.machine) else [f"costs are those of {USUAL_MACHINE} accelerators"]
    )
    count = budget.count if budget and budget.count else None
    if count is None and used.count is not None:
        count = parse_count(used.count, "number of accelerators")
    if count is None:
        count = usual_count(training_hours(reckoned, size.flops))
        said.append(f"{count:g} accelerators side by side, so that the run takes at most 30 days")
        if deadline is not None:
            raise ForetokenError(
                "a deadline needs a number of accelerators", cure="give --count, or write 512 H100 ..."
            )
    spent = 0.0 if ladder is None else parse_flops(ladder, "the ladder")
    if spent and wish.flops is None:
        raise ForetokenError("a ladder is paid out of a budget", got="no budget", cure="give --compute too")
    if wish.flops is not None and (spent or deadline):
        hours = math.inf if deadline is None else parse_hours(deadline, "the deadline")
        speed = count * reckoned.flops_per_hour / 3600
        left, binding = usable_flops(wish.flops, ladder_flops=spent, hours=hours, flops_per_second=speed)
        wish, said = replace(wish, flops=left), [*said, *binding]
    elif deadline is not None:
        _require_in_time(size.flops, count * reckoned.flops_per_hour, parse_hours(deadline, "the deadline"))
    return wish, reckoned, count, said


def _require_one_machine(budget: Budget | None, used: Machines) -> None:
    """A budget that names its machine, or how many, is not contradicted."""
    if budget is None:
        return
    told = budget.machine.accelerator if budget.machine else None
    if told and used.accelerator and used.known.find(used.accelerator).id != told.id:
        raise ForetokenError(
            "the budget names its own machine", expected=told.name, got=used.accelerator, cure="name it in one place"
        )
    count = None if used.count is None else parse_count(used.count, "number of accelerators")
    if budget.count and count and budget.count != count:
        raise ForetokenError(
            "the budget names its own number of machines", expected=f"{budget.count:g}", got=f"{count:g}",
            cure="name it in one place",
        )  # fmt: skip


def _require_in_time(flops: float, flops_per_hour: float, hours: float) -> None:
    needed = flops / flops_per_hour
    if needed > hours:
        raise ForetokenError(
            f"the deadline is missed by a factor {needed / hours:.3g}",
            expected=f"at most {hours:.4g} h",
            got=f"{needed:.4g} h",
            cure=f"take at least {needed / hours:.3g} times as many accelerators, or a smaller run",
        )


def _servable(used: Machines, latency: str | None, serve_on: int | None) -> float:
    """The largest size that serves within a latency, or on so many accelerators."""
    if latency is None and serve_on is None:
        return math.inf
    seconds = None if latency is None else 3600 * parse_hours(latency, "the latency")
    reckoned = machine(used.accelerator or USUAL_MACHINE, known=used.known, **used.values)
    return most_params(reckoned, count=1 if serve_on is None else serve_on, seconds_per_token=seconds)


def _demand(serve: Count, write: Count) -> Demand | None:
    if serve is None and write is None:
        return None
    read, written = (0.0 if one is None else parse_count(one, "tokens served") for one in (serve, write))
    return Demand(read, written)
