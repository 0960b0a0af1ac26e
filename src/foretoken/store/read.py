"""Runs from a file (CSV, JSON, JSON lines, parquet, a W&B export) or from the records below a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.arguments import named_arguments, nearest
from foretoken.errors import StoreError, TableError, shown
from foretoken.runs.exports import plain_columns, read_frame
from foretoken.runs.filters import filter_rows
from foretoken.runs.record import RunRecord
from foretoken.runs.table import COLUMNS, NEEDED, SIZES, RunTable, table_from_records
from foretoken.store.store import read_record

if TYPE_CHECKING:
    import pandas as pd


@named_arguments
def read_table(
    path: str | Path, rename: Mapping[str, str] | None = None, where: str = "", need: Sequence[str] = NEEDED
) -> RunTable:
    """Read runs from CSV, JSON, JSON lines or parquet, a W&B export among them, or from a folder of our records.

    A missing `flops` is filled with 6 x params x tokens. Whatever was done or assumed is said in `assumed`.

    Args:
        path: the file, or the folder of a study.
        rename: our column: the file's, as in `{"loss": "val_loss", "tokens": "D"}`.
        where: conditions that the rows meet, as `dataset=c4,step>=20000`.
        need: columns that must be there, `params` standing for any count of parameters.

    Raises TableError when a column is missing or holds no numbers, or no row is left.

    """
    path = Path(path)
    frame, assumed = _read_any(path)
    # Before anything is renamed: of two columns of one name nobody can say which was meant.
    _refuse_doubles(frame, {*COLUMNS, *(rename or {}).values()}, path)
    frame, notes = filter_rows(frame, where, rename)
    assumed += notes
    frame, notes = _rename(frame, dict(rename or {}), path)
    assumed += notes
    sizes = [name for name in SIZES if name in frame]
    countable = bool(sizes) and "tokens" in frame
    for name in need:
        given = bool(sizes) if name == "params" else name in frame or (name == "flops" and countable)
        if not given:
            _refuse_missing(path, name, frame)
    for name in frame.columns.intersection([*COLUMNS, *need]):
        if name not in COLUMNS or COLUMNS[name].is_number:
            frame[name] = _numbers(frame[name], path)
        else:
            _refuse_nested(frame[name], path)
    if "params_total" not in frame and "params" in frame:
        assumed.append("`params` is taken as N of undeclared convention (with or without embeddings is unknown)")
    if "flops" not in frame and countable:
        frame["flops"] = 6.0 * frame[sizes[0]] * frame["tokens"]
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    return RunTable(frame, str(path), tuple(assumed))


def _read_any(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a file or folder, and what was done to read them."""
    if not path.is_dir():
        return plain_columns(read_frame(path))
    table = table_from_records(records_in(path), str(path))
    return table.frame, [f"all {len(table)} records below {path} are rows, a target among them"]


def _refuse_doubles(frame: pd.DataFrame, used: set[str], path: Path) -> None:
    doubles = [name for name in frame.columns[frame.columns.duplicated()] if name in used]
    if doubles:
        raise TableError(
            f"{path} has two columns {doubles[0]!r}", cure="rename or delete one of them", code="duplicated_columns"
        )


def _rename(frame: pd.DataFrame, rename: dict[str, str], path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The frame under our names, and which of its own columns of these names are not read."""
    for ours, theirs in rename.items():
        if theirs not in frame:
            near = nearest(theirs, map(str, frame.columns))
            raise TableError(
                f"--map {ours}={theirs}: {path} has no column {theirs!r}",
                expected=", ".join(map(str, frame.columns)),
                cure=f"did you mean {near[0]!r}?" if near else "name one of these",
                code="missing_column",
            )
    # --map loss=val_loss beside a column `loss`: that column gives way, unless it is itself the source of another.
    hidden = [ours for ours in rename if ours in frame and ours not in rename.values()]
    notes = [f"the file's own column `{ours}` is not read: --map takes `{rename[ours]}` for it" for ours in hidden]
    return frame.drop(columns=hidden).rename(columns={theirs: ours for ours, theirs in rename.items()}), notes


def _refuse_missing(path: Path, name: str, frame: pd.DataFrame) -> None:
    raise TableError(
        f"{path} has no column for {name}",
        expected=f"a column {name!r}" + (f" ({COLUMNS[name].meaning})" if name in COLUMNS else ""),
        got=", ".join(map(str, frame.columns)),
        cure=f"name it: --map {name}=YOUR_COLUMN",
        code="missing_column",
    )


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    import pandas as pd

    if str(column.dtype) in ("float64", "int64"):
        return column.astype(float)
    numbers = pd.Series([_number(cell) for cell in column], index=column.index, dtype=float)
    _refuse_cells(column, numbers.isna(), path, "text where numbers are expected")
    return numbers


def _number(cell: object) -> float:
    """The number in a cell; NaN where there is none. Dates and truth values are none."""
    # float(True) is 1.0, which would make a number of a flag.
    if isinstance(cell, bool) or not isinstance(cell, str | Real | Decimal):
        return math.nan
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _refuse_nested(column: pd.Series, path: Path) -> None:
    from pandas.api.types import is_scalar

    nested = [isinstance(cell, bytes) or not is_scalar(cell) for cell in column]
    _refuse_cells(column, nested, path, "lists, objects or bytes where a word is expected")


def _refuse_cells(column: pd.Series, wrong: Sequence[bool] | pd.Series, path: Path, what: str) -> None:
    """Raise TableError for the first cell that is wrong and not missing."""
    rows = [row for row, (bad, filled) in enumerate(zip(wrong, column.notna(), strict=True)) if bad and filled]
    if rows:
        raise TableError(
            f"{path}: column {column.name!r} holds {what}",
            got=f"{shown(column.astype(object).iloc[rows[0]])} in row {rows[0] + 1}",
            cure="correct the cell or leave it empty",
            code="unreadable_cell",
        )


def records_in(folder: Path) -> list[RunRecord]:
    """Our records below a folder. Raises TableError when there are none, or one cannot be read."""
    paths = sorted(folder.rglob("record.json"))
    if not paths:
        raise TableError(f"{folder} holds no records", expected="a study's folder, or run folders with record.json")
    records = []
    for path in paths:
        try:
            records.append(read_record(path))
        except StoreError as error:
            raise TableError(error.message, got=error.got, cure="leave the run out, or train it again") from error
    return records
