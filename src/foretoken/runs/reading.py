"""A frame in our columns and units: what is renamed, multiplied, assumed and refused on the way to a run table."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from foretoken.errors import TableError, shown
from foretoken.runs.builtin import table_path
from foretoken.runs.cells import COUNTED, Unit, as_list, has_errors, number, numbers_in, refuse_cells
from foretoken.runs.exports import FINISHED, plain_columns, read_endings
from foretoken.runs.files import read_frame
from foretoken.runs.filters import filter_rows
from foretoken.runs.loss_units import LossUnit, declared_unit, in_kept_unit, named_loss_unit, unit_in_name
from foretoken.runs.sources import Source, apply_map, as_typed, completed, other_losses, other_sizes, proposals
from foretoken.runs.table import COLUMNS, NEEDED, SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class ArrowStream(Protocol):
    """A frame of any library that shares its columns in memory: polars, pyarrow, DuckDB, ..."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See the Arrow PyCapsule interface."""
        ...


AnyTable: TypeAlias = "RunTable | pd.DataFrame | ArrowStream | str | Path"
"""Runs as a RunTable, as a frame, or in a file."""


FRAME = "the frame"
"""The source of rows that come from no file."""


def as_table(
    table: AnyTable,
    need: Sequence[str] = NEEDED,
    loss_unit: str = "",
    rename: Mapping[str, str] | None = None,
    where: str = "",
) -> RunTable:
    """A run table as it is; a frame, or a file, read as `read_table` reads one; the arguments as there.

    Raises TableError for a `loss_unit` that a run table contradicts.

    >>> import pandas as pd
    >>> runs = as_table(pd.DataFrame({"params": ["70M"], "tokens": [1.4e9], "loss": [3.65]}))
    >>> float(runs.frame["params"].iloc[0])
    70000000.0
    """
    if isinstance(table, RunTable) and not (rename or where):
        return _in_unit(table, loss_unit)
    if isinstance(table, RunTable):
        return table_from_frame(table.frame, table.source, rename, where, need, table.assumed, loss_unit=loss_unit)
    if isinstance(table, str | Path):
        return table_from_file(Path(table), rename or {}, where, need, loss_unit)
    return table_from_frame(_as_pandas(table), FRAME, rename, where, need, loss_unit=loss_unit)


def _in_unit(table: RunTable, loss_unit: str) -> RunTable:
    """A run table with its loss in the unit that is kept of the one it declares, or that is said."""
    said = named_loss_unit(loss_unit) if loss_unit else None
    declared = declared_unit(table.frame)
    if declared and said and said != declared[1]:
        # What was read before was converted before: nobody can say which of the two its numbers are in now.
        raise TableError(
            f"{table.source} is in {declared[1].name}, not in {said.name}",
            cure="say loss_unit where the table is read: foretoken.read_table(path, loss_unit=...)",
            code="loss_unit",
        )
    unit = said or (declared[1] if declared else None)
    if unit is None or "loss" not in table.frame or (declared and unit.kept == unit.name):
        return table
    told = f"`loss` is in {unit.name}" + ("" if unit.kept == unit.name else f", taken as {unit.kept}")
    return replace(table, frame=in_kept_unit(table.frame, unit), assumed=(*table.assumed, told))


def _as_pandas(frame: object) -> pd.DataFrame:
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        # A groupby leaves its keys in the index; an index without names only numbers the rows.
        named = [name for name in frame.index.names if name is not None and name not in frame]
        return _with_plain_names(frame.reset_index(level=named) if named else frame).reset_index(drop=True)
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


