"""The files that run tables come in: CSV, JSON lines, JSON and parquet, as frames; sizes are bounded before reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.errors import TableError
from foretoken.runs.exports import read_json_rows

if TYPE_CHECKING:
    import pandas as pd

READERS = (".csv", ".jsonl", ".json", ".parquet")
LARGEST_FILE = 2**30
"""Bytes of the largest run table that is read."""
MOST_CELLS = 10**8
"""Rows times columns of the largest run table; a parquet file of a few bytes may claim any number."""


def read_frame(path: Path) -> pd.DataFrame:
    """The rows of a file as they are; TableError when it is missing, too large, or not what its suffix says."""
    if not path.is_file():
        raise TableError(f"no run table at {path}", expected=f"a file ({', '.join(READERS)})")
    readers = {".csv": _csv, ".jsonl": _json_lines, ".json": _json_lines, ".parquet": _parquet}
    if path.suffix not in readers:
        raise TableError("unknown kind of run table", expected=", ".join(READERS), got=path.suffix or "no suffix")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TableError(f"{path} is too large for a run table", expected=f"at most {LARGEST_FILE} bytes")
        _refuse_empty(path)
        return readers[path.suffix](path)
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
    names = header.where(header.notna(), pd.Series(frame.columns))  # read_csv has renamed those that are there twice
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
    content.validate(full=True)  # text that is no UTF-8 would else be found when somebody looks at it
    frame: pd.DataFrame = content.to_pandas(ignore_metadata=True)
    return frame


def _json_lines(path: Path) -> pd.DataFrame:
    import pandas as pd

    rows = []
    text = path.read_text(encoding="utf-8-sig")
    array = read_json_rows(text, path)
    if array is not None:
        return pd.DataFrame(array)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            rows.append(_json_object(line, f"{path}, line {number}"))
    return pd.DataFrame(rows)


def _json_object(line: str, place: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{place} is not JSON", got=str(error), cure="mend or delete the line") from None
    if not isinstance(row, dict):
        raise TableError(f"{place}: expected one JSON object per line", got=line[:60])
    return row
