"""An accelerator as it will be used: peak, utilisation, price, power and place, and where each number comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.accelerators import Accelerator, Accelerators
from foretoken.errors import ForetokenError, shown

YOURS = "yours"
MOST = {"mfu": 1.0, "pue": 100.0, "kg_co2e_per_kwh": 100.0}
"""What no such number exceeds; the others are only finite."""
LEAST = {"pue": 1.0}
"""What such a number is at least; the others are above 0."""


@dataclass(frozen=True)
class Assumption:
    """One number that a cost rests on, with its source; `low` and `high` where a range is known."""

    name: str
    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One accelerator in use."""

    accelerator: Accelerator
    assumed: tuple[Assumption, ...]
    """Every number that costs are computed with; those that a user gave have the source `yours`."""

    def value(self, name: str) -> float | None:
        """The number of this name; None where it is neither known nor given."""
        return next((item.value for item in self.assumed if item.name == name), None)

    def need(self, name: str) -> float:
        """As `value`; raises ForetokenError where the number is neither known nor given."""
        value = self.value(name)
        if value is None:
            raise ForetokenError(
                f"no {name} of {self.accelerator.name} is known",
                cure=f"give {name}, or a file for --accelerators that has it",
            )
        return value

    @property
    def flops_per_hour(self) -> float:
        """FLOP that a training gets out of one accelerator in an hour: peak x MFU x 3600."""
        return self.need("peak") * self.need("mfu") * 3600.0


def machine(
    accelerator: str | Accelerator,
    *,
    mfu: float | None = None,
    usd_per_hour: float | None = None,
    watts: float | None = None,
    pue: float | None = None,
    kg_co2e_per_kwh: float | None = None,
    precision: str | None = None,
    params: float = 1e9,
    known: Accelerators | None = None,
) -> Machine:
    """An accelerator in use, with the values that are given, else those of the registry.

    `mfu` is model FLOPs over peak (default: typical of the kind and of a model of `params` parameters); `usd_per_hour`
    is per accelerator; `watts` the accelerator's own power; `precision` names the peak (default bf16 or fp16).

    Raises ForetokenError for an unknown accelerator or precision, an MFU above 1, and numbers that are not above 0.

    >>> used = machine("H100", mfu=0.4)
    >>> f"{used.flops_per_hour:.3g}", used.value("usd_per_hour")
    ('1.42e+18', 2.95)
    """
    known = known or read_accelerators()
    entry = known.find(accelerator) if isinstance(accelerator, str) else accelerator
    own = {"mfu": mfu, "usd_per_hour": usd_per_hour, "watts": watts, "pue": pue, "kg_co2e_per_kwh": kg_co2e_per_kwh}
    check_values(own)
    usual = {item.name: item for item in _usual(entry, known, precision, params)}
    units = {"mfu": "", "usd_per_hour": "USD per hour", "watts": "W", "pue": "", "kg_co2e_per_kwh": "kg per kWh"}
    yours = {name: Assumption(name, value, units[name], YOURS) for name, value in own.items() if value is not None}
    return Machine(accelerator=entry, assumed=tuple((usual | yours).values()))


def utilisation(flops: float, accelerator_hours: float, peak: float) -> float:
    """Model FLOPs utilisation: FLOP of the model over what the accelerators could have done at `peak` FLOP/s.

    >>> round(utilisation(6 * 65.2e9 * 1.4e12, 1_022_362, 312e12), 3)  # LLaMA-65B
    0.477
    """
    return flops / (accelerator_hours * 3600.0 * peak)


def _usual(entry: Accelerator, known: Accelerators, precision: str | None, params: float) -> list[Assumption]:
    use, price, site = known.typical_use(entry, params), entry.price, known.site
    assumed = [
        Assumption("peak", entry.peak(precision), "FLOP/s", f"{entry.name}: {entry.source}"),
        Assumption("mfu", use.value, "", f"typical ({use.status}): {use.source}", use.low, use.high),
        Assumption("pue", site.pue, "", site.pue_source),
        Assumption("kg_co2e_per_kwh", site.kg_co2e_per_kwh, "kg per kWh", site.kg_co2e_per_kwh_source),
    ]
    if price:
        dated = f"{price.source}; {price.date}, approximate" if price.date else price.source
        assumed.append(Assumption("usd_per_hour", price.usd, "USD per hour", dated, price.low, price.high))
    if entry.watts:
        assumed.append(Assumption("watts", entry.watts, "W", f"{entry.name}: {entry.source}"))
    return assumed


def check_values(values: Mapping[str, float | None]) -> None:
    """Raise ForetokenError for an MFU above 1 and numbers that are not above 0 and finite; None is skipped."""
    for name, value in values.items():
        least, most = LEAST.get(name, 0.0), MOST.get(name, math.inf)
        sound = isinstance(value, int | float) and 0 < value <= most and least <= value and math.isfinite(value)
        if value is not None and not sound:
            low = f"at least {least:g}" if least else "above 0"
            limit = f"{low}, at most {most:g}" if math.isfinite(most) else f"{low} and finite"
            raise ForetokenError(f"{name} cannot be {shown(value)}", expected=limit, got=shown(value))
