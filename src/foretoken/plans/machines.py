"""The machines of a plan: as far as a user says them, how many there are, and what they do in a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
"""A number, or a text with a unit such as 7B; None where nothing was given."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a plan is reckoned with, as far as a user says it; the registry says the rest."""

    known: Accelerators
    """The registry, with the user's file over it."""
    accelerator: str | None = None
    count: float | None = None
    """How many work side by side."""
    mfu: float | None = None
    usd_per_hour: float | None = None
    watts: float | None = None
    pue: float | None = None
    kg_co2e_per_kwh: float | None = None
    precision: str | None = None
    serve_accelerator: str | None = None
    """What the model serves on, if not what it is trained on."""

    def trained_on(self, name: str, params: float) -> Machine:
        """The machine of this name as it trains a model of so many parameters."""
        return machine(
            name,
            params=params,
            known=self.known,
            mfu=self.mfu,
            usd_per_hour=self.usd_per_hour,
            watts=self.watts,
            pue=self.pue,
            kg_co2e_per_kwh=self.kg_co2e_per_kwh,
            precision=self.precision,
        )

    def served_on(self, training: Machine) -> Machine:
        """What the model serves on: the machine that trains it, unless another was named."""
        if self.serve_accelerator is None:
            return training
        return machine(self.serve_accelerator, known=self.known, pue=self.pue, kg_co2e_per_kwh=self.kg_co2e_per_kwh)

    def budget(self, text: str | float, params: float) -> Budget:
        """A budget of these machines, at the MFU that is typical of so many parameters.

        Raises ForetokenError where the text names another machine, or another number of them.
        """
        budget = parse_budget(
            text,
            accelerator=self.accelerator or (USUAL_MACHINE if needs_machine(text) else None),
            count=self.count,
            known=self.known,
            # A size below one parameter comes from a budget that is refused later, with a better sentence.
            params=max(1.0, params),
            mfu=self.mfu,
            usd_per_hour=self.usd_per_hour,
            watts=self.watts,
            pue=self.pue,
            kg_co2e_per_kwh=self.kg_co2e_per_kwh,
            precision=self.precision,
        )
        self._require_one(budget)
        return budget

    def _require_one(self, budget: Budget) -> None:
        used = budget.machine.accelerator if budget.machine else None
        if used and self.accelerator and self.known.find(self.accelerator).id != used.id:
            raise ForetokenError(
                "the budget names its own machine",
                expected=used.name,
                got=self.accelerator,
                cure="name it in one place",
            )
        if budget.count and self.count and budget.count != self.count:
            raise ForetokenError(
                "the budget names its own number of machines",
                expected=f"{budget.count:g}",
                got=f"{self.count:g}",
                cure="name it in one place",
            )

    def largest_served(self, latency: str | None, serve_on: int | None, total_per_param: float = 1.0) -> float:
        """The largest size that answers a token within a latency, on so many accelerators; infinite without both.

        The size is of what a token passes; memory holds `total_per_param` times as much.
        """
        if latency is None and serve_on is None:
            return math.inf
        used = machine(self.serve_accelerator or self.accelerator or USUAL_MACHINE, known=self.known)
        seconds = None if latency is None else 3600 * parse_hours(latency, "the latency")
        count = 1 if serve_on is None else serve_on
        # Idle experts fill memory, but a token reads only what it passes: the latency bounds active ones.
        by_memory = most_params(used, count=count) / total_per_param
        return min(by_memory, most_params(used, count=count, seconds_per_token=seconds))


def whole_number(count: Count) -> float | None:
    """A number of accelerators; None where there is none. Raises ForetokenError unless it is whole.

    >>> whole_number("1k"), whole_number(None)
    (1000.0, None)
    """
    if count is None:
        return None
    number = parse_count(count, "number of accelerators")
    if number != round(number):
        raise ForetokenError("the number of accelerators must be whole", got=f"{number:g}")
    return number


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
