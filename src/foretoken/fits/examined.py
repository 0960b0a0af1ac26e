"""What the doctor looks at: a table's rows, raw and usable, its IsoFLOP curves and its fit, as far as there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from foretoken.errors import RefusedError
from foretoken.fits.fit import fit
from foretoken.fits.isoflop import Curve, isoflop_curves
from foretoken.fits.result import Check, Fit
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Examined:
    """A table, looked at as far as it goes: nothing in it is refused here."""

    frame: pd.DataFrame
    """All rows, numbered from 0."""
    rows: Rows
    """Those that could be used: mixed evaluation sets are not looked at."""
    curves: list[Curve]
    """IsoFLOP curves; none where no two sizes share a budget."""
    fit: Fit | None
    refusal: str
    """Why there is no fit."""
    assumed: list[str]
    table: RunTable
    """The table without what would have been refused."""

    def used(self, name: str) -> Array | None:
        """A column of numbers at the usable rows; None where it is absent or has gaps there."""
        if name not in self.frame:
            return None
        values = self.frame[name].iloc[self.rows.at].to_numpy(dtype=np.float64)
        return values if len(values) and np.isfinite(values).all() else None

    def words(self, name: str) -> list[str]:
        """Distinct texts of a column at the usable rows, in order of appearance."""
        if name not in self.frame:
            return []
        return [str(value) for value in self.frame[name].iloc[self.rows.at].dropna().unique()]


CheckOf = Callable[[Examined], Iterable[Check]]


def examine(table: RunTable, params: str = "auto", seed: int = 0) -> Examined:
    """Look at a table. Raises TableError when columns are missing: then there is nothing to look at."""
    frame = table.frame.reset_index(drop=True)
    positive = frame.assign(loss=frame["loss"].where(~(frame["loss"] <= 0)))  # a loss of 0 is a missing one
    lenient = replace(table, frame=positive.drop(columns="eval_set", errors="ignore"))
    rows = clean_rows(lenient, params)
    try:
        curves = isoflop_curves(rows, draws=50, seed=seed)
    except RefusedError:
        curves = []
    try:
        found = fit(lenient, "chinchilla", params=params, draws=50, seed=seed)
        refusal = ""
    except RefusedError as error:
        found, refusal = None, str(error).split("\n")[0]
    return Examined(frame, rows, curves, found, refusal, list(table.assumed), lenient)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(values: Iterable[object], most: int = 5) -> str:
    """The first few of many, in words."""
    words = [str(value) for value in values]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
