"""What accelerator-hours cost: dollars, energy, carbon."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from foretoken.compute.machine import Machine

CARBON = "location-based"
"""Carbon by the grid where the machine stands; a market-based figure subtracts what its owner buys elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a number of accelerator-hours. What is not known is None, with the reason beside it.

    >>> from foretoken.compute.machine import machine
    >>> training = cost(machine("A100"), 1_022_362)  # LLaMA-65B, printed: 449 MWh, 173 t
    >>> round(training.kwh / 1000, 1), round(training.tco2e, 1)
    (449.8, 173.2)
    """

    accelerator_hours: float
    hours: float | None
    """Of the whole run, where the number of accelerators is known."""
    usd: float | None
    usd_low: float | None
    usd_high: float | None
    """By the range of prices known."""
    usd_reason: str | None
    kwh: float | None
    """Of the accelerators at full power, times PUE."""
    kwh_reason: str | None
    tco2e: float | None
    carbon: str = CARBON

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def cost(machine: Machine, accelerator_hours: float, count: float | None = None) -> Cost:
    """Dollars, kWh and tonnes of CO2 equivalent of so many hours of one accelerator; `count` of them run side by side.

    Energy is hours x power x PUE; carbon is energy x the grid's intensity (as in LLaMA, arXiv 2302.13971, table 15).
    """
    price = next((item for item in machine.assumed if item.name == "usd_per_hour"), None)
    watts, name = machine.value("watts"), machine.accelerator.name
    low, high = (price.low or price.value, price.high or price.value) if price else (None, None)
    kwh = None if watts is None else accelerator_hours * watts / 1000.0 * machine.need("pue")
    return Cost(
        accelerator_hours=accelerator_hours,
        hours=accelerator_hours / count if count else None,
        usd=price.value * accelerator_hours if price else None,
        usd_low=low * accelerator_hours if low else None,
        usd_high=high * accelerator_hours if high else None,
        usd_reason=None if price else f"no price of {name} is known; give usd_per_hour",
        kwh=kwh,
        kwh_reason=None if watts else f"no power of {name} is known; give watts",
        tco2e=None if kwh is None else kwh * machine.need("kg_co2e_per_kwh") / 1000.0,
    )


def training_hours(machine: Machine, flops: float) -> float:
    """Accelerator-hours that so many FLOP take at the machine's peak and MFU.

    >>> from foretoken.compute.machine import machine
    >>> f"{training_hours(machine('A100', mfu=1.0), 1e24):.3g}"  # "1e24 FLOP are a million A100-hours": at full use
    '8.9e+05'
    """
    return flops / machine.flops_per_hour
