"""What is doubtful about a table, said beside every number that is made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from foretoken.fits import checks_rows, checks_units
from foretoken.fits.outliers import outlying_runs
from foretoken.fits.result import SEVERITIES, Check, Fit
from foretoken.fits.rows import Rows
from foretoken.fits.seen import look
from foretoken.runs.table import RunTable


def doubts(table: RunTable, rows: Rows, unit: str = "nats per token") -> list[Check]:
    """Every doubt about a table and its usable rows, worst first; its units only where the law is of nats per token."""
    units = checks_units.TABLE if unit == "nats per token" else []
    seen = look(table, rows)
    return worst_first(check for of in [*checks_rows.TABLE, *units] for check in of(seen))


def with_doubts(fit: Fit, table: RunTable, rows: Rows, unit: str) -> Fit:
    """A fit that also says what is doubtful about its table."""
    return replace(fit, checks=worst_first([*fit.checks, *outlying_runs(fit), *doubts(table, rows, unit)]))


def worst_first(checks: Iterable[Check]) -> list[Check]:
    """Each check once, worst first."""
    unique = {(check.code, check.evidence): check for check in checks}
    return sorted(unique.values(), key=lambda check: SEVERITIES.index(check.severity))
