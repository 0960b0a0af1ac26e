"""What a plan says of itself: where every number comes from, and what to doubt."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from foretoken.compute.layout import ASSUMED as LAID_OUT
from foretoken.compute.machine import Assumption, Machine
from foretoken.fits.check import Check
from foretoken.laws import PUBLISHED
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split import NO_DRAWS, Allocation

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a plan is marked."""
MANY = 4.0
"""Epochs from which on a plan is marked."""


def sources_of(loss_model: LossModel, machine: Machine, serving: Machine) -> list[dict[str, Any]]:
    """Where every number comes from: the law, then the machines."""
    entry = PUBLISHED.get(loss_model.name)
    law = {
        "what": f"loss and best split: {loss_model.name}",
        "value": loss_model.parameters,
        "unit": loss_model.law.formula,
        "source": entry.source if entry else "your fit",
        "status": entry.status if entry else "fitted",
        "counting": entry.counting if entry else "as in your table",
    }
    others = [*machine.assumed, *LAID_OUT]
    if serving is not machine:
        others += [item for item in serving.assumed if item.name in ("peak", "usd_per_hour", "watts")]
    return [law, *map(as_source, others)]


def as_source(item: Assumption) -> dict[str, Any]:
    """One number with its source; a range only where one is known."""
    return {"what": item.name, **{name: value for name, value in asdict(item).items() if value is not None}}


def checks_of(loss_model: LossModel, found: Allocation) -> list[Check]:
    """Named doubts about a split."""
    checks = []
    far = max(found.extrapolation, key=lambda name: found.extrapolation[name], default=None)
    if far is not None and found.extrapolation[far] > FAR:
        evidence = f"{found.extrapolation[far]:.3g} times beyond the runs behind {loss_model.name} in {far}"
        checks.append(Check("far_extrapolation", "doubt", evidence, "train a ladder nearer to this size first"))
    if not found.extrapolation:
        evidence = f"the range of the runs behind {loss_model.name} is not recorded"
        checks.append(Check("unknown_range", "note", evidence, "see foretoken laws show for what is known"))
    if found.interval_reason is not None:
        evidence = f"no interval: {NO_DRAWS}"
        checks.append(Check("no_interval", "doubt", evidence, "fit your own runs: foretoken fit TABLE -o fit.json"))
    if loss_model.name in PUBLISHED:
        evidence = f"{loss_model.name} was fitted to another text, tokenizer and recipe than yours"
        checks.append(Check("borrowed_law", "doubt", evidence, "fit your own runs; its split moves less than its loss"))
    if found.epochs > MANY:
        evidence = f"each distinct token is seen {found.epochs:.3g} times"
        checks.append(Check("many_epochs", "doubt", evidence, "find more text, or a smaller budget does as well"))
    return checks
