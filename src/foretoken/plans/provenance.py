"""What a plan says of itself: where every number comes from, what to doubt, and why a number is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.compute.budget import Budget
from foretoken.compute.layout import ASSUMED as LAYOUT_ASSUMED
from foretoken.compute.machine import Assumption, Machine
from foretoken.fits.check import Check
from foretoken.forecasts.sense import ladder_checks
from foretoken.laws import PUBLISHED
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split import Allocation
from foretoken.results import with_reasons_json

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a plan is marked."""
MANY = 4.0
"""Epochs from which on a plan is marked: up to four they are worth nearly as much as fresh ones (Muennighoff 2023)."""
GIVEN = "it was given, or follows from what was"
"""Why there is no interval although there are draws."""
SERVING_NUMBERS = ("peak", "usd_per_hour", "watts")
"""What is told of a second machine that serves; the rest is the site's, as of the first."""


@dataclass(frozen=True)
class LawSource:
    """The law behind a plan's losses."""

    what: str
    value: dict[str, float]
    """Its parameters."""
    unit: str
    """Its formula."""
    source: str
    status: str
    counting: str
    """What N includes."""


@dataclass(frozen=True)
class Sources:
    """Every number that a plan rests on, and where it comes from."""

    law: LawSource
    numbers: list[Assumption]
    """Of machines, layout and serving."""

    def to_json(self) -> list[dict[str, Any]]:
        """The law, then the numbers; a range only where one is known."""
        return [asdict(self.law), *map(assumption_json, self.numbers)]


def sources_of(loss_model: LossModel, training: Machine, serving: Machine) -> Sources:
    """Where every number comes from: the law, then the machines."""
    entry = PUBLISHED.get(loss_model.name)
    law = LawSource(
        what=f"loss and best split: {loss_model.name}",
        value=loss_model.parameters,
        unit=loss_model.law.formula,
        source=entry.source if entry else "your fit",
        status=entry.status if entry else "fitted",
        counting=entry.counting if entry else "as in your table",
    )
    numbers = [*training.assumed, *LAYOUT_ASSUMED]
    if serving is not training:
        numbers += [number for number in serving.assumed if number.name in SERVING_NUMBERS]
    return Sources(law, numbers)


def assumption_json(number: Assumption) -> dict[str, Any]:
    """One number with its source; a range only where one is known."""
    return {"what": number.name, **{name: value for name, value in asdict(number).items() if value is not None}}


def budget_words(budget: Budget) -> list[str]:
    """What turns machines and hours into FLOP, in words."""
    numbers = (number for number in budget.assumed if number.name in ("peak", "mfu"))
    return [f"{number.name} {number.value:g} {number.unit}: {number.source}" for number in numbers]


def intervals_json(intervals: Mapping[str, list[float] | None], reason: str | None) -> dict[str, Any]:
    """Intervals by name; beside a missing one the reason: there are no draws, or else the value was given.

    >>> intervals_json({"params": None, "tokens": [1.0, 2.0]}, None)["params_reason"]
    'it was given, or follows from what was'
    """
    return with_reasons_json(dict(intervals), **dict.fromkeys(intervals, reason or GIVEN))


def checks_of(loss_model: LossModel, split: Allocation) -> list[Check]:
    """Named doubts about a split."""
    checks = ladder_checks(loss_model.fit, split.params, split.tokens) if loss_model.fit else []
    # One check for the farthest quantity: params, tokens and flops go beyond the runs together.
    far = max(split.extrapolation, key=lambda name: split.extrapolation[name], default=None)
    if far is not None and split.extrapolation[far] > FAR:
        evidence = f"{split.extrapolation[far]:.3g} times beyond the runs behind {loss_model.name} in {far}"
        checks.append(Check("far_extrapolation", "doubt", evidence, "train a ladder nearer to this size first"))
    if not split.extrapolation:
        evidence = f"the range of the runs behind {loss_model.name} is not recorded"
        checks.append(Check("unknown_range", "note", evidence, "see foretoken laws show for what is known"))
    if split.interval_reason is not None:
        evidence = f"no interval: {split.interval_reason}"
        checks.append(Check("no_interval", "doubt", evidence, "fit your own runs: foretoken fit TABLE -o fit.json"))
    if loss_model.name in PUBLISHED:
        evidence = f"{loss_model.name} was fitted to another text, tokenizer and recipe than yours"
        checks.append(Check("borrowed_law", "doubt", evidence, "fit your own runs; its split moves less than its loss"))
    if split.epochs > MANY:
        evidence = f"each distinct token is seen {split.epochs:.3g} times"
        checks.append(Check("many_epochs", "doubt", evidence, "find more text, or a smaller budget does as well"))
    return checks
