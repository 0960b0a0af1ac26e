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
from foretoken.forecasts.choice import Wish, chosen
from foretoken.forecasts.lifetime import Demand
from foretoken.forecasts.limits import SIZES, Limits, usable_flops
from foretoken.forecasts.plan import Plan, plan, usual_count
from foretoken.forecasts.repetition import with_unique
from foretoken.forecasts.source import Source, fitted, published
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


def plan_of(
    compute: str | float | None = None,
    *,
    law: str | None = None,
    fit: Fit | str | Path | None = None,
    loss: float | None = None,
    params: Count = None,
    tokens: Count = None,
    machines: Machines | None = None,
    deadline: str | None = None,
    ladder: Count = None,
    unique: Count = None,
    serve: Count = None,
    write: Count = None,
    favourite: Count = None,
    max_params: Count = None,
    max_tokens: Count = None,
    latency: str | None = None,
    serve_on: int | None = None,
    sizes: Sequence[str | float] = (),
    tolerance: float = 0.001,
    level: float = 0.9,
    estimator: str = "pooled",
    proportions: Proportions | None = None,
) -> Plan:
    """The plan for a budget ("5.76e23", "512 H100 for 30 days", "$2M of H100"), or for a loss, a size, or tokens.

    Losses come from a published `law` or from a `fit`. `ladder` FLOP of small runs are paid first; a `deadline`
    ("30 days") caps what the machines can do; `unique` tokens are distinct; `serve` and `write` are tokens that the
    model reads and writes over its life; `latency` ("20 ms" per token) and `serve_on` accelerators cap its size.
    Raises ForetokenError where a text is no quantity or nothing meets the wish.

    >>> found = plan_of("5.76e23", law="besiroglu_2024")
    >>> round(found.tokens / found.params, 1)
    18.4
    """
    source = _source(law, fit, level, estimator)
    if unique is not None:
        source = with_unique(source, parse_count(unique, "unique tokens"))
    used = machines or Machines()
    limits = Limits(
        max_params=min(
            SIZES[1] if max_params is None else parse_count(max_params, "the largest size"),
            _servable(used, latency, serve_on),
        ),
        max_tokens=math.inf if max_tokens is None else parse_count(max_tokens, "most tokens"),
        sizes=tuple(parse_count(size, "size") for size in sizes),
    )
    wish = Wish(
        flops=None if compute is None else parse_budget(compute, **_of_budget(used, 1e9)).flops,
        loss=loss,
        params=None if params is None else parse_count(params, "params"),
        tokens=None if tokens is None else parse_count(tokens, "tokens"),
        limits=limits,
        text="" if compute is None else str(compute),
    )
    wish, budget = _at_its_own_mfu(source, wish, compute, used)
    wish, reckoned, count, said = _within(source, wish, budget, used, ladder, deadline)
    found = plan(
        source, wish, reckoned, count=count, tolerance=tolerance, proportions=proportions,
        favourite=None if favourite is None else parse_count(favourite, "favourite"), demand=_demand(serve, write),
    )  # fmt: skip
    return replace(
        found, assumed=[*found.assumed, *said], binding=[*found.binding, *(s for s in said if "deadline" in s)]
    )


def _source(law: str | None, fit: Fit | str | Path | None, level: float, estimator: str) -> Source:
    if (law is None) == (fit is None):
        raise ForetokenError(
            "a plan takes its losses from a published law or from your fit",
            expected="one of --law and --fit",
            got="both" if law else "neither",
            cure="for example --law besiroglu_2024, or: foretoken fit runs.csv -o fit.json, then --fit fit.json",
        )
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
    if wish.flops is not None and (spent or deadline):
        hours = math.inf if deadline is None else parse_hours(deadline, "the deadline")
        speed = count * reckoned.flops_per_hour / 3600
        left, binding = usable_flops(wish.flops, ladder_flops=spent, hours=hours, flops_per_second=speed)
        wish, said = replace(wish, flops=left), [*said, *binding]
    elif deadline is not None:
        _require_in_time(size.flops, count * reckoned.flops_per_hour, parse_hours(deadline, "the deadline"))
    return wish, reckoned, count, said


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
    return most_params(reckoned, count=serve_on or 1, seconds_per_token=seconds)


def _demand(serve: Count, write: Count) -> Demand | None:
    if serve is None and write is None:
        return None
    read, written = (0.0 if one is None else parse_count(one, "tokens served") for one in (serve, write))
    return Demand(read, written)
