"""Tables as trackers of experiments write them: W&B (its API's export and its page's), and any nested objects.

A W&B export is known by its columns: `config` and `summary` that hold mappings, names that begin with `config.` or
`summary.`, or `Name` beside `State`. Whatever is done to it is said in a sentence.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from foretoken.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

LONGEST_CELL = 1_000_000
"""Characters of the longest cell that is read as a mapping."""
NESTED = {"config": "config", "summary": "summary", "summaryMetrics": "summary", "summary_metrics": "summary"}
PREFIXES = ("config.", "summary.")
WANDB_NAMES = {"Name": "run", "name": "run", "State": "status", "state": "status"}
"""Columns of a W&B export, and ours."""
FINISHED = "finished"
STATUS_WORDS = {
    FINISHED: "finished, done, complete, completed, success, succeeded, successful, ok, terminated, ended",
    "diverged": "diverged, nan",
    "failed": "failed, failure, fail, error, errored, crashed, crash, node_fail, boot_fail, out_of_memory, oom",
    "stopped": "killed, stopped, canceled, cancelled, aborted, interrupted, preempted, preempting, suspended, deleted,"
    " timeout, timed_out, deadline, revoked, paused, skipped",
    "unfinished": "running, pending, queued, scheduled, unfinished, incomplete, in_progress, created, waiting,"
    " starting, configuring, completing, resumed, requeued, active",
}
"""What W&B, MLflow, SLURM, Ray and Hugging Face call the end of a run, by what it means."""
MEANING = {word.strip(): ours for ours, words in STATUS_WORDS.items() for word in words.split(",")}


def plain_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table with one plain column per value, under our names where a tracker has its own, and what was done to it.

    Raises TableError for the export of a chart, which has no runs in its rows.
    """
    _refuse_chart(frame)
    if not _is_export(frame):
        return _dotted(frame)
    frame = _flatten(frame, {name: NESTED[name] for name in map(str, frame.columns) if _nested(frame, name)})
    short = {str(name): _short(str(name)) for name in frame.columns}
    count = Counter(short.values())
    rename = {name: other for name, other in short.items() if other != name and count[other] == 1}
    notes = []
    if rename:
        notes.append(f"a W&B export: {len(rename)} columns config.* and summary.* are read without that prefix")
    ambiguous = sorted(name for name, other in short.items() if other != name and count[other] > 1)
    if ambiguous:
        notes.append(f"these keep their prefix, since the short name is taken: {', '.join(ambiguous)}")
    frame = frame.rename(columns=rename)
    for theirs, ours in WANDB_NAMES.items():
        if theirs in frame and ours not in frame:
            frame = frame.rename(columns={theirs: ours})
            notes.append(f"`{theirs}` of the W&B export is read as `{ours}`")
    return frame, notes


def _dotted(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Columns of objects as columns of their leaves, by dotted names."""
    objects = frame.columns[[str(kind) == "object" for kind in frame.dtypes]] if frame.columns.is_unique else ()
    nested = [name for name in objects if frame[name].map(lambda cell: isinstance(cell, dict)).any()]
    if not nested:
        return frame, []
    names = ", ".join(map(str, nested))
    return _flatten(frame, {name: name for name in nested}), [f"the groups {names} are read as columns of dotted names"]


def _refuse_chart(frame: pd.DataFrame) -> None:
    """Raise TableError for what W&B exports of a chart: a column per run, with its least and largest values beside."""
    names = {str(name) for name in frame.columns}
    curves = [name for name in names if " - " in name and {f"{name}__MIN", f"{name}__MAX"} <= names]
    if curves:
        raise TableError(
            "this is the export of a W&B chart: a row per step, a column per run",
            expected="one row per run, with its size, its tokens and its final loss",
            got=f"{len(curves)} curves, as {min(curves)!r}",
            cure="export the table of runs (the page Runs, not a panel), or write one row per run",
            code="chart_export",
        )


def _is_export(frame: pd.DataFrame) -> bool:
    names = [str(name) for name in frame.columns]
    page = {"Name", "State"} <= set(names)
    return page or any(name.startswith(PREFIXES) for name in names) or any(_nested(frame, name) for name in names)


def _nested(frame: pd.DataFrame, name: str) -> bool:
    if name not in NESTED:
        return False
    return bool(len(frame)) and isinstance(_mapping(frame[name].iloc[0]), dict)


def _flatten(frame: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Each column of `groups` as one column per leaf, named from its prefix on."""
    import pandas as pd

    parts = []
    for name in frame.columns:
        if str(name) not in groups:
            parts.append(frame[[name]])
            continue
        rows = [_leaves(_mapping(cell), groups[str(name)]) for cell in frame[name]]
        parts.append(pd.DataFrame(rows, index=frame.index))
    return pd.concat(parts, axis=1)


def _mapping(cell: object) -> dict[str, Any] | None:
    """A cell that holds a mapping: as such, as JSON, or as Python prints one."""
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str) or len(cell) > LONGEST_CELL or not cell.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        try:  # as Python prints a dict; literal_eval reads data and runs nothing
            value = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _leaves(values: Mapping[str, Any] | None, prefix: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"prefix.a.b": 1}; W&B's {"value": 1, "desc": None} is 1."""
    leaves: dict[str, Any] = {}
    for key, value in (values or {}).items():
        # W&B's own config.yaml wraps every setting: {"lr": {"value": 0.1, "desc": None}}.
        if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}:
            value = value["value"]
        if isinstance(value, dict):
            leaves |= _leaves(value, f"{prefix}.{key}")
        elif not isinstance(value, list):
            leaves[f"{prefix}.{key}"] = value
    return leaves


def _short(name: str) -> str:
    return next((name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)), name)


def read_status(column: pd.Series, source: str) -> tuple[pd.Series, list[str]]:
    """The words of a status column, `finished` for every word of that meaning, the others in lower case.

    Raises TableError for a word that nobody here knows: whether such runs count is for their owner to say.
    """
    words = column.map(lambda cell: re.sub(r"[\s-]+", "_", str(cell).strip().lower()), na_action="ignore")
    unknown = sorted(
        {str(cell) for cell, word in zip(column, words, strict=True) if word == word and word not in MEANING}
    )
    if unknown:
        raise TableError(
            f"{source}: what does the status {unknown[0]!r} mean?",
            expected=f"a word for a run that has finished ({STATUS_WORDS[FINISHED]}), or for one that has not",
            got=", ".join(unknown[:8]),
            cure=f"keep the rows that count and leave the column unread: --where 'status={unknown[0]}' --map status=",
            code="unknown_status",
        )
    finished = words.map(lambda word: FINISHED if MEANING[word] == FINISHED else word, na_action="ignore")
    renamed = sorted({str(cell) for cell, ours in zip(column, finished, strict=True) if ours == FINISHED != cell})
    return finished, [f"status {', '.join(renamed)} is read as finished"] if renamed else []
