"""RunTable: many runs in canonical columns, from our records or from anybody's file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from foretoken.errors import TableError, shown
from foretoken.runs.filters import keep_rows
from foretoken.runs.importing import plain_columns, records_in
from foretoken.runs.reading import read_frame
from foretoken.runs.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """One canonical column."""

    kind: str
    """`text`, `number` or `flag`."""
    unit: str
    meaning: str
    determined: bool = True
    """False for what differs between two runs of the same spec: times, energy, machines."""


COLUMNS: dict[str, Column] = {
    "run": Column("text", "", "name of the run"),
    "group": Column("text", "", "budget or grid line that the run belongs to"),
    "family": Column("text", "", "decoder, encoder, ..."),
    "objective": Column("text", "", "causal, masked, ..."),
    "corpus": Column("text", "", "training text"),
    "tokenizer": Column("text", "", "tokenizer"),
    "eval_set": Column("text", "", "validation text; one law is fitted to one"),
    "params_total": Column("number", "parameters", "all trained parameters"),
    "params_embedding": Column("number", "parameters", "token and position embedding"),
    "params_head": Column("number", "parameters", "output head, 0 when tied"),
    "params_non_embedding": Column("number", "parameters", "without embeddings and head"),
    "params_active": Column("number", "parameters", "used for one token"),
    "params": Column("number", "parameters", "N of undeclared convention, from a foreign table"),
    "tokens": Column("number", "tokens", "training tokens seen"),
    "unique_tokens": Column("number", "tokens", "distinct training tokens"),
    "flops": Column("number", "FLOP", "training compute"),
    "flops_6nd": Column("number", "FLOP", "6 x params_total x tokens"),
    "loss": Column("number", "nats per token", "validation loss"),
    "loss_se": Column("number", "nats per token", "standard error of the loss"),
    "bits_per_byte": Column("number", "bits", "validation loss per byte of text"),
    "layers": Column("number", "", "blocks"),
    "width": Column("number", "", "residual width"),
    "heads": Column("number", "", "attention heads"),
    "context": Column("number", "tokens", "sequence length"),
    "steps": Column("number", "", "optimizer steps"),
    "learning_rate": Column("number", "", "peak learning rate"),
    "batch_tokens": Column("number", "tokens", "tokens per step"),
    "warmup_tokens": Column("number", "tokens", "length of the warm-up"),
    "schedule": Column("text", "", "learning-rate schedule"),
    "annealed": Column("flag", "", "whether the learning rate was brought down at the end"),
    "skipped_steps": Column("number", "", "steps not applied or batches left out after a spike of the loss"),
    "parent": Column("text", "", "trunk; runs with one parent share a trajectory"),
    "task": Column("text", "", "downstream task"),
    "metric": Column("text", "", "downstream metric"),
    "shots": Column("number", "", "examples in the prompt"),
    "score": Column("number", "", "downstream score"),
    "score_se": Column("number", "", "standard error of the score"),
    "seed": Column("number", "", "random seed"),
    "threads": Column("number", "", "threads of the process"),
    "software": Column("text", "", "version of the training recipe and of torch; one law is fitted to one"),
    "version": Column("text", "", "version of foretoken", False),
    "finished_at": Column("text", "UTC", "end of the run", False),
    "status": Column("text", "", "finished, diverged or failed"),
    "seconds": Column("number", "s", "time of the run", False),
    "tokens_per_second": Column("number", "1/s", "training speed", False),
    "mfu": Column("number", "", "model FLOPs utilisation", False),
    "kwh": Column("number", "kWh", "energy", False),
    "device": Column("text", "", "machine", False),
}


NEEDED = ("params", "tokens", "loss")
"""Columns that a table of runs has."""
SIZES = ("params_total", "params", "params_active", "params_non_embedding")
"""Counts that can be N, the one taken first at the head."""


@dataclass(frozen=True)
class RunTable:
    """Runs as a pandas frame in canonical columns; columns that no run has are absent."""

    frame: pd.DataFrame
    source: str
    """Where the rows come from."""
    assumed: tuple[str, ...] = ()
    """What had to be assumed to read it, in sentences."""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def digest(self) -> str:
        """sha256 over what determines the rows: equal for two equal studies, whatever time they took."""
        names = [name for name in COLUMNS if name in self.frame and COLUMNS[name].determined]
        encode = json.JSONEncoder(sort_keys=True, default=str).encode
        rows = [encode(_plain(row)) for row in self.frame[names].to_dict("records")]
        return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()

    def to_csv(self, path: str | Path) -> None:
        """Write the rows as CSV with all their digits."""
        self.frame.to_csv(path, index=False)


def table_from_records(records: Iterable[RunRecord], source: str) -> RunTable:
    """The fold over records that makes a study's table: one row each, ordered by run."""
    import pandas as pd

    rows = sorted((record.to_row() for record in records), key=lambda row: str(row["run"]))
    frame = pd.DataFrame(rows)
    empty = [name for name in frame if name != "loss" and frame[name].isna().all()]
    frame = frame.drop(columns=empty)
    return RunTable(frame.astype({"loss": float}) if "loss" in frame else frame, source)


def read_table(
    path: str | Path, rename: Mapping[str, str] | None = None, where: str = "", need: Sequence[str] = NEEDED
) -> RunTable:
    """Read runs from CSV, JSON, JSON lines or parquet, a W&B export among them, or from a folder of our records.

    `rename` maps our column to the file's: `{"loss": "val_loss", "tokens": "D"}`; `where` keeps rows
    (`dataset=c4,step>=20000`); `need` names the columns that must be there, `params` standing for any count of them.
    A missing `flops` is filled with 6 x params x tokens. Whatever was done or assumed is said in `assumed`. Raises
    TableError when a column is missing or holds no numbers, or no row is left.
    """
    path = Path(path)
    frame, assumed = _read_any(path)
    _refuse_doubles(frame, {*COLUMNS, *(rename or {}).values()}, path)
    frame, said = keep_rows(frame, where, rename)
    assumed += said
    frame, said = _rename(frame, dict(rename or {}), path)
    assumed += said
    sizes = [name for name in SIZES if name in frame]
    countable = bool(sizes) and "tokens" in frame
    for name in need:
        there = sizes if name == "params" else name in frame or (name == "flops" and countable)
        if not there:
            _missing(path, name, frame)
    for name in frame.columns.intersection([*COLUMNS, *need]):
        if name not in COLUMNS or COLUMNS[name].kind == "number":
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
            raise TableError(
                f"--map {ours}={theirs}: {path} has no column {theirs!r}",
                expected=", ".join(map(str, frame.columns)),
                cure="name one of these",
                code="missing_column",
            )
    hidden = [ours for ours in rename if ours in frame and ours not in rename.values()]
    said = [f"the file's own column `{ours}` is not read: --map takes `{rename[ours]}` for it" for ours in hidden]
    return frame.drop(columns=hidden).rename(columns={theirs: ours for ours, theirs in rename.items()}), said


def _missing(path: Path, name: str, frame: pd.DataFrame) -> None:
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
    rows = [row for row, (bad, there) in enumerate(zip(wrong, column.notna(), strict=True)) if bad and there]
    if rows:
        raise TableError(
            f"{path}: column {column.name!r} holds {what}",
            got=f"{shown(column.astype(object).iloc[rows[0]])} in row {rows[0] + 1}",
            cure="correct the cell or leave it empty",
            code="unreadable_cell",
        )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