def _with_plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose columns have names of one level each: ("loss", "mean") is `loss.mean`, ("loss", "") is `loss`."""
    names = [
        ".".join(str(part) for part in (name if isinstance(name, tuple) else (name,)) if part != "") for name in frame
    ]
    return frame.set_axis(names, axis=1)


def table_from_file(
    path: Path, rename: Mapping[str, str], where: str, need: Sequence[str], loss_unit: str = ""
) -> RunTable:
    """The runs of a file, as `read_table` says."""
    frame, notes = read_frame(table_path(path))
    logger.info("read %s: %d rows, columns %s", path, len(frame), ", ".join(map(str, frame.columns)))
    return table_from_frame(frame, str(path), rename, where, need, notes, loss_unit=loss_unit)


def table_from_frame(
    frame: pd.DataFrame,
    source: str,
    rename: Mapping[str, str] | None = None,
    where: str = "",
    need: Sequence[str] = NEEDED,
    notes: Sequence[str] = (),
    *,
    loss_unit: str = "",
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
    frame = _numbered_doubles(frame)
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
    frame, notes = read_endings(frame, source, look="status" not in rename)
    assumed += notes
    for name in frame.columns.intersection([*COLUMNS, *need]):
        frame[name], notes = _read_cells(_of_ended(frame, name), sources.get(name), source)
        assumed += notes
    if "loss" in frame:
        frame, notes = _loss_in_its_unit(frame, sources.get("loss"), loss_unit)
        assumed += notes
    if "loss" in need and not ours:
        _refuse_merged(frame, sizes, sources, source)
        for name in LEAST:
            _refuse_implausible(frame, name, sources, source)
        assumed += [*other_sizes(frame, sizes, sources), *other_losses(frame, sources.get("loss"))]
    frame, notes = completed(frame, rename, sizes[0] if countable else "")
    return RunTable(frame, source, tuple([*assumed, *notes]), sources["loss"].name if "loss" in sources else "")


def _refuse_doubles(frame: pd.DataFrame, used: set[str], source: str) -> None:
    doubles = [name for name in frame.columns[frame.columns.duplicated()] if name in used]
    if doubles:
        raise TableError(
            f"{source} has two columns {doubles[0]!r}", cure="rename or delete one of them", code="duplicated_columns"
        )


def _numbered_doubles(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a number behind the second and third column of one name: x, x.1, x.2."""
    if frame.columns.is_unique:
        return frame
    names, count = list[str](), Counter[str]()
    for name in map(str, frame.columns):
        names.append(f"{name}.{count[name]}" if count[name] else name)
        count[name] += 1
    return frame.set_axis(names, axis=1)


def _missing(source: str, missing: Sequence[str], frame: pd.DataFrame) -> TableError:
    names = list(map(str, frame.columns))
    if len(names) > 1 and not any(math.isnan(number(name, "flops")) for name in names):
        raise TableError(
            f"{source}: the first line holds numbers, and no names of columns",
            expected=", ".join(missing),
            got=", ".join(map(str, frame.columns)),
            cure="put a line of names above it, such as params,tokens,loss",
            code="no_header",
        )
    named_by_number = [name for name in names if number(name, "tokens") > 0]
    if len(named_by_number) > 2 and 2 * len(named_by_number) > len(frame.columns):
        others = [name for name in names if name not in named_by_number]
        raise TableError(
            f"{source}: columns are named by numbers, so it has a loss per size and length, not a run per row",
            expected="one row per run, with its size (params), its tokens and its loss",
            got=", ".join(map(str, frame.columns)),
            cure=f"write it long, as pandas does: frame.melt({others[:1]}, var_name='tokens', value_name='loss')",
            code="wide_table",
        )
    expected = [f"{name!r}" + (f" ({COLUMNS[name].meaning})" if name in COLUMNS else "") for name in missing]
    return TableError(
        f"{source} has no column for {', '.join(missing)}",
        expected=", ".join(expected),
        got=", ".join(map(str, frame.columns)) or "no columns",
        cure=proposals(frame, missing)
        if source != FRAME
        else f"foretoken.read_table(frame, {proposals(frame, missing)})",
        code="missing_column",
    )


