"""Files that run tables come in: CSV, JSON lines, JSON and parquet, among them exports of W&B; sizes are bounded.

A W&B export is known by its columns: `config` and `summary` that hold mappings, or names that begin with `config.`
or `summary.`. Whatever is done to it is said in a sentence.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 2**30
"""Bytes of the largest run table that is read."""
MOST_CELLS = 10**8
"""Rows times columns of the largest run table; a parquet file of a few bytes may claim any number."""
LONGEST_CELL = 1_000_000
"""Characters of the longest cell that is read as a mapping."""
NESTED = {"config": "config", "summary": "summary", "summaryMetrics": "summary", "summary_metrics": "summary"}
PREFIXES = ("config.", "summary.")
WANDB_NAMES = {"Name": "run", "name": "run", "State": "status", "state": "status"}
"""Columns of a W&B export, and ours."""


def read_frame(path: Path) -> pd.DataFrame:
    """The rows of a file as they are; TableError when it is missing, too large, or not what its suffix says."""
    if not path.is_file():
        raise TableError(f"no run table at {path}", expected=f"a file ({', '.join(READERS)})")
    if path.suffix not in READERS:
        raise TableError("unknown kind of run table", expected=", ".join(READERS), got=path.suffix or "no suffix")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TableError(f"{path} is too large for a run table", expected=f"at most {LARGEST_FILE} bytes")
        _refuse_empty(path)
        return READERS[path.suffix](path)
    except TableError:
        raise
    except Exception as error:  # parsers of others: what they raise on noise is no fixed list
        raise TableError(
            f"cannot read the run table {path}",
            expected=f"what its name says, {path.suffix}",
            got=str(error) or type(error).__name__,
            cure="export it again, or give the file the suffix of what it holds",
            code="unreadable_table",
        ) from error


def _refuse_empty(path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(2**16):
            if block.strip(b"\xef\xbb\xbf \t\r\n"):
                return
    raise TableError(
        f"{path} is empty", expected="a header and one row per run", cure="export it again", code="empty_table"
    )


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(path, low_memory=False)
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"{path}: rows have more fields than the header", cure="name every column")
    header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    names = header.where(header.notna(), pd.Series(frame.columns))  # read_csv renames a column that is there twice
    frame.columns = pd.Index(names.tolist())
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
        if rows * columns > MOST_CELLS:
            raise TableError(
                f"{path} is too large for a run table", expected=f"at most {MOST_CELLS} cells", got=str(rows * columns)
            )
        content = file.read()
    content.validate(full=True)  # else text that is not UTF-8 is only found where a cell is printed
    frame: pd.DataFrame = content.to_pandas(ignore_metadata=True)
    return frame


def _json_lines(path: Path) -> pd.DataFrame:
    import pandas as pd

    rows = []
    text = path.read_text(encoding="utf-8-sig")
    array = _json_rows(text, path)
    if array is not None:
        return pd.DataFrame(array)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            rows.append(_json_object(line, f"{path}, line {number}"))
    return pd.DataFrame(rows)


def _json_object(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{where} is not JSON", got=str(error), cure="mend or delete the line") from None
    if not isinstance(row, dict):
        raise TableError(f"{where}: expected one JSON object per line", got=line[:60])
    return row


READERS = {".csv": _csv, ".jsonl": _json_lines, ".json": _json_lines, ".parquet": _parquet}
"""By suffix of the file."""


def _json_rows(text: str, path: Path) -> list[dict[str, Any]] | None:
    """Rows of a file that is one JSON array, or an object with one under `runs`; None when it is JSON lines."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    rows = content.get("runs") if isinstance(content, dict) else content
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
