"""A table beside its usable rows: what the checks of a table read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from foretoken.fits.check import Check
from foretoken.fits.mixtures import MIXED, losses_apart
from foretoken.fits.rows import Rows
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """A table and its usable rows."""

    frame: pd.DataFrame
    """All rows, numbered from 0."""
    rows: Rows
    """Those that could be used."""
    assumed: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: RunTable, rows: Rows) -> TableRows:
        """A table beside its usable rows."""
        return cls(frame=table.frame.reset_index(drop=True), rows=rows, assumed=table.assumed)

    def used(self, name: str) -> Array | None:
        """A column of numbers at the usable rows; None where it is absent or has gaps there."""
        if name not in self.frame:
            return None
        values = self.frame[name].iloc[self.rows.row_index].to_numpy(dtype=np.float64)
        return values if len(values) and np.isfinite(values).all() else None

    def words(self, name: str) -> list[str]:
        """Distinct texts of a column at the usable rows, in order of appearance."""
        if name not in self.frame:
            return []
        return [str(value) for value in self.frame[name].iloc[self.rows.row_index].dropna().unique()]


TableCheck = Callable[[TableRows], Iterable[Check]]


def without_refusals(table: RunTable) -> RunTable:
    """The table without what `clean_rows` refuses: a loss of 0 or below becomes a missing one, mixtures are ignored."""
    frame = table.frame.reset_index(drop=True)
    if "loss" in frame:
        frame = frame.assign(loss=frame["loss"].where(~(frame["loss"] <= 0)))
    return replace(table, frame=frame.drop(columns=[*MIXED, losses_apart(frame)], errors="ignore"))
