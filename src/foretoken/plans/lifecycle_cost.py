"""The whole life of a plan: the cheapest model over training and serving, counted in FLOP, in dollars and in energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foretoken.compute.machine import Assumption, Machine
from foretoken.compute.price import Cost
from foretoken.errors import ForetokenError
from foretoken.plans.inputs import PlanInputs
from foretoken.plans.lifetime import FLOP, Demand, Life, Price, lifetimes, smaller
from foretoken.plans.loss_model import LossModel
from foretoken.plans.request import SERVING_BATCH
from foretoken.plans.split import Allocation
from foretoken.plans.split_search import best_split
from foretoken.results import with_reasons_json

SHARES = (0.5, 0.25)
"""Sizes, in those of the best split of the same compute, whose price in training is told (de Vries 2023)."""


@dataclass(frozen=True, kw_only=True)
class SmallerModel:
    """What a smaller model than the best split of the same compute costs more in training, for the same loss."""

    params_factor: float
    params: float
    tokens_factor: float
    tokens: float
    overhead: float
    """Share of the plan's compute."""
    flops: float
    usd: float | None
    usd_reason: str | None
    kwh: float | None
    kwh_reason: str | None
    pays_after: float | None
    """Tokens served beyond which it is the cheaper one."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return with_reasons_json(asdict(self), pays_after="it is not smaller")


@dataclass(frozen=True)
class NoSmallerModel:
    """A share of the best size that never reaches its loss."""

    params_factor: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class WholeLife:
    """The model of the plan's loss that costs least over its life, by each way to count; what smaller ones cost."""

    flop: Life
    usd: Life | None
    usd_reason: str | None
    kwh: Life | None
    kwh_reason: str | None
    smaller: list[SmallerModel | NoSmallerModel]
    """One for each of `SHARES`."""
    assumed: tuple[Assumption, ...]

    def to_json(self, no_interval: str | None = None) -> dict[str, Any]:
        """Plain values; what is assumed stands among the plan's sources."""
        return {
            "flop": self.flop.to_json(no_interval),
            "usd": self.usd and self.usd.to_json(no_interval),
            "usd_reason": self.usd_reason,
            "kwh": self.kwh and self.kwh.to_json(no_interval),
            "kwh_reason": self.kwh_reason,
            "smaller": [model.to_json() for model in self.smaller],
        }


def whole_life(inputs: PlanInputs, split: Allocation, demand: Demand, price: Cost) -> WholeLife:
    """The whole life of models that reach the loss of `split`; `price` is that of its training.

    Raises ForetokenError for a serving batch below 1, RefusedError where nothing reaches the loss.
    """
    assert split.loss is not None
    loss_model, limits = inputs.loss_model, inputs.given.limits
    use = uses(inputs.serving, inputs.serving_batch)
    prices, reasons = _prices(inputs.training, inputs.serving, use)
    lives = {life.unit: life for life in lifetimes(loss_model, split.loss, demand, prices, limits)}
    return WholeLife(
        flop=lives["FLOP"],
        usd=lives.get("USD"),
        usd_reason=reasons.get("USD"),
        kwh=lives.get("kWh"),
        kwh_reason=reasons.get("kWh"),
        smaller=[_smaller(loss_model.point_estimate, split.flops, share, price) for share in SHARES],
        assumed=(use.reading, use.writing),
    )


@dataclass(frozen=True)
class ServingUse:
    """Shares of the peak that reading prompts and writing answers reach."""

    reading: Assumption
    writing: Assumption


def uses(machine: Machine, batch: int = SERVING_BATCH) -> ServingUse:
    """Shares of the peak that reading prompts and writing answers reach on a machine.

    A step of writing reads every weight once for the whole batch (2 bytes, 2 FLOP per request and weight), so that it
    reaches batch x bandwidth / peak, at most what reading reaches. Raises ForetokenError for a batch below 1.

    >>> from foretoken.compute.machine import machine
    >>> use = uses(machine("H100"))
    >>> round(use.reading.value, 3), round(use.writing.value, 3)
    (0.4, 0.108)
    """
    if batch < 1:
        raise ForetokenError("a server answers at least 1 request at once", got=f"{batch}")
    reading = machine.need("mfu")
    # FLOP of a step, 2 x weights x batch, over its seconds, 2 bytes x weights / bandwidth, over the peak.
    roofline = batch * machine.accelerator.bandwidth / machine.need("peak")
    name = machine.accelerator.name
    return ServingUse(
        Assumption("reading_mfu", reading, "", f"{name}: assumed, as in training"),
        Assumption("writing_mfu", min(reading, roofline), "", f"{name}: roofline of {batch} requests at once; assumed"),
    )


def _usd_per_hour(machine: Machine) -> float | None:
    return machine.value("usd_per_hour")


def _kwh_per_hour(machine: Machine) -> float | None:
    watts = machine.value("watts")
    return None if watts is None else watts / 1000.0 * machine.need("pue")


UNITS: tuple[tuple[str, Callable[[Machine], float | None], str], ...] = (
    ("USD", _usd_per_hour, "price"),
    ("kWh", _kwh_per_hour, "power"),
)
"""What a life is counted in beside FLOP: the unit, how much of it an hour takes, and what must be known for that."""


def _prices(training: Machine, serving: Machine, use: ServingUse) -> tuple[list[Price], dict[str, str]]:
    """What a FLOP costs in FLOP, in dollars and in kWh, and why one is not known."""
    prices, reasons = [FLOP], {}
    # (unit per hour) / (FLOP per hour at full peak x share of the peak) = unit per FLOP.
    peak = 3600.0 * serving.need("peak")
    for unit, per_hour, missing in UNITS:
        paid, served = per_hour(training), per_hour(serving)
        if paid is None or served is None:
            unknown = training if paid is None else serving
            reasons[unit] = f"no {missing} of {unknown.accelerator.name} is known"
            continue
        reading, writing = served / (peak * use.reading.value), served / (peak * use.writing.value)
        prices.append(Price(paid / training.flops_per_hour, reading, writing, unit))
    return prices, reasons


def _smaller(model: LossModel, flops: float, share: float, price: Cost) -> SmallerModel | NoSmallerModel:
    try:
        factors = smaller(model, flops, share)
        params, tokens = (float(half[0]) for half in best_split(model, np.array([flops])))
    except ForetokenError as error:
        return NoSmallerModel(share, error.message)
    return SmallerModel(
        params_factor=share,
        params=share * params,
        tokens_factor=factors.tokens_factor,
        tokens=factors.tokens_factor * tokens,
        overhead=factors.overhead,
        flops=factors.overhead * flops,
        # A share more of compute is that share more of hours, and so of dollars and energy.
        usd=None if price.usd is None else factors.overhead * price.usd,
        usd_reason=price.usd_reason,
        kwh=None if price.kwh is None else factors.overhead * price.kwh,
        kwh_reason=price.kwh_reason,
        pays_after=factors.pays_after,
    )
