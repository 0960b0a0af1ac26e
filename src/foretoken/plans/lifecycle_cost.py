"""The whole life of a plan: the cheapest model over training and serving, counted in FLOP, in dollars and in energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foretoken.compute.machine import Assumption, Machine
from foretoken.compute.price import Cost
from foretoken.errors import ForetokenError
from foretoken.plans.lifetime import FLOP, Demand, Life, Price, lifetimes, smaller
from foretoken.plans.limits import Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split import Allocation, best_split

BATCH = 32
"""Requests that a server answers at once; assumed. Weights are read once for all of them."""
SHARES = (0.5, 0.25)
"""Sizes, in those of the best split of the same compute, whose price in training is told (de Vries 2023)."""


@dataclass(frozen=True)
class WholeLife:
    """The model of the plan's loss that costs least over its life, by each way to count; what smaller ones cost."""

    flop: Life
    usd: Life | None
    usd_reason: str | None
    kwh: Life | None
    kwh_reason: str | None
    smaller: list[dict[str, Any]]
    """Of each of `SHARES`: what it costs more in training for the same loss, and after how many tokens it pays."""
    assumed: tuple[Assumption, ...]


def whole_life(
    loss_model: LossModel,
    found: Allocation,
    demand: Demand,
    limits: Limits,
    training: Machine,
    serving: Machine,
    priced: Cost,
    batch: int = BATCH,
) -> WholeLife:
    """The whole life of models that reach the loss of `found`; it is served on `serving`, `batch` requests at once.

    Raises ForetokenError for a batch below 1, RefusedError where nothing reaches the loss.
    """
    assert found.loss is not None
    use = uses(serving, batch)
    prices, reasons = _prices(training, serving, use)
    lives = {life.unit: life for life in lifetimes(loss_model, found.loss, demand, prices, limits)}
    return WholeLife(
        flop=lives["FLOP"],
        usd=lives.get("USD"),
        usd_reason=reasons.get("USD"),
        kwh=lives.get("kWh"),
        kwh_reason=reasons.get("kWh"),
        smaller=[_smaller(loss_model, found.flops, share, priced) for share in SHARES],
        assumed=tuple(use.values()),
    )


def uses(machine: Machine, batch: int = BATCH) -> dict[str, Assumption]:
    """Shares of the peak that reading prompts and writing answers reach on a machine.

    A step of writing reads every weight once for the whole batch (2 bytes, 2 FLOP per request and weight), so that it
    reaches batch x bandwidth / peak, at most what reading reaches. Raises ForetokenError for a batch below 1.

    >>> from foretoken.compute.machine import machine
    >>> {name: round(use.value, 3) for name, use in uses(machine("H100")).items()}
    {'reading_mfu': 0.4, 'writing_mfu': 0.108}
    """
    if batch < 1:
        raise ForetokenError("a server answers at least 1 request at once", got=f"{batch}")
    reading = machine.need("mfu")
    writing = min(reading, batch * machine.accelerator.bandwidth / machine.need("peak"))
    name = machine.accelerator.name
    return {
        "reading_mfu": Assumption("reading_mfu", reading, "", f"{name}: assumed, as in training"),
        "writing_mfu": Assumption("writing_mfu", writing, "", f"{name}: roofline of {batch} requests at once; assumed"),
    }


def _usd(machine: Machine) -> float | None:
    return machine.value("usd_per_hour")


def _kwh(machine: Machine) -> float | None:
    watts = machine.value("watts")
    return None if watts is None else watts / 1000.0 * machine.need("pue")


def _prices(training: Machine, serving: Machine, use: dict[str, Assumption]) -> tuple[list[Price], dict[str, str]]:
    """What a FLOP costs in FLOP, in dollars and in kWh, and why one is not known."""
    found, reasons = [FLOP], {}
    peak = 3600.0 * serving.need("peak")
    for unit, per_hour, missing in (("USD", _usd, "price"), ("kWh", _kwh, "power")):
        paid, served = per_hour(training), per_hour(serving)
        if paid is None or served is None:
            unknown = training if paid is None else serving
            reasons[unit] = f"no {missing} of {unknown.accelerator.name} is known"
            continue
        reading, writing = (served / (peak * use[name].value) for name in ("reading_mfu", "writing_mfu"))
        found.append(Price(paid / training.flops_per_hour, reading, writing, unit))
    return found, reasons


def _smaller(loss_model: LossModel, flops: float, share: float, priced: Cost) -> dict[str, Any]:
    try:
        told = smaller(loss_model.point_estimate, flops, share)
        params, tokens = (float(half[0]) for half in best_split(loss_model.point_estimate, np.array([flops])))
    except ForetokenError as error:
        return {"params_factor": share, "reason": error.message}
    extra = {
        name: None if value is None else told.overhead * value
        for name, value in (("usd", priced.usd), ("kwh", priced.kwh))
    }
    return {
        "params_factor": share,
        "params": share * params,
        "tokens_factor": told.tokens_factor,
        "tokens": told.tokens_factor * tokens,
        "overhead": told.overhead,
        "flops": told.overhead * flops,
        **extra,
        "pays_after": told.pays_after,
    }
