"""The doctor: every named doubt that a table's columns allow, each with its evidence and its cure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from foretoken.checks import curves, fit, recipe
from foretoken.checks.conventions import Conventions, conventions_of
from foretoken.checks.table_view import CheckOf, Examined, examine
from foretoken.checks.unchecked import unchecked
from foretoken.fits import table_checks, unit_checks
from foretoken.fits.check import Check, worst_first
from foretoken.fits.parts import RowCounts
from foretoken.runs.table import RunTable

CHECKS: list[CheckOf] = [
    *table_checks.CHECKS,
    *unit_checks.CHECKS,
    *recipe.CHECKS,
    *curves.CHECKS,
    *fit.CHECKS,
]


@dataclass(frozen=True)
class Diagnosis:
    """What is doubtful about a table, and what its conventions do to it."""

    checks: list[Check]
    """Worst first."""
    rows: RowCounts
    params_column: str
    flops: str
    """How the recorded FLOPs relate to 6 N D."""
    assumed: list[str]
    conventions: Conventions
    unchecked: list[dict[str, Any]] = field(default_factory=list)
    """What the table's columns did not allow to look for: [{what, codes, columns}]."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the keys of the contract."""
        return {
            "checks": [asdict(check) for check in self.checks],
            "conventions": {
                "params": self.params_column,
                "flops": self.flops,
                "loss": "nats per token, as declared",
                **self.conventions.to_json(),
            },
            "rows": asdict(self.rows),
            "assumed": self.assumed,
            "unchecked": self.unchecked,
        }


def diagnose(table: RunTable, *, params: str = "auto", seed: int = 0) -> Diagnosis:
    """Look at a table, also at one that a fit would refuse. Raises TableError when columns are missing."""
    seen = examine(table, params, seed)
    return Diagnosis(
        checks=checks_of(seen),
        rows=RowCounts(len(seen.rows), seen.rows.dropped),
        params_column=seen.rows.params_column,
        flops=_flops(seen),
        assumed=list(dict.fromkeys([*seen.assumed, *seen.rows.assumed])),
        conventions=_conventions(seen),
        unchecked=unchecked(seen.frame),
    )


def checks_of(seen: Examined) -> list[Check]:
    """Every check that fires, once, worst first."""
    return worst_first(check for look in CHECKS for check in look(seen))


def _conventions(seen: Examined) -> Conventions:
    if seen.fit is None:
        return Conventions([], [], seen.rows.params_column, [], seen.refusal)
    return conventions_of(seen.table, seen.rows, seen.fit, 0.9)


def _flops(seen: Examined) -> str:
    if not len(seen.rows):
        return "no usable row"
    per = seen.rows.flops / (seen.rows.params * seen.rows.tokens)
    return f"{per.min():.3g} to {per.max():.3g} FLOP per parameter ({seen.rows.params_column}) and token; 6 N D is 6"
