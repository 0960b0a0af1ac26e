"""A frame in our columns and units: what is renamed, multiplied, assumed and refused on the way to a run table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from foretoken.errors import TableError, shown
from foretoken.runs.builtin import table_path
from foretoken.runs.cells import COUNTED, Unit, loss_unit, numbers_in, refuse_cells
from foretoken.runs.exports import plain_columns, read_status
from foretoken.runs.files import read_frame
from foretoken.runs.filters import filter_rows
from foretoken.runs.sources import Source, apply_map, proposals
from foretoken.runs.table import COLUMNS, NEEDED, SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd


class ArrowStream(Protocol):
    """A frame of any library that shares its columns in memory: polars, pyarrow, DuckDB, ..."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See the Arrow PyCapsule interface."""
        ...


AnyTable: TypeAlias = "RunTable | pd.DataFrame | ArrowStream | str | Path"
"""Runs as a RunTable, as a frame, or in a file."""


def as_table(table: AnyTable, need: Sequence[str] = NEEDED) -> RunTable:
    """A run table as it is; a frame, or a file, read as `read_table` reads one.

    >>> import pandas as pd
    >>> runs = as_table(pd.DataFrame({"params": ["70M"], "tokens": [1.4e9], "loss": [3.65]}))
    >>> float(runs.frame["params"].iloc[0])
    70000000.0
    """
    if isinstance(table, RunTable):
        return table
    if isinstance(table, str | Path):
        return table_from_file(Path(table), {}, "", need)
    return table_from_frame(_as_pandas(table), "the frame", need=need)


def _as_pandas(frame: object) -> pd.DataFrame:
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame.reset_index(drop=True)
    if hasattr(frame, "__arrow_c_stream__"):
        import pyarrow

        table: pd.DataFrame = pyarrow.table(frame).to_pandas()
        return table
    raise TableError(
        "this is no table of runs",
        expected="a RunTable, a frame of pandas or polars, or the path of a file",
        got=shown(frame),
        cure="foretoken.read_table(path) reads a file or a study's folder",
    )


def table_from_file(path: Path, rename: Mapping[str, str], where: str, need: Sequence[str]) -> RunTable:
    """The runs of a file, as `read_table` says."""
    frame, notes = read_frame(table_path(path))
    return table_from_frame(frame, str(path), rename, where, need, notes)


def table_from_frame(
    frame: pd.DataFrame,
    source: str,
    rename: Mapping[str, str] | None = None,
    where: str = "",
    need: Sequence[str] = NEEDED,
    notes: Sequence[str] = (),
    *,
    ours: bool = False,
) -> RunTable:
    """The runs of a frame in our columns; `notes` is what was done to it before. Raises TableError as `read_table`.

    Of records of `ours` the units are known, however small a run.
    """
    rename = dict(rename or {})
    frame, flattened = plain_columns(frame)
    assumed = [*notes, *flattened]
    # Before anything is renamed: of two columns of one name nobody can say which was meant.
    _refuse_doubles(frame, {*COLUMNS, *rename.values()}, source)
    frame, notes = filter_rows(frame, where, rename)
    assumed += notes
    frame, notes, sources = apply_map(frame, rename, source)
    assumed += notes
    sizes = [name for name in SIZES if name in frame]
    countable = bool(sizes) and "tokens" in frame
    given = {*frame.columns, *(["params"] if sizes else []), *(["flops"] if countable else [])}
    missing = [name for name in need if name not in given]
    if missing:
        raise _missing(source, missing, frame)
    for name in frame.columns.intersection([*COLUMNS, *need]):
        if name not in COLUMNS or COLUMNS[name].is_number:
            frame[name], notes = _counted(frame[name], sources.get(name), source)
            assumed += notes
        else:
            _refuse_nested(frame[name], source)
    if "loss" in frame and "loss" in sources:
        frame["loss"], notes = _in_nats(frame["loss"], sources["loss"], source)
        assumed += notes
    if "status" in frame:
        frame["status"], notes = read_status(frame["status"], source)
        assumed += notes
    for name in ("params", "tokens", "flops") if "loss" in need and not ours else ():
        _refuse_implausible(frame, name, sources, source)
    if "params_total" not in frame and "params" in frame:
        assumed.append("`params` is taken as N of undeclared convention (with or without embeddings is unknown)")
    if "flops" not in frame and countable:
        frame["flops"] = 6.0 * frame[sizes[0]] * frame["tokens"]
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    return RunTable(frame, source, tuple(assumed))


