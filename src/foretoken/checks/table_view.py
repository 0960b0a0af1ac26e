"""A table as its checks see it: raw and usable rows, IsoFLOP curves, and a fit, as far as there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from foretoken.checks.surface import Surface, surface_of
from foretoken.errors import RefusedError
from foretoken.fits.check import Check
from foretoken.fits.fit import fit
from foretoken.fits.result import Fit
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_rows import TableRows, without_refusals
from foretoken.laws import CHINCHILLA
from foretoken.routes.isoflop import Curve, isoflop_curves
from foretoken.runs.table import RunTable


@dataclass(frozen=True, kw_only=True)
class TableView(TableRows):
    """A table, looked at as far as it goes: nothing in it is refused here, mixtures are not looked at."""

    curves: list[Curve]
    """IsoFLOP curves; none where no two sizes share a budget."""
    fit: Fit | None
    refusal: str
    """Why there is no fit."""
    surface: Surface | None = None
    """What the coupled law leaves of the losses; none for few runs and where there is no fit."""
    table: RunTable
    """The table without what would have been refused."""


TableCheck = Callable[[TableView], Iterable[Check]]


def view_table(table: RunTable, params: str = "auto", seed: int = 0) -> TableView:
    """Look at a table. Raises TableError when columns are missing: then there is nothing to look at."""
    cleaned = without_refusals(table)
    rows = clean_rows(cleaned, params)
    try:
        curves = isoflop_curves(rows, draws=50, seed=seed)
    except RefusedError:
        curves = []
    try:
        # Chinchilla's form whatever is forecast with later: the checks ask for exponents of N* and for parabolas of its
        # surface, and both have closed forms here.
        found = fit(cleaned, CHINCHILLA.name, params=params, draws=50, seed=seed)
        refusal = ""
    except RefusedError as error:
        found, refusal = None, str(error).split("\n")[0]
    return TableView(
        frame=table.frame.reset_index(drop=True),
        rows=rows,
        assumed=table.assumed,
        curves=curves,
        fit=found,
        refusal=refusal,
        surface=surface_of(rows) if found else None,
        table=cleaned,
    )
