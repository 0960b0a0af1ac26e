"""The files that run tables come in, as frames: what is in a file is told by its name and by its first lines.

CSV with `,` `;` or tabs, decimal commas and comment lines; JSON lines, arrays, by run and by column; parquet, feather
and Markdown; any of them compressed (.gz, .zst), or from standard input (`-`) or a pipe, as shells make of `<(...)`.
Sizes are bounded, unpacked ones too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.arguments import did_you_mean_file
from foretoken.arrow_files import feather_table, parquet_table
from foretoken.bounded import LARGEST_JSON, handed_over, limit, parse_json, require_size, require_values, too_large
from foretoken.encodings import likely_encodings
from foretoken.errors import MissingExtraError, TableError
from foretoken.runs import builtin
from foretoken.runs.content import UNPACK, Content, Rows, read_content
from foretoken.runs.delimited import SAMPLE, read_delimited, read_markdown
from foretoken.runs.table import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

LARGEST_FILE = 2**28
"""Bytes of the largest run table that is read, unpacked."""


def read_frame(path: Path) -> Rows:
    """The rows of a file as they are; TableError when it is missing, too large, or not what its suffix says."""
    packed = path.suffix.lower() if path.suffix.lower() in UNPACK else ""
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    if not handed_over(path):
        if not os.path.lexists(path):
            raise TableError(
                f"no run table at {path}",
                expected=f"a file ({', '.join(READERS)}), or {builtin.SAMPLE}",
                cure=did_you_mean_file(path, also=[builtin.SAMPLE]),
            )
        if suffix not in READERS:
            raise TableError(
                "unknown kind of run table",
                expected=", ".join(READERS),
                got=suffix or "no suffix",
                cure="save the table as CSV, or as Markdown",
            )
    try:
        content = read_content(path, TableError, LARGEST_FILE)
        if not content.data.strip(b"\xef\xbb\xbf \t\r\n"):
            raise TableError(
                f"{path} is empty", expected="a header and one row per run", cure="export it again", code="empty_table"
            )
        content = content._replace(suffix=suffix or _kind(content.data))
        return READERS[content.suffix](content)
    except (TableError, MissingExtraError):
        raise
    except UnicodeDecodeError as error:
        raise TableError(
            f"the run table {path} is not in UTF-8",
            expected="UTF-8, or UTF-16 with its mark",
            got=f"byte {error.object[error.start]:#04x} at offset {error.start}",
            cure="save it as `CSV UTF-8`, or convert it, for example:"
            f" iconv -f {likely_encodings(error.object[:SAMPLE])[0]} -t utf-8",
            code="unreadable_table",
        ) from None
    except Exception as error:  # parsers of others: what they raise on noise is no fixed list
        raise TableError(
            f"cannot read the run table {path}",
            expected=f"what its name says, {suffix}" if suffix else "CSV, JSON, parquet or a Markdown table",
            got=str(error) or type(error).__name__,
            cure="export it again, or give the file the suffix of what it holds",
            code="unreadable_table",
        ) from error


def _kind(data: bytes) -> str:
    """The suffix that standard input would have."""
    begin = data[:SAMPLE].lstrip(b"\xef\xbb\xbf \t\r\n")
    kinds = {b"PAR1": ".parquet", b"ARROW1": ".feather", b"{": ".json", b"[": ".json", b"|": ".md"}
    return next((suffix for mark, suffix in kinds.items() if begin.startswith(mark)), ".csv")


def _parquet(content: Content) -> Rows:
    return _from_arrow(parquet_table(content.data, content.path, TableError, LARGEST_FILE)), []


def _feather(content: Content) -> Rows:
    return _from_arrow(feather_table(content.data, content.path, TableError, LARGEST_FILE)), []


def _from_arrow(table: Any) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def _json(content: Content) -> Rows:
    import pandas as pd

    if len(content.data) > limit(LARGEST_JSON):
        raise too_large(str(content.path), LARGEST_JSON, "bytes of JSON", TableError, len(content.data))
    require_values(content.data)
    text = content.text
    rows = _json_rows(text, content.path)
    if rows is None:  # JSON lines
        rows = [
            _json_object(line, f"{content.path}, line {number}")
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
    require_size(len(rows), len(set().union(*rows)), content.path, TableError)
    return pd.DataFrame(rows), []


def _whole(digits: str) -> int | float:
    """A whole number; infinite beyond all floats, which older versions of pandas cannot make of an int."""
    number = int(digits)  # first: thousands of digits are a mistake of the file, and Python refuses them
    return number if len(digits) <= sys.float_info.max_10_exp else float(digits)


def _json_object(line: str, where: str) -> dict[str, object]:
    try:
        row = parse_json(line, parse_int=_whole)
    except ValueError as error:
        raise TableError(f"{where} is not JSON", got=str(error), cure="mend or delete the line") from None
    if not isinstance(row, dict):
        raise TableError(f"{where}: expected one JSON object per line", got=line[:60])
    return row


def _json_rows(text: str, path: Path) -> list[dict[str, Any]] | None:
    """Rows of a file that is one JSON value: an array, one under `runs`, by run or by column; None for JSON lines."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        content = parse_json(text, parse_int=_whole)
    except ValueError:
        return None
    if isinstance(content, dict):
        rows = _rows_within(content)
        if rows is None:
            return _by_name(content)
    else:
        rows = content
    wrong = next((number for number, row in enumerate(rows, 1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise TableError(f"{path}: expected an array of objects", got=f"entry {wrong} is {str(rows[wrong - 1])[:60]}")
    return list(rows)


def _rows_within(content: dict[str, Any]) -> list[Any] | None:
    """The rows of {"runs": [{..}]}, or of {"columns": [..], "data": [[..]]} as pandas and W&B write tables."""
    names, data = content.get("columns"), content.get("data")
    if isinstance(names, list) and isinstance(data, list):
        whole = all(isinstance(row, list) and len(row) == len(names) for row in data)
        return [dict(zip(map(str, names), row, strict=True)) for row in data] if whole else None
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return data
    runs = content.get("runs")
    return runs if isinstance(runs, list) else None


def _by_name(content: dict[str, Any]) -> list[dict[str, Any]]:
    """{"params": [..], "loss": [..]}, {"params": {"0": ..}} (as pandas writes it) or {"run a": {..}}; else one row."""
    values = list(content.values())
    if values and all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        return [dict(zip(content, cells, strict=True)) for cells in zip(*values, strict=True)]
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return [content]
    indices = [list(value) for value in values]
    # By column: under each the same labels of rows, which are numbers or stand below names of ours.
    labels = all(key.isdecimal() for key in indices[0]) or bool({*content} & {*COLUMNS})
    if labels and all(keys == indices[0] for keys in indices):
        return [{name: column[index] for name, column in content.items()} for index in indices[0]]
    # Runs have their keys in common; the groups of one run (config, summary) have few or none.
    shared, every = set.intersection(*map(set, indices)), set.union(*map(set, indices))
    alike = len(shared) > len(every) / 2
    return [{"run": name, **row} for name, row in content.items()] if alike else [content]


READERS: dict[str, Callable[[Content], Rows]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".parquet": _parquet,
    ".feather": _feather,
    ".arrow": _feather,
    ".md": read_markdown,
}
"""By suffix of the file, each of which may be followed by .gz or .zst."""
