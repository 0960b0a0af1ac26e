"""RunTable: many runs in canonical columns, from our records or from anybody's file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from foretoken.errors import TableError
from foretoken.runs.filters import keep_rows
from foretoken.runs.importing import plain_columns, read_json_rows, records_in
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
    "parent": Column("text", "", "trunk; runs with one parent share a trajectory"),
    "task": Column("text", "", "downstream task"),
    "metric": Column("text", "", "downstream metric"),
    "shots": Column("number", "", "examples in the prompt"),
    "score": Column("number", "", "downstream score"),
    "score_se": Column("number", "", "standard error of the score"),
    "seed": Column("number", "", "random seed"),
    "threads": Column("number", "", "threads of the process"),
    "version": Column("text", "", "version of the software", False),
    "finished_at": Column("text", "UTC", "end of the run", False),
    "status": Column("text", "", "finished, diverged or failed"),
    "seconds": Column("number", "s", "time of the run", False),
    "tokens_per_second": Column("number", "1/s", "training speed", False),
    "mfu": Column("number", "", "model FLOPs utilisation", False),
    "kwh": Column("number", "kWh", "energy", False),
    "device": Column("text", "", "machine", False),
}

READERS = (".csv", ".jsonl", ".json", ".parquet")


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
        rows = [json.dumps(_plain(row), sort_keys=True, default=str) for row in self.frame[names].to_dict("records")]
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


def read_table(path: str | Path, rename: Mapping[str, str] | None = None, where: str = "") -> RunTable:
    """Read runs from CSV, JSON, JSON lines or parquet, a W&B export among them, or from a folder of our records.

    `rename` maps our column to the file's: `{"loss": "val_loss", "tokens": "D"}`; `where` keeps rows
    (`dataset=c4,step>=20000`). A missing `flops` is filled with 6 x params x tokens. Whatever was done or assumed is
    said in `assumed`. Raises TableError when a column is missing or holds no numbers, or no row is left.
    """
    path = Path(path)
    frame, assumed = _read_any(path)
    frame, said = keep_rows(frame, where, rename)
    assumed += said
    frame = _rename(frame, dict(rename or {}), path)
    if not any(name in frame for name in ("params_total", "params_non_embedding", "params_active", "params")):
        _missing(path, "params", frame)
    for name in ("tokens", "loss"):
        if name not in frame:
            _missing(path, name, frame)
    for name in frame.columns.intersection(list(COLUMNS)):
        if COLUMNS[name].kind == "number":
            frame[name] = _numbers(frame, name, path)
    if "params_total" not in frame and "params" in frame:
        assumed.append("`params` is taken as N of undeclared convention (with or without embeddings is unknown)")
    if "flops" not in frame:
        size = frame[next(n for n in ("params_total", "params", "params_active", "params_non_embedding") if n in frame)]
        frame["flops"] = 6.0 * size * frame["tokens"]
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    return RunTable(frame, str(path), tuple(assumed))


def _read_any(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a file or folder, and what was done to read them."""
    if not path.is_dir():
        return plain_columns(_read_frame(path))
    table = table_from_records(records_in(path), str(path))
    return table.frame, [f"all {len(table)} records below {path} are rows, a target among them"]


def _read_frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise TableError(f"no run table at {path}", expected=f"a file ({', '.join(READERS)})")
    try:
        if path.suffix == ".csv":
            frame = pd.read_csv(path)
            if not isinstance(frame.index, pd.RangeIndex):
                raise TableError(f"{path}: rows have more fields than the header", cure="name every column")
            return frame
        if path.suffix in (".jsonl", ".json"):
            return pd.DataFrame(_json_lines(path))
        if path.suffix == ".parquet":
            return pd.read_parquet(path).reset_index(drop=True)
    except (ValueError, OSError) as error:
        raise TableError(f"cannot read the run table {path}", got=str(error)) from error
    raise TableError("unknown kind of run table", expected=", ".join(READERS), got=path.suffix or "no suffix")


def _json_lines(path: Path) -> list[dict[str, object]]:
    rows = []
    text = path.read_text(encoding="utf-8")
    array = read_json_rows(text, path)
    if array is not None:
        return array
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            rows.append(json.loads(line))
            if not isinstance(rows[-1], dict):
                raise TableError(f"{path}, line {number}: expected one JSON object per line", got=line[:60])
    return rows


def _rename(frame: pd.DataFrame, rename: dict[str, str], path: Path) -> pd.DataFrame:
    for ours, theirs in rename.items():
        if theirs not in frame:
            raise TableError(
                f"--map {ours}={theirs}: {path} has no column {theirs!r}", expected=", ".join(map(str, frame.columns))
            )
    taken = frame.drop(columns=[ours for ours, theirs in rename.items() if ours in frame and ours != theirs])
    return taken.rename(columns={theirs: ours for ours, theirs in rename.items()})


def _missing(path: Path, name: str, frame: pd.DataFrame) -> None:
    raise TableError(
        f"{path} has no column for {name}",
        expected=f"a column {name!r} ({COLUMNS[name].meaning})",
        got=", ".join(map(str, frame.columns)),
        cure=f"name it: --map {name}=YOUR_COLUMN",
    )


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    import pandas as pd

    numbers = pd.to_numeric(frame[name], errors="coerce")
    wrong = frame.index[numbers.isna() & frame[name].notna()]
    if len(wrong):
        raise TableError(
            f"{path}: column {name!r} holds text where numbers are expected",
            got=f"{frame[name][wrong[0]]!r} in row {int(wrong[0]) + 1}",
            cure="correct the cell or leave it empty",
        )
    return numbers.astype(float)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
