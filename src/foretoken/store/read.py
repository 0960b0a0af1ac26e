"""Runs from a file of any kind (runs/files.py) or from the records below a folder, in our columns and units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.arguments import named_arguments
from foretoken.errors import StoreError, TableError, shown
from foretoken.runs.cells import COUNTED, Unit, number
from foretoken.runs.exports import plain_columns, read_status
from foretoken.runs.files import read_frame
from foretoken.runs.filters import filter_rows
from foretoken.runs.record import RunRecord
from foretoken.runs.sources import Source, apply_map, proposals
from foretoken.runs.table import COLUMNS, NEEDED, SIZES, RunTable, table_from_records
from foretoken.store.store import read_record

if TYPE_CHECKING:
    import pandas as pd


@named_arguments
def read_table(
    path: str | Path, rename: Mapping[str, str] | None = None, where: str = "", need: Sequence[str] = NEEDED
) -> RunTable:
    """Read runs from a file of any kind (CSV, JSON, parquet, ..., compressed or not), or from a folder of our records.

    Units are carried: a column's name (`params_M`, `tokens (billions)`), its cells (`70M`, `6.1 ZFLOP`) or `rename`
    (`mparams:M`) say them. A missing `flops` is filled with 6 x params x tokens. Whatever was done or assumed is said
    in `assumed`.

    Args:
        path: the file, `-` for standard input, or the folder of a study.
        rename: our column: the file's, as in `{"loss": "val_loss", "tokens": "steps*batch*context", "params": "n:M"}`;
            an empty name leaves our column unread.
        where: conditions that the rows meet, as `dataset=c4,step>=20000`.
        need: columns that must be there, `params` standing for any count of parameters.

    Raises TableError when a column is missing or holds no numbers, no row is left, or a count cannot be what it is
    said to be (a language model of 70 parameters).

    """
    path, rename = Path(path), dict(rename or {})
    frame, assumed = _read_any(path)
    # Before anything is renamed: of two columns of one name nobody can say which was meant.
    _refuse_doubles(frame, {*COLUMNS, *rename.values()}, path)
    frame, notes = filter_rows(frame, where, rename)
    assumed += notes
    frame, notes, sources = apply_map(frame, rename, str(path))
    assumed += notes
    sizes = [name for name in SIZES if name in frame]
    countable = bool(sizes) and "tokens" in frame
    given = {*frame.columns, *(["params"] if sizes else []), *(["flops"] if countable else [])}
    missing = [name for name in need if name not in given]
    if missing:
        raise _missing(path, missing, frame)
    for name in frame.columns.intersection([*COLUMNS, *need]):
        if name not in COLUMNS or COLUMNS[name].is_number:
            frame[name], notes = _counted(frame[name], sources.get(name), path)
            assumed += notes
        else:
            _refuse_nested(frame[name], path)
    if "status" in frame:
        frame["status"], notes = read_status(frame["status"], str(path))
        assumed += notes
    for name in ("params", "tokens", "flops") if "loss" in need else ():
        _refuse_implausible(frame, name, sources, path)
    if "params_total" not in frame and "params" in frame:
        assumed.append("`params` is taken as N of undeclared convention (with or without embeddings is unknown)")
    if "flops" not in frame and countable:
        frame["flops"] = 6.0 * frame[sizes[0]] * frame["tokens"]
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    return RunTable(frame, str(path), tuple(assumed))


def _read_any(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a file or folder, and what was done to read them."""
    if not path.is_dir():
        frame, read = read_frame(path)
        frame, flattened = plain_columns(frame)
        return frame, [*read, *flattened]
    table = table_from_records(records_in(path), str(path))
    return table.frame, [f"all {len(table)} records below {path} are rows, a target among them"]


def _refuse_doubles(frame: pd.DataFrame, used: set[str], path: Path) -> None:
    doubles = [name for name in frame.columns[frame.columns.duplicated()] if name in used]
    if doubles:
        raise TableError(
            f"{path} has two columns {doubles[0]!r}", cure="rename or delete one of them", code="duplicated_columns"
        )


def _missing(path: Path, missing: Sequence[str], frame: pd.DataFrame) -> TableError:
    expected = [f"{name!r}" + (f" ({COLUMNS[name].meaning})" if name in COLUMNS else "") for name in missing]
    return TableError(
        f"{path} has no column for {' and '.join(missing)}",
        expected=", ".join(expected),
        got=", ".join(map(str, frame.columns)),
        cure=proposals(frame, list(missing)),
        code="missing_column",
    )


def _counted(column: pd.Series, source: Source | None, path: Path) -> tuple[pd.Series, list[str]]:
    """A column of numbers in our unit, and the unit that it was read in."""
    ours, unit = str(column.name), source.unit if source else None
    factor = unit.factor if unit else 1.0
    numbers = _numbers(column, path, factor)
    if source is None or unit is None or factor == 1.0:
        return numbers, []
    _refuse_double_unit(numbers, ours, source, unit, path)
    return numbers, [f"`{ours}` is read from `{source.columns[0]}`, in {unit.name}"]


def _numbers(column: pd.Series, path: Path, factor: float = 1.0) -> pd.Series:
    import pandas as pd

    if str(column.dtype) in ("float64", "int64"):
        return column.astype(float) * factor
    # A cell with a unit of its own is whole; the unit of the column is for bare numbers.
    bare = pd.Series([number(cell) for cell in column], index=column.index, dtype=float) * factor
    numbers = bare.where(bare.notna(), [number(cell, str(column.name)) for cell in column])
    _refuse_cells(column, numbers.isna(), path, "text where numbers are expected")
    return numbers


LEAST = {"params": 1e3, "tokens": 1e4, "flops": 1e6}
"""No language model has fewer parameters, was trained on fewer tokens or with less FLOP."""
USUAL = {"params": "M for millions (k, M, B, T)", "tokens": "B for billions (k, M, B, T)", "flops": "PF-days (ZFLOP)"}
MOST = {"count": 1e15, "flops": 1e30}
"""No count of parameters or tokens, and no training, is larger: a unit was then taken twice."""


def _refuse_implausible(frame: pd.DataFrame, name: str, sources: Mapping[str, Source], path: Path) -> None:
    """Raise TableError for N, D or C that no language model has, unless its unit was said outright."""
    ours = next((size for size in SIZES if size in frame), None) if name == "params" else name
    if ours is None or ours not in frame or (ours in sources and sources[ours].unit is not None):
        return
    values = frame[ours]
    least = float(values[values > 0].min()) if (values > 0).any() else math.inf
    if least < LEAST[name]:
        column = sources[ours].columns[0] if ours in sources else ours
        raise TableError(
            f"{path}: `{column}` cannot be {name} of a language model",
            expected=f"at least {LEAST[name]:g}",
            got=f"{least:.6g} in row {int((values == least).to_numpy().argmax()) + 1}",
            cure=f"say the unit: --map {ours}={column}:{USUAL[name]}, or :1 where it is as it stands",
            code="implausible_unit",
        )


def _refuse_double_unit(numbers: pd.Series, ours: str, source: Source, unit: Unit, path: Path) -> None:
    most, limit = float(numbers.max()), MOST[COUNTED[ours]]
    if most > limit:
        column = source.columns[0]
        raise TableError(
            f"{path}: `{column}` in {unit.name} would be {most:.3g}",
            expected=f"at most {limit:g}",
            got=f"{most / unit.factor:.6g} as it stands",
            cure=f"say that its numbers are whole: --map {ours}={column}:1",
            code="implausible_unit",
        )


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
