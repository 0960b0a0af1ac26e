"""What the doctor looks at: a table's rows, raw and usable, its IsoFLOP curves and its fit, as far as there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from foretoken.errors import RefusedError
from foretoken.fits.check import Check
from foretoken.fits.fit import fit
from foretoken.fits.result import Fit
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_rows import TableRows, without_refusals
from foretoken.routes.isoflop import Curve, isoflop_curves
from foretoken.runs.table import RunTable


@dataclass(frozen=True, kw_only=True)
class Examined(TableRows):
    """A table, looked at as far as it goes: nothing in it is refused here, mixtures are not looked at."""

    curves: list[Curve]
    """IsoFLOP curves; none where no two sizes share a budget."""
    fit: Fit | None
    refusal: str
    """Why there is no fit."""
    table: RunTable
    """The table without what would have been refused."""


CheckOf = Callable[[Examined], Iterable[Check]]


def examine(table: RunTable, params: str = "auto", seed: int = 0) -> Examined:
    """Look at a table. Raises TableError when columns are missing: then there is nothing to look at."""
    cleaned = without_refusals(table)
    rows = clean_rows(cleaned, params)
    try:
        curves = isoflop_curves(rows, draws=50, seed=seed)
    except RefusedError:
        curves = []
    try:
        found = fit(cleaned, "chinchilla", params=params, draws=50, seed=seed)
        refusal = ""
    except RefusedError as error:
        found, refusal = None, str(error).split("\n")[0]
    return Examined(
        frame=table.frame.reset_index(drop=True),
        rows=rows,
        assumed=table.assumed,
        curves=curves,
        fit=found,
        refusal=refusal,
        table=cleaned,
    )
