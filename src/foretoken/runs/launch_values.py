"""Values of [launch] that have a form of their own: what may be spent, and the GPUs of a run by its size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from foretoken.compute.machine import machine
from foretoken.errors import ForetokenError, shown
from foretoken.runs.section import Count, Section, mistake
from foretoken.units import LONGEST, parse_count, parse_hours, parse_usd

LimitKind = Literal["usd", "gpu_hours", "core_hours", "hours", "until"]
UNITS: dict[LimitKind, str] = {"gpu_hours": "GPU-hours", "core_hours": "core-hours", "hours": "hours"}
EXAMPLES = '"$500", "40 GPU-hours", "12 CPU-hours", "36 hours" or "2026-12-24T18:00"'
_DEVICE_HOURS = re.compile(r"\s*(?P<count>\S+?)[\s-]*(?P<what>GPU|CPU|core)[-\s](?P<unit>[A-Za-z]+)\s*", re.IGNORECASE)
_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}(?!\d).*")
_NOTHING = re.compile(r"\s*(?:\$?-\$?[\d.,]+|\$?[0.,]*0[.,0]*)\s*(?![\d.,])\D*")
"""A negative amount or 0, in any unit."""
_MONEY = re.compile(r".*(\$|usd|dollars).*", re.IGNORECASE)


@dataclass(frozen=True)
class Limit:
    """One limit."""

    kind: LimitKind
    amount: float
    """Dollars or hours; of a deadline seconds since 1970."""

    def __str__(self) -> str:
        if self.kind == "until":
            return f"{datetime.fromtimestamp(self.amount).astimezone():%Y-%m-%d %H:%M %Z}"
        return f"${self.amount:,.10g}" if self.kind == "usd" else f"{self.amount:,.10g} {UNITS[self.kind]}"

    def in_words(self, amount: float) -> str:
        """An amount in the unit of this limit; of a deadline hours.

        >>> Limit("usd", 500.0).in_words(12.345), Limit("gpu_hours", 40.0).in_words(5.1)
        ('$12.3', '5.1 GPU-hours')
        """
        return f"${amount:,.3g}" if self.kind == "usd" else f"{amount:,.3g} {UNITS.get(self.kind, 'hours')}"

    def told(self, spent: float) -> str:
        """How much of it is spent; `spent` as `amount`.

        >>> Limit("gpu_hours", 40.0).told(37.21), Limit("usd", 500.0).told(412.5)
        ('37.2 of 40 GPU-hours', '$412 of $500')
        """
        if self.kind == "until":
            return f"the deadline {self}"
        return f"{'$' if self.kind == 'usd' else ''}{spent:,.3g} of {self}"


def parse_limit(text: str) -> Limit:
    """Read a limit; a deadline without a zone is in local time. Raises ForetokenError for a text that is none.

    A limit of nothing is none either: it would end a study before its first run.

    >>> parse_limit("$2k"), parse_limit("2 GPU-days"), parse_limit("90 min")
    (Limit(kind='usd', amount=2000.0), Limit(kind='gpu_hours', amount=48.0), Limit(kind='hours', amount=1.5))
    >>> parse_limit("2026-12-24T18:00+01:00").amount - parse_limit("2026-12-24T17:00Z").amount
    0.0
    """
    if _NOTHING.fullmatch(text[:LONGEST]):
        raise ForetokenError(
            "a limit is above 0", got=shown(text), cure="raise it, or leave it out: then there is none"
        )
    if len(text) <= LONGEST and _DATE.fullmatch(text):
        return Limit("until", _moment(text))
    try:
        return _amount(text)
    except ForetokenError:
        raise ForetokenError(f"a limit is written as {EXAMPLES}", got=shown(text)) from None


def _amount(text: str) -> Limit:
    if len(text) <= LONGEST and _MONEY.fullmatch(text):
        return Limit("usd", parse_usd(text, "limit"))
    if len(text) <= LONGEST and (found := _DEVICE_HOURS.fullmatch(text)):
        hours = parse_count(found["count"].replace(",", ""), "limit") * parse_hours(f"1 {found['unit']}", "limit")
        return Limit("gpu_hours" if found["what"].upper() == "GPU" else "core_hours", hours)
    return Limit("hours", parse_hours(text, "limit"))


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ForetokenError(
            "this is no date and time", expected='for example "2026-12-24T18:00"', got=f"{shown(text)}: {error}"
        ) from None


def _as_list(value: object) -> object:
    values = value if isinstance(value, list) else [value]
    # TOML has dates of its own, written without quotes.
    texts = [one.isoformat() if isinstance(one, date) else one for one in values]
    if not all(isinstance(one, str) for one in texts):
        raise ValueError(f"expected a text with its unit, or a list of them: {EXAMPLES}")
    return texts


def _is_limit(text: str) -> str:
    try:
        parse_limit(text)
    except ForetokenError as error:
        raise mistake(error) from error
    return text


LimitTexts = Annotated[list[Annotated[str, AfterValidator(_is_limit)]], BeforeValidator(_as_list)]
"""One limit or several, as they are written."""


def usd_price(accelerator: str | None, usd_per_hour: float | None) -> float | None:
    """Price of an hour: as it is given, else of the accelerator by the registry of `foretoken plan`."""
    if usd_per_hour is not None or accelerator is None:
        return usd_per_hour
    return machine(accelerator).value("usd_per_hour")


def check_limits(
    limits: Sequence[Limit], accelerator: str | None, usd_per_hour: float | None, *, has_gpus: bool
) -> None:
    """Raise ValueError for two limits of one kind, dollars without a price, GPU-hours where no run has a GPU."""
    kinds = [limit.kind for limit in limits]
    if twice := next((str(limit) for limit in limits if kinds.count(limit.kind) > 1), None):
        raise ValueError(f"limit: two of one kind; say the lower of them alone ({twice} is one)")
    try:
        price = usd_price(accelerator, usd_per_hour)
    except ForetokenError as error:
        raise mistake(error) from error
    if "usd" in kinds and price is None:
        raise ValueError(
            'limit: dollars need a price: say usd_per_hour = 2.5, or a GPU that has one, as accelerator = "H100"'
        )
    if not has_gpus and ("gpu_hours" in kinds or accelerator):
        raise ValueError("limit and accelerator: no run has a GPU; say in `gpus` how many each has")


RULES = 'a number, as 2 or 0.25, or a list of classes, as [{ below = "1B", gpus = 1 }, { gpus = 8 }]'


class GpusOfSize(Section):
    """The GPUs of the runs of one class of sizes."""

    below: Annotated[Count, Field(ge=1.0)] | None = None
    """Parameters that the runs of the class stay below; without it they are all the others."""
    gpus: float = Field(gt=0.0, le=64.0)


def _as_rule(value: object) -> object:
    """One number is a rule with one class; 0 says nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [{"gpus": value}] if value else []
    if not isinstance(value, list) or not all(isinstance(one, dict | GpusOfSize) for one in value):
        raise ValueError(f"expected GPUs of a run: {RULES}")
    return value


