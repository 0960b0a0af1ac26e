"""Tables of other makes: W&B run exports (CSV and JSON), and folders of our own records.

A W&B export is known by its columns: `config` and `summary` that hold mappings, or names that begin with `config.`
or `summary.`. Whatever is done to it is said in a sentence.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

    from foretoken.runs.record import RunRecord

NESTED = {"config": "config", "summary": "summary", "summaryMetrics": "summary", "summary_metrics": "summary"}
PREFIXES = ("config.", "summary.")
LABELS = {"Name": "run", "name": "run", "State": "status", "state": "status"}
LONGEST_CELL = 1_000_000


def read_json_rows(text: str, path: Path) -> list[dict[str, Any]] | None:
    """Rows of a file that is one JSON array, or an object with one under `runs`; None when it is JSON lines."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    rows = found.get("runs") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        return None  # a single JSON line
    wrong = next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise TableError(f"{path}: expected an array of objects", got=f"entry {wrong} is {str(rows[wrong - 1])[:60]}")
    return rows


def plain_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A W&B export with one plain column per value, and what was done to it; any other table as it is."""
    if not _is_export(frame):
        return frame, []
    frame = _flatten(frame)
    short = {str(name): _short(str(name)) for name in frame.columns}
    count = Counter(short.values())
    rename = {name: other for name, other in short.items() if other != name and count[other] == 1}
    said = []
    if rename:
        said.append(f"a W&B export: {len(rename)} columns config.* and summary.* are read without that prefix")
    kept = sorted(name for name, other in short.items() if other != name and count[other] > 1)
    if kept:
        said.append(f"these keep their prefix, since the short name is taken: {', '.join(kept)}")
    frame = frame.rename(columns=rename)
    for theirs, ours in LABELS.items():
        if theirs in frame and ours not in frame:
            frame = frame.rename(columns={theirs: ours})
            said.append(f"`{theirs}` of the W&B export is read as `{ours}`")
    return frame, said


def _is_export(frame: pd.DataFrame) -> bool:
    names = [str(name) for name in frame.columns]
    return any(name.startswith(PREFIXES) for name in names) or any(_nested(frame, name) for name in names)


def _nested(frame: pd.DataFrame, name: str) -> bool:
    if name not in NESTED:
        return False
    return bool(len(frame)) and isinstance(_mapping(frame[name].iloc[0]), dict)


def _flatten(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for name in frame.columns:
        if not _nested(frame, str(name)):
            parts.append(frame[[name]])
            continue
        rows = [_leaves(_mapping(cell), NESTED[str(name)]) for cell in frame[name]]
        parts.append(pd.DataFrame(rows, index=frame.index))
    return pd.concat(parts, axis=1)


def _mapping(cell: object) -> dict[str, Any] | None:
    """A cell that holds a mapping: as such, as JSON, or as Python prints one."""
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str) or len(cell) > LONGEST_CELL or not cell.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _leaves(values: Mapping[str, Any] | None, prefix: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"prefix.a.b": 1}; W&B's {"value": 1, "desc": None} is 1."""
    found: dict[str, Any] = {}
    for key, value in (values or {}).items():
        if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}:
            value = value["value"]
        if isinstance(value, dict):
            found |= _leaves(value, f"{prefix}.{key}")
        elif not isinstance(value, list):
            found[f"{prefix}.{key}"] = value
    return found


def _short(name: str) -> str:
    return next((name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)), name)


def curve_rows(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """Points of the training curves of finished records, as rows of a table: training loss, learning rate still up."""
    rows = []
    for record in records:
        row = record.to_row()
        names = ("run", "params_total", "params_non_embedding", "params_active")
        flops = record.spec.flops
        for tokens, loss in record.curve if record.is_finished else ():
            if tokens > 0:
                share = tokens / record.spec.tokens
                rows.append({name: row[name] for name in names} | {"tokens": float(tokens), "loss": float(loss)})
                rows[-1] |= {"flops": flops * share, "annealed": False}
    return rows
