"""RunTable: many runs in canonical columns, from our records or from anybody's file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from foretoken.errors import TableError
from foretoken.escapes import for_csv
from foretoken.results import Result
from foretoken.runs.loss_units import NATS_PER_TOKEN, declared_unit
from foretoken.runs.record import Cell, RunRecord

if TYPE_CHECKING:
    import pandas as pd


ColumnKind = Literal["text", "number", "flag"]


class Column(NamedTuple):
    """One canonical column."""

    kind: ColumnKind
    unit: str
    meaning: str
    determined: bool = True
    """False for what differs between two runs of the same spec: times, energy, machines."""

    @property
    def is_number(self) -> bool:
        """Whether its cells are floats; counts too, because 6 N D overflows 64-bit integers."""
        return self.kind == "number"


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
    "loss": Column("number", "in `loss_unit`", "validation loss"),
    "loss_unit": Column("text", "", "what the loss is in; nats per token where the column is absent"),
    "loss_se": Column("number", "in `loss_unit`", "standard error of the loss"),
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
    "skipped_steps": Column("number", "", "steps not applied or batches skipped after a spike of the loss"),
    "parent": Column("text", "", "trunk; runs with one parent share a trajectory"),
    "task": Column("text", "", "downstream task"),
    "metric": Column("text", "", "downstream metric"),
    "shots": Column("text", "", "examples in the prompt: a number, or zero, one, few"),
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
class RunTable(Result):
    """Runs as a pandas frame in canonical columns; columns that no run has are absent."""

    frame: pd.DataFrame
    source: str
    """Where the rows come from."""
    assumed: tuple[str, ...] = ()
    """What had to be assumed to read it, in sentences."""
    loss_column: str = ""
    """The column of its file that is the loss, where it goes by another name there."""

    def __len__(self) -> int:
        return len(self.frame)

    def to_frame(self) -> pd.DataFrame:
        """The rows, one per run; a copy."""
        return self.frame.copy()

    @property
    def loss_unit(self) -> str:
        """What the loss of its rows is in. Raises TableError where they say several."""
        declared = declared_unit(self.frame)
        return NATS_PER_TOKEN if declared is None else declared[1].kept

    def require_rows(self, of: str = "run") -> None:
        """Raise TableError where the table has names of columns alone; `of` is what a row of it is."""
        if self.frame.empty:
            raise TableError(
                f"{self.source} holds no {of}s",
                expected=f"one row per {of}",
                got="an empty table",
                cure="export it again, with its rows",
                code="empty_table",
            )

    def only(self, name: str) -> str:
        """The one word of a column, "" where it has none or several."""
        words = list(map(str, self.frame[name].dropna().unique())) if name in self.frame else []
        return words[0] if len(words) == 1 else ""

    @property
    def digest(self) -> str:
        """sha256 over what determines the rows: equal for two equal studies, whatever time they took."""
        names = [name for name in COLUMNS if name in self.frame and COLUMNS[name].determined]
        encode = json.JSONEncoder(sort_keys=True, default=str).encode
        rows = [encode(_plain(row)) for row in self.frame[names].to_dict("records")]
        # Sorted, because the order of rows is no property of the runs; two equal rows count twice.
        return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()

    def to_csv(self, path: str | Path) -> None:
        """Write the rows as CSV with all their digits; names that a spreadsheet would run begin with an apostrophe."""
        Path(path).write_text(self.csv(), encoding="utf-8")

    def csv(self) -> str:
        """The rows as the text of a CSV."""
        return self.frame.map(for_csv).rename(columns=for_csv).to_csv(index=False)


def table_from_records(records: Iterable[RunRecord], source: str) -> RunTable:
    """The fold over records that makes a study's table: one row each, from the cheapest run to the dearest."""
    import pandas as pd

    # By what a run is and not by its key: resampling draws rows by their number, so a fit's intervals would
    # otherwise move whenever the hash does.
    rows = [record.to_row() for record in sorted(records, key=_order)]
    frame = pd.DataFrame(rows)
    empty = [name for name in frame if name != "loss" and frame[name].isna().all()]
    frame = frame.drop(columns=empty)
    return RunTable(frame.astype({"loss": float}) if "loss" in frame else frame, source)


def _order(record: RunRecord) -> tuple[float, int, int, float, int, str]:
    spec = record.spec
    return (spec.flops, spec.parameters.total, spec.tokens, spec.learning_rate, spec.seed, spec.key)


def curve_rows(records: Iterable[RunRecord]) -> list[dict[str, Cell]]:
    """Points of the training curves of finished records, as rows of a table: training loss, learning rate still up."""
    rows = []
    for record in records:
        whole = record.to_row()
        sizes = {name: whole[name] for name in ("run", "params_total", "params_non_embedding", "params_active")}
        for tokens, loss in record.curve if record.is_finished else ():
            if tokens > 0:
                # FLOPs per token are constant along a run, with full attention at a fixed context.
                flops = record.spec.flops * (tokens / record.spec.tokens)
                rows.append({**sizes, "tokens": tokens, "loss": loss, "flops": flops, "annealed": False})
    return rows


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