GpuRule = Annotated[list[GpusOfSize], BeforeValidator(_as_rule)]
"""The classes, the smallest sizes first."""


def check_rule(rule: Sequence[GpusOfSize], *, whole: bool) -> None:
    """Raise ValueError for classes that leave a size without GPUs or can hold none, and for shares where all is whole.

    >>> check_rule([GpusOfSize(below=1e9, gpus=1)], whole=False)
    Traceback (most recent call last):
        ...
    ValueError: gpus: the last class has no `below`, so that it holds every larger run: [..., { gpus = 8 }]
    """
    bounds = [one.below for one in rule]
    if rule and bounds[-1] is not None:
        raise ValueError("gpus: the last class has no `below`, so that it holds every larger run: [..., { gpus = 8 }]")
    said = [bound for bound in bounds[:-1] if bound is not None]
    if len(said) < len(bounds[:-1]) or said != sorted(set(said)):
        raise ValueError("gpus: each class but the last has a `below`, larger than that of the class before")
    for one in rule:
        if one.gpus > 1 and one.gpus != int(one.gpus):
            raise ValueError(f"gpus = {one.gpus:g}: a share is of one GPU; more than one are whole")
        if whole and one.gpus != int(one.gpus):
            raise ValueError(f"gpus = {one.gpus:g}: SLURM gives whole GPUs; kind 'ray' or 'local' takes shares of one")


def gpus_of(rule: Sequence[GpusOfSize], params: float) -> float:
    """The GPUs of a run of so many parameters; 0 without a rule.

    >>> gpus_of([GpusOfSize(below=1e9, gpus=0.25), GpusOfSize(gpus=8)], 1e9)
    8.0
    """
    return next((one.gpus for one in rule if one.below is None or params < one.below), 0.0)