def _of_ended(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column without what stands in place of numbers where a run has not finished: such rows are left out anyway."""
    column = frame[name]
    if (
        "status" not in frame
        or str(column.dtype) in ("float64", "int64")
        or not (name in COLUMNS and COLUMNS[name].is_number)
    ):
        return column
    unfinished = frame["status"].notna() & (frame["status"] != FINISHED)
    unread = column.map(lambda cell: isinstance(cell, str) and math.isnan(number(cell, name)))
    return column.where(~(unfinished & unread), None)


def _read_cells(column: pd.Series, made_of: Source | None, source: str) -> tuple[pd.Series, list[str]]:
    """A column of ours with numbers, where it holds them, in our unit, and what was read."""
    name = str(column.name)
    if name not in COLUMNS or COLUMNS[name].is_number:
        return _counted(column, made_of, source)
    _refuse_nested(column, source)
    return column, []


def _counted(column: pd.Series, made_of: Source | None, source: str) -> tuple[pd.Series, list[str]]:
    """A column of numbers in our unit, and the unit that it was read in."""
    ours, unit = str(column.name), made_of.unit if made_of else None
    factor = unit.factor if unit else 1.0
    _refuse_lists(column, made_of, source)
    numbers = numbers_in(column, source, factor, percent=ours in ("score", "score_se"))
    errors = [f"what stands behind ± in `{ours}` is not read"] if has_errors(column) else []
    if made_of and len(made_of.columns) > 1 and unit is None:
        _refuse_double_unit(numbers, ours, made_of, Unit(made_of.factor, "the units of its names"), source)
    if made_of is None or unit is None or factor == 1.0:
        return numbers, errors
    _refuse_double_unit(numbers, ours, made_of, unit, source)
    return numbers, [*errors, f"`{ours}` is read from `{made_of.columns[0]}`, in {unit.name}"]


def _refuse_lists(column: pd.Series, made_of: Source | None, source: str) -> None:
    """Raise TableError where cells hold lists: the curve of each run, of which nobody has said which point counts."""
    cells = column if str(column.dtype) not in ("float64", "int64") else ()
    row = next((row for row, cell in enumerate(cells) if as_list(cell) is not None), None)
    if row is not None:
        name = made_of.columns[0] if made_of else str(column.name)
        raise TableError(
            f"{source}: `{name}` holds a list in each cell, such as the curve of a run",
            expected=f"one number per run as {column.name}",
            got=f"{shown(as_list(column.iloc[row]))} in row {row + 1}",
            cure=f"take the last of each: {as_typed(f'{column.name}={name}[-1]')}",
            code="unreadable_cell",
        )


def _loss_in_its_unit(frame: pd.DataFrame, made_of: Source | None, option: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with its loss in the unit that is kept of the one it is in, and what was read.

    `option` (--loss-unit) is believed first, then a column that says the unit, then the name of the loss's column.
    """
    says: dict[str, LossUnit] = {}
    if option:
        says["--loss-unit"] = named_loss_unit(option)
    says |= _said_by_table(frame, made_of, lenient=bool(option))
    if not says:
        return frame, []
    who, unit = next(iter(says.items()))
    others = {other: its for other, its in says.items() if its != unit}
    if others and not option:
        ((other, its),) = others.items()
        raise TableError(
            f"the unit of the loss is contradictory: {who} says {unit.name}, {other} says {its.name}",
            cure="say which is right: --loss-unit",
            code="loss_unit",
        )
    kept = "" if unit.kept == unit.name else f", as {unit.kept}"
    against = "".join(f", though {other} says {its.name}" for other, its in others.items())
    return in_kept_unit(frame, unit), [f"`loss` is read in {unit.name}{kept}: {who} says so{against}"]


def _said_by_table(frame: pd.DataFrame, made_of: Source | None, *, lenient: bool) -> dict[str, LossUnit]:
    """The unit of the loss by who says it; with `lenient`, what is unclear says nothing."""
    says: dict[str, LossUnit] = {}
    try:
        if declared := declared_unit(frame):
            says[f"the column `{declared[0]}`"] = declared[1]
        # A product, or a column with `:1`, is whatever was made of it.
        if made_of and made_of.is_one_column and made_of.unit is None and (named := unit_in_name(made_of.columns[0])):
            says[f"the name `{made_of.columns[0]}`"] = named
    except TableError:
        if not lenient:
            raise
    return says


def _refuse_merged(frame: pd.DataFrame, sizes: Sequence[str], sources: Mapping[str, Source], source: str) -> None:
    """Raise TableError for sizes or lengths that stand in the first row of each group alone, as of merged cells."""
    for ours in (*sizes[:1], "tokens"):
        if ours not in frame or not {"loss", "tokens"} <= set(frame):
            continue
        other = frame["tokens"] if ours != "tokens" else frame[sizes[0]] if sizes else frame["loss"]
        rows = frame[frame["loss"].notna() & other.notna()]
        blank = rows[ours].isna()
        if len(rows) > 3 and 2 * blank.sum() >= len(rows) and not blank.iloc[0] and rows[ours].nunique() > 1:
            name = sources[ours].name if ours in sources else ours
            raise TableError(
                f"{source}: `{name}` stands in {int((~blank).sum())} of {len(rows)} rows, the first of each group,"
                " as merged cells leave it",
                expected="a number in every row",
                cure=f"fill it down: in a spreadsheet, or frame[{name!r}].ffill() of pandas",
                code="merged_cells",
            )


LEAST = {"params": 1e3, "tokens": 1e4, "flops": 1e6}
"""No language model has fewer parameters, was trained on fewer tokens or with less FLOP."""
USUAL = {
    "params": ("M", "millions (k, M, B, T)"),
    "tokens": ("B", "billions (k, M, B, T)"),
    "flops": ("PF-days", "PF-days"),
}
MOST = {"count": 1e15, "flops": 1e30}
"""No count of parameters or tokens, and no training, is larger: a unit was then taken twice."""


def _refuse_implausible(frame: pd.DataFrame, name: str, sources: Mapping[str, Source], source: str) -> None:
    """Raise TableError for N, D or C that no language model has, unless its unit was said outright."""
    ours = next((size for size in SIZES if size in frame), None) if name == "params" else name
    if ours is None or ours not in frame or (ours in sources and sources[ours].unit is not None):
        return
    # A run that crashed at its first step, or whose loss is missing, is left out anyway.
    counts = frame["status"].isna() | (frame["status"] == FINISHED) if "status" in frame else frame[ours].notna()
    size = next((size for size in SIZES if size in frame), "tokens")
    counts &= frame.reindex(columns=["loss", "tokens", size]).notna().all(axis=1)
    values = frame[ours].where(counts)
    least = float(values[values > 0].min()) if (values > 0).any() else math.inf
    if least < LEAST[name]:
        made_of, (unit, words) = sources.get(ours, Source((ours,), 1.0, None)), USUAL[name]
        raise TableError(
            f"{source}: `{made_of.name}` cannot be {name} of a language model",
            expected=f"at least {LEAST[name]:g}",
            got=f"{least:.6g} in row {int((values == least).to_numpy().argmax()) + 1}",
            cure=f"say the unit: {made_of.in_unit(unit, ours)} for {words},"
            f" or {made_of.in_unit('1', ours)} where it is as it stands",
            code="implausible_unit",
        )


def _refuse_double_unit(numbers: pd.Series, ours: str, made_of: Source, unit: Unit, source: str) -> None:
    most, limit = float(numbers.max()), MOST.get(COUNTED.get(ours, ""), math.inf)
    if most > limit:
        raise TableError(
            f"{source}: `{made_of.name}` in {unit.name} would be {most:.3g}",
            expected=f"at most {limit:g}",
            got=f"{most / unit.factor:.6g} as it stands",
            cure=f"say that its numbers are whole: {made_of.in_unit('1', ours)}",
            code="implausible_unit",
        )


def _refuse_nested(column: pd.Series, source: str) -> None:
    from pandas.api.types import is_scalar

    nested = [isinstance(cell, bytes) or not is_scalar(cell) for cell in column]
    refuse_cells(column, nested, source, "lists, objects or bytes where a word is expected")
