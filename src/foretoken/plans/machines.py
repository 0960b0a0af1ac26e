"""The machines of a plan: as far as a user says them, how many there are, and what they do in a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.accelerators import Accelerators
from foretoken.compute.budget import Budget, needs_machine, parse_budget
from foretoken.compute.machine import Machine, machine
from foretoken.compute.serving import most_params
from foretoken.errors import ForetokenError
from foretoken.units import parse_count, parse_hours

USUAL_MACHINE = "H100"
"""Reckoned with where no machine is named."""
HELD = 20.0 / 0.9
"""Bytes of memory per parameter that training takes at least: 16 of weights, gradients and optimizer, then the rest."""
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
    serve_accelerator: str | None = None
    """What the model serves on, if not what it is trained on."""

    @property
    def values(self) -> dict[str, Any]:
        """What `machine.machine` takes by name."""
        names = ("mfu", "usd_per_hour", "watts", "pue", "kg_co2e_per_kwh", "precision")
        return {name: getattr(self, name) for name in names}

    @property
    def known(self) -> Accelerators:
        """The registry, with the user's file over it."""
        return read_accelerators(self.file) if self.file else read_accelerators()

    @property
    def number(self) -> float | None:
        """How many work side by side, where that was said. Raises ForetokenError unless it is whole."""
        if self.count is None:
            return None
        found = parse_count(self.count, "number of accelerators")
        if found != round(found):
            raise ForetokenError("the number of accelerators must be whole", got=f"{found:g}")
        return found

    def reckoned(self, name: str, params: float) -> Machine:
        """The machine of this name as it trains a model of so many parameters."""
        return machine(name, params=params, known=self.known, **self.values)

    def serving(self, training: Machine) -> Machine:
        """What the model serves on: the machine that trains it, unless another was named."""
        if self.serve_accelerator is None:
            return training
        site = self.pue, self.kg_co2e_per_kwh
        return machine(self.serve_accelerator, known=self.known, pue=site[0], kg_co2e_per_kwh=site[1])

    def budget(self, text: str | float, params: float) -> Budget:
        """A budget of these machines, at the MFU that is typical of so many parameters.

        Raises ForetokenError where the text names another machine, or another number of them.
        """
        name = self.accelerator or (USUAL_MACHINE if needs_machine(text) else None)
        found = parse_budget(
            text, accelerator=name, count=self.number, known=self.known, params=max(1.0, params), **self.values
        )
        self._require_one(found)
        return found

    def _require_one(self, budget: Budget) -> None:
        told = budget.machine.accelerator if budget.machine else None
        if told and self.accelerator and self.known.find(self.accelerator).id != told.id:
            raise ForetokenError(
                "the budget names its own machine",
                expected=told.name,
                got=self.accelerator,
                cure="name it in one place",
            )
        if budget.count and self.number and budget.count != self.number:
            raise ForetokenError(
                "the budget names its own number of machines",
                expected=f"{budget.count:g}",
                got=f"{self.number:g}",
                cure="name it in one place",
            )

    def servable(self, latency: str | None, serve_on: int | None, total_per_param: float = 1.0) -> float:
        """The largest size that answers a token within a latency, on so many accelerators; infinite if neither is said.

        The size is of what a token passes; memory holds `total_per_param` times as much.
        """
        if latency is None and serve_on is None:
            return math.inf
        used = machine(self.serve_accelerator or self.accelerator or USUAL_MACHINE, known=self.known)
        seconds = None if latency is None else 3600 * parse_hours(latency, "the latency")
        count = 1 if serve_on is None else serve_on
        held = most_params(used, count=count) / total_per_param
        return min(held, most_params(used, count=count, seconds_per_token=seconds))


def usual_count(hours: float, days: float = 30.0) -> int:
    """The smallest power of two of accelerators that does these accelerator-hours within `days`.

    >>> usual_count(368640)
    512
    """
    return _power_of_two(hours / 24 / days)


def holding_count(params: float, used: Machine) -> int:
    """The smallest power of two of accelerators whose memory holds the training of so many parameters.

    >>> holding_count(7e10, machine("H100"))
    32
    """
    return _power_of_two(HELD * params / used.accelerator.memory)


def _power_of_two(least: float) -> int:
    return int(2 ** math.ceil(math.log2(max(1.0, least))))


def require_in_time(flops: float, flops_per_hour: float, hours: float) -> None:
    """Raise ForetokenError, saying by how much, when a run takes longer than `hours`."""
    needed = flops / flops_per_hour
    if needed > hours:
        raise ForetokenError(
            f"the deadline is missed by a factor {needed / hours:.3g}",
            expected=f"at most {hours:.4g} h",
            got=f"{needed:.4g} h",
            cure=f"take at least {needed / hours:.3g} times as many accelerators, or a smaller run",
        )