def _refuse_doubles(frame: pd.DataFrame, used: set[str], source: str) -> None:
    doubles = [name for name in frame.columns[frame.columns.duplicated()] if name in used]
    if doubles:
        raise TableError(
            f"{source} has two columns {doubles[0]!r}", cure="rename or delete one of them", code="duplicated_columns"
        )


def _missing(source: str, missing: Sequence[str], frame: pd.DataFrame) -> TableError:
    expected = [f"{name!r}" + (f" ({COLUMNS[name].meaning})" if name in COLUMNS else "") for name in missing]
    return TableError(
        f"{source} has no column for {' and '.join(missing)}",
        expected=", ".join(expected),
        got=", ".join(map(str, frame.columns)),
        cure=proposals(frame, list(missing)),
        code="missing_column",
    )


def _counted(column: pd.Series, made_of: Source | None, source: str) -> tuple[pd.Series, list[str]]:
    """A column of numbers in our unit, and the unit that it was read in."""
    ours, unit = str(column.name), made_of.unit if made_of else None
    factor = unit.factor if unit else 1.0
    numbers = numbers_in(column, source, factor)
    if made_of is None or unit is None or factor == 1.0:
        return numbers, []
    _refuse_double_unit(numbers, ours, made_of, unit, source)
    return numbers, [f"`{ours}` is read from `{made_of.columns[0]}`, in {unit.name}"]


def _in_nats(loss: pd.Series, made_of: Source, source: str) -> tuple[pd.Series, list[str]]:
    """A loss in nats per token, from what its column's name says it is in."""
    column = made_of.columns[0]
    unit = loss_unit(column) if made_of.is_one_column and made_of.unit is None else None
    if unit is None:
        return loss, []
    if unit.in_nats is None:
        raise TableError(
            f"{source}: `{column}` is in {unit.name}, and laws here are of nats per token",
            expected="a loss in nats per token, bits per token or perplexity",
            got=f"losses around {float(loss.median()):.4g} {unit.name}",
            cure=f"say what a token holds, as in --map 'loss={column}*3.6*0.6931' for 3.6 bytes a token (0.6931 nats a"
            f" bit), or with a column: loss={column}*bytes_per_token*0.6931",
            code="loss_unit",
        )
    return unit.in_nats(loss), [f"`loss` is read from `{column}`, in {unit.name}, as nats per token"]


LEAST = {"params": 1e3, "tokens": 1e4, "flops": 1e6}
"""No language model has fewer parameters, was trained on fewer tokens or with less FLOP."""
USUAL = {"params": "M for millions (k, M, B, T)", "tokens": "B for billions (k, M, B, T)", "flops": "PF-days (ZFLOP)"}
MOST = {"count": 1e15, "flops": 1e30}
"""No count of parameters or tokens, and no training, is larger: a unit was then taken twice."""


def _refuse_implausible(frame: pd.DataFrame, name: str, sources: Mapping[str, Source], source: str) -> None:
    """Raise TableError for N, D or C that no language model has, unless its unit was said outright."""
    ours = next((size for size in SIZES if size in frame), None) if name == "params" else name
    if ours is None or ours not in frame or (ours in sources and sources[ours].unit is not None):
        return
    values = frame[ours]
    least = float(values[values > 0].min()) if (values > 0).any() else math.inf
    if least < LEAST[name]:
        column = sources[ours].columns[0] if ours in sources else ours
        raise TableError(
            f"{source}: `{column}` cannot be {name} of a language model",
            expected=f"at least {LEAST[name]:g}",
            got=f"{least:.6g} in row {int((values == least).to_numpy().argmax()) + 1}",
            cure=f"say the unit: --map {ours}={column}:{USUAL[name]}, or :1 where it is as it stands",
            code="implausible_unit",
        )


def _refuse_double_unit(numbers: pd.Series, ours: str, made_of: Source, unit: Unit, source: str) -> None:
    most, limit = float(numbers.max()), MOST[COUNTED[ours]]
    if most > limit:
        column = made_of.columns[0]
        raise TableError(
            f"{source}: `{column}` in {unit.name} would be {most:.3g}",
            expected=f"at most {limit:g}",
            got=f"{most / unit.factor:.6g} as it stands",
            cure=f"say that its numbers are whole: --map {ours}={column}:1",
            code="implausible_unit",
        )


def _refuse_nested(column: pd.Series, source: str) -> None:
    from pandas.api.types import is_scalar

    nested = [isinstance(cell, bytes) or not is_scalar(cell) for cell in column]
    refuse_cells(column, nested, source, "lists, objects or bytes where a word is expected")
