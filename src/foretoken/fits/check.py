"""Check: one named doubt about a table, a fit or a forecast, and the words of its evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from foretoken.errors import RefusedError

PLAIN = {"extra": "forbid", "allow_inf_nan": False}
"""How pydantic reads what another program may have written."""
Severity = Literal["refusal", "doubt", "note"]
"""Worst first. `refusal`: there is no number. `doubt`: the number is to be used with care. `note`: good to know."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Check:
    """One named doubt about a table or a fit."""

    __pydantic_config__ = PLAIN

    code: str
    severity: Severity
    evidence: str
    cure: str

    @classmethod
    def of_refusal(cls, error: RefusedError) -> Check:
        """A refusal, as a check beside others."""
        return cls(error.code, "refusal", error.evidence, error.cure or "")

    @property
    def is_refusal(self) -> bool:
        """Whether there is no number at all."""
        return self.severity == "refusal"

    @property
    def is_doubt(self) -> bool:
        """Whether there is a number, to be used with care."""
        return self.severity == "doubt"

    @property
    def is_note(self) -> bool:
        """Whether it is only good to know."""
        return self.severity == "note"


def worst_first(checks: Iterable[Check]) -> list[Check]:
    """Each check once, worst first."""
    unique = {(check.code, check.evidence): check for check in checks}
    return sorted(unique.values(), key=lambda check: SEVERITIES.index(check.severity))


def plural(count: int, noun: str, several: str = "") -> str:
    """`1 run`, `2 runs`.

    >>> plural(1, "run"), plural(2, "row"), plural(2, "trajectory", "trajectories")
    ('1 run', '2 rows', '2 trajectories')
    """
    return f"{count} {noun if count == 1 else several or noun + 's'}"


def listed(values: Iterable[object], most: int = 5) -> str:
    """The first few of many, in words.

    >>> listed("abcdefg", most=3)
    'a, b, c and 4 more'
    """
    words = [str(value) for value in values]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def by_chance(probability: float) -> str:
    """A probability under chance alone, in words.

    >>> by_chance(0.004), by_chance(1e-9)
    ('by chance: 0.4 %', 'by chance: below 0.1 %')
    """
    return "by chance: below 0.1 %" if probability < 1e-3 else f"by chance: {100 * probability:.2g} %"
