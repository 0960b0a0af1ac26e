"""Budgets in people's units: FLOP, PF-days, accelerators for a time, accelerator-hours, dollars."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.accelerators import Accelerators
from foretoken.compute.machine import Assumption, Machine, check_values, machine
from foretoken.compute.price import Cost, cost
from foretoken.errors import ForetokenError, shown
from foretoken.units import HOUR_UNITS, LONGEST, parse_count, parse_flops, parse_hours, parse_usd

COUNT = r"\s*(?P<count>[-+]?[0-9][0-9_,.]*(?:[eE][-+]?[0-9]+)?[kKMB]?)(?:\s*[x×]\s*|\s+)"
UNITS = "|".join(sorted(HOUR_UNITS, key=len, reverse=True))
TIME = rf"(?P<time>(?:[0-9][0-9_.]*\s*|(?:half\s+)?(?:an?|one)\s+)(?:{UNITS}))"
FOR_A_TIME = re.compile(COUNT + r"(?P<name>\S.*?)\s+for\s+(?P<time>.+)")
AND_A_TIME = re.compile(COUNT + rf"(?P<name>\S.*?)(?:\s*[,x×]\s*|\s+){TIME}\s*", re.IGNORECASE)
TIME_OF = re.compile(rf"\s*{TIME}\s+(?:of|on|with)\s+{COUNT}(?P<name>\S.*)", re.IGNORECASE)
TIME_ALONE = re.compile(rf"\s*(?:for\s+)?{TIME}\s*", re.IGNORECASE)
HOURS_OF = re.compile(
    COUNT + r"(?:GPU|TPU|chip|accelerator)[-\s](?P<unit>hours?|h|days?)\s+(?:of|on|with)\s+(?P<name>\S.*)",
    re.IGNORECASE,
)
HOURS = re.compile(COUNT + r"(?P<name>\S.*?)[-\s](?P<unit>hours?|h|days?|weeks?|months?|years?)\s*")
MONEY = re.compile(r"(?P<money>.*(?:\$|usd|dollars).*?)(?:\s+(?:of|on)\s+(?P<name>.+))?", re.IGNORECASE)
ONLY_MACHINES = re.compile(COUNT + r"(?P<name>\S.*)")
NO_MACHINES = frozenset(HOUR_UNITS) | {"token", "tokens", "parameters", "params"}
"""Words after a number that name no accelerator."""
PLURAL = re.compile(r"\s+(?:gpu|tpu|accelerator|card)s?$|(?<=[0-9])s$|(?<=chip)s$", re.IGNORECASE)
"""What people write behind a name: 64 H100s, 64 H100 GPUs."""
EXAMPLES = "1e24 FLOP, 3640 PF-days, 512 H100 for 30 days, 512xH100 30d, 1e6 H100-hours, $2M of H100"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """An amount of training compute, and the machine that does it where one was named.

    >>> budget = parse_budget("512 H100 for 30 days", mfu=0.4)
    >>> f"{budget.flops:.3g}", budget.accelerator_hours, budget.days
    ('5.25e+23', 368640.0, 30.0)
    """

    text: str
    flops: float
    machine: Machine | None = None
    accelerator_hours: float | None = None
    count: float | None = None
    """Accelerators side by side."""

    @property
    def assumed(self) -> tuple[Assumption, ...]:
        """Every number between the text and the FLOP, with its source."""
        return self.machine.assumed if self.machine else ()

    @property
    def days(self) -> float | None:
        """Length of the run in days; None where the number of accelerators is not known."""
        return self.accelerator_hours / self.count / 24.0 if self.accelerator_hours and self.count else None

    @property
    def cost(self) -> Cost | None:
        """Dollars, energy and carbon of it; None without a machine."""
        if self.machine is None or self.accelerator_hours is None:
            return None
        return cost(self.machine, self.accelerator_hours, self.count)


Read = Callable[[str, re.Match[str], Machine | None, float | None], Budget]


def parse_budget(
    text: str | float | int,
    *,
    accelerator: str | None = None,
    count: float | None = None,
    known: Accelerators | None = None,
    mfu: float | None = None,
    usd_per_hour: float | None = None,
    watts: float | None = None,
    pue: float | None = None,
    kg_co2e_per_kwh: float | None = None,
    precision: str | None = None,
    params: float = 1e9,
) -> Budget:
    """Read a budget; a bare number is FLOP.

    `accelerator` and `count` are used where the text names none (dollars need one; FLOP get their hours by it). The
    others are those of `machine.machine`.

    Raises ForetokenError for a text that is no budget, accelerators without a time, dollars without an accelerator or
    a price, an unknown accelerator (with the nearest names), an MFU above 1, and numbers that are not above 0.

    >>> f"{parse_budget('3640 PF-days').flops:.4g}"
    '3.145e+23'
    >>> f"{parse_budget('$2M', accelerator='H100', mfu=0.4).flops:.3g}"
    '9.66e+23'
    """
    if count is not None:
        count = parse_count(count, "number of accelerators")
    values = {"mfu": mfu, "usd_per_hour": usd_per_hour, "watts": watts, "pue": pue, "kg_co2e_per_kwh": kg_co2e_per_kwh}
    check_values({**values, "params": params})
    named = partial(
        machine,
        known=known,
        precision=precision,
        params=params,
        mfu=mfu,
        usd_per_hour=usd_per_hour,
        watts=watts,
        pue=pue,
        kg_co2e_per_kwh=kg_co2e_per_kwh,
    )
    used = named(accelerator) if accelerator else None
    if not isinstance(text, str):
        return _from_flops(str(text), parse_flops(text), used, count)
    return _parse_text(text, named, used, count, known)


def _parse_text(
    text: str,
    named: Callable[[str], Machine],
    used: Machine | None,
    count: float | None,
    known: Accelerators | None,
) -> Budget:
    """A budget in words; `named` makes the machine that it names, `used` is there where it names none."""
    if len(text) > LONGEST:
        raise ForetokenError("the budget is too long a text", expected=EXAMPLES, got=shown(text))
    for pattern, read in _forms(text, known):
        match = pattern.fullmatch(text)
        if match and not _is_flops(text):
            name = match["name"]
            return read(text, match, named(_singular(name, known)) if name else used, count)
    if alone := TIME_ALONE.fullmatch(text):
        return _time(text, alone, used, count)
    _refuse_other_texts(text, known)
    return _from_flops(text, parse_flops(text), used, count)


def _forms(text: str, known: Accelerators | None) -> list[tuple[re.Pattern[str], Read]]:
    """What a budget may look like, in the order in which it is looked for."""
    hours = HOURS.fullmatch(text)
    # The last word of a name may be a number: 1000 RTX 4090 days are not days of 1000 RTX.
    one_name = hours is not None and _is_known(_singular(hours["name"], known), known)
    short: list[tuple[re.Pattern[str], Read]] = [] if one_name else [(AND_A_TIME, _machines)]
    named_last: list[tuple[re.Pattern[str], Read]] = [(MONEY, _money), (HOURS_OF, _hours), (TIME_OF, _machines)]
    return [(FOR_A_TIME, _machines), *named_last, *short, (HOURS, _hours)]


def _refuse_other_texts(text: str, known: Accelerators | None) -> None:
    only = None if _is_flops(text) else ONLY_MACHINES.fullmatch(text)
    strange = only is not None and only["name"].strip().lower() in NO_MACHINES
    if only and not strange:
        name = _singular(only["name"], known)
        (known or read_accelerators()).find(name)
        raise ForetokenError(
            "a number of accelerators is no budget without a time",
            expected=f"for example {only['count']} {name} for 30 days",
            got=text,
        )
    if strange or not re.match(r"\s*[-+.]?[0-9]", text):
        raise ForetokenError("this is no budget", expected=f"one of these forms: {EXAMPLES}", got=shown(text))


def needs_machine(text: str | float | int) -> bool:
    """Whether a budget is an amount of dollars that names no machine to spend them on.

    >>> needs_machine("$2M"), needs_machine("$2M of H100"), needs_machine("1e24 FLOP")
    (True, False, False)
    """
    if not isinstance(text, str) or len(text) > LONGEST or _is_flops(text):
        return False
    match = MONEY.fullmatch(text)
    return match is not None and not match["name"]


def _is_flops(text: str) -> bool:
    return bool(re.search(r"flops?\s*$|[pe]f(/s)?-days?\s*$", text, re.IGNORECASE))


def _machines(text: str, match: re.Match[str], used: Machine | None, count: float | None) -> Budget:
    assert used
    number = parse_count(match["count"].replace(",", ""), "number of accelerators")
    return _from_hours(text, number * parse_hours(match["time"]), used, number)


def _time(text: str, match: re.Match[str], used: Machine | None, count: float | None) -> Budget:
    if used is None or count is None:
        raise ForetokenError(
            "a time is no budget without accelerators",
            expected="their number and name",
            got=shown(text),
            cure=f"write for example 512 H100 for {match['time']}, or name an accelerator and a count",
        )
    return _from_hours(text, count * parse_hours(match["time"]), used, count)


def _singular(name: str, known: Accelerators | None) -> str:
    """The name of one of several, unless what looks like a plural is a name: L40S."""
    return name if _is_known(name, known) else PLURAL.sub("", name.strip())


def _is_known(name: str, known: Accelerators | None) -> bool:
    try:
        return bool((known or read_accelerators()).find(name))
    except ForetokenError:
        return False


def _hours(text: str, match: re.Match[str], used: Machine | None, count: float | None) -> Budget:
    assert used
    number = parse_count(match["count"].replace(",", ""), "number of accelerator-hours")
    return _from_hours(text, number * parse_hours(f"1 {match['unit']}"), used, count)


def _money(text: str, match: re.Match[str], used: Machine | None, count: float | None) -> Budget:
    usd = parse_usd(match["money"], "budget")
    if used is None:
        raise ForetokenError(
            "a budget in dollars needs an accelerator to spend them on",
            got=text,
            cure=f"write {text.strip()} of H100, or name an accelerator",
        )
    return _from_hours(text, usd / used.need("usd_per_hour"), used, count)


def _from_hours(text: str, hours: float, used: Machine, count: float | None) -> Budget:
    flops = parse_flops(hours * used.flops_per_hour, "budget")
    return Budget(text=text, flops=flops, machine=used, accelerator_hours=hours, count=count)


def _from_flops(text: str, flops: float, used: Machine | None, count: float | None) -> Budget:
    hours = flops / used.flops_per_hour if used else None
    return Budget(text=text, flops=flops, machine=used, accelerator_hours=hours, count=count)
