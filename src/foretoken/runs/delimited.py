"""Run tables as text: fields between commas, semicolons, tabs, bars or blanks, and Markdown tables."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.errors import TableError
from foretoken.runs.cells import MISSING
from foretoken.runs.content import Content, Rows

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 2**16
"""Characters from which the form of a CSV is told."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright bars"}
DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+(?:[eE][-+]?\d+)?")
POINTS_BETWEEN_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?")


def read_delimited(content: Content) -> Rows:
    """The rows of fields between separators, which are told by the first lines."""
    import pandas as pd

    sample = content.data[: 4 * SAMPLE].decode(content.encoding, errors="ignore")[:SAMPLE]
    lines = [line for line in sample.split("\n") if line.strip()]
    comments = sum(1 for line in lines if line.startswith("#")) if "\n#" in f"\n{sample}" else 0
    lines = [line for line in lines if not line.startswith("#")] or [""]
    separator = "\t" if content.suffix == ".tsv" else _separator(lines[0])
    blanks = _blanks(lines) if separator not in lines[0] else ""
    if blanks:
        separator, lines = "\t", [re.sub(blanks, "\t", line.strip()) for line in lines]
    comma = separator != "," and _has_decimal_commas(lines[1:], separator)
    data = content.data if not (comments or blanks) else _rewritten(content, blanks)
    options: dict[str, Any] = {
        "sep": separator,
        "decimal": "," if comma else ".",
        "encoding": "utf-8" if comments or blanks else content.encoding,
        "na_values": MISSING,
        "low_memory": False,
    }
    frame = pd.read_csv(io.BytesIO(data), **options)
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(
            f"{content.path}: rows have more fields than the header",
            expected=f"fields between {SEPARATORS[separator]}, as in the first line",
            cure="name every column",
        )
    header = pd.read_csv(io.BytesIO(data), header=None, nrows=1, dtype=str, **{**options, "na_values": ()}).iloc[0]
    names = header.where(header.notna(), pd.Series(frame.columns))  # read_csv renames a column that is there twice
    frame.columns = pd.Index([str(name).strip() for name in names])
    notes = (
        [f"fields are between {'blanks' if blanks else SEPARATORS[separator]}"] if blanks or separator in ";|" else []
    )
    notes += ["decimal commas are read as points"] if comma else []
    notes += ["lines that begin with # are left out"] if comments else []
    frame = frame.loc[
        :,
        [
            not (name.startswith("Unnamed: ") and frame.iloc[:, at].isna().all())
            for at, name in enumerate(frame.columns)
        ],
    ]
    frame, repeated = _without_headers(frame)
    frame, pointed = _without_points(frame, content.path) if comma else (frame, [])
    return frame, [*notes, *repeated, *pointed]


def _without_headers(frame: pd.DataFrame) -> Rows:
    """The rows without those that repeat the header, as of two files one after the other."""
    names = [str(name) for name in frame.columns]
    # An empty name is empty in the repeated header, too.
    given = [number for number, name in enumerate(names) if not name.startswith("Unnamed: ")]
    repeated = (frame.iloc[:, given].astype(str) == [names[number] for number in given]).all(axis=1)
    if not given or not repeated.any():
        return frame, []
    note = f"{int(repeated.sum())} rows that repeat the header are left out"
    return frame[~repeated].reset_index(drop=True), [note]


def _without_points(frame: pd.DataFrame, path: Path) -> Rows:
    """Where commas are decimal, points stand between thousands: 1.400 is 1400.

    Raises TableError for a column where they cannot.
    """
    read = []
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:, place]
        texts = {row: cell.strip() for row, cell in cells.items() if isinstance(cell, str)}
        grouped = {row: cell for row, cell in texts.items() if POINTS_BETWEEN_THOUSANDS.fullmatch(cell)}
        pointed = [cell for row, cell in texts.items() if row not in grouped and re.fullmatch(r"[-+]?\d+\.\d+", cell)]
        if grouped and pointed:
            raise TableError(
                f"{path}: a point is read as a mark between thousands beside decimal commas, and cannot be in {name!r}",
                got=f"{next(iter(grouped.values()))!r} and {pointed[0]!r}",
                cure="write decimal commas or decimal points throughout",
                code="unreadable_cell",
            )
        if grouped:
            plain = {row: cell.replace(".", "").replace(",", ".") for row, cell in grouped.items()}
            frame = frame.assign(**{name: [plain.get(row, cell) for row, cell in cells.items()]})
            read.append(str(name))
    return frame, [f"points between thousands are left out in {', '.join(read)}"] if read else []


def _separator(header: str) -> str:
    """What stands most often between the names of a header, quoted ones left out."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)


def _has_decimal_commas(lines: list[str], separator: str) -> bool:
    """Whether a comma inside a number is a decimal one: numbers with more than one comma have it between thousands."""
    cells = [cell.strip().strip('"') for line in lines for cell in line.split(separator)]
    numbers = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    grouped = any(re.fullmatch(r"\d{1,3}(,\d{3}){2,}", cell) for cell in cells)
    return bool(numbers) and not grouped


def _blanks(lines: list[str]) -> str:
    """What parts the fields of a table copied from a page: two blanks or more, or any; "" where neither does."""
    for pattern in (r"\s{2,}", r"\s+"):
        counts = {len(re.split(pattern, line.strip())) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and min(counts) > 1:
            return pattern
    return ""


def _rewritten(content: Content, blanks: str) -> bytes:
    """The text without comment lines, and with a tab for what parts its fields."""
    lines = [line for line in content.text.split("\n") if not line.startswith("#")]
    return "\n".join([re.sub(blanks, "\t", line.strip()) for line in lines] if blanks else lines).encode()


def read_markdown(content: Content) -> Rows:
    """The rows of the first Markdown table."""
    import pandas as pd

    rows = [
        [cell.replace("\\|", "|").strip(" *`") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in content.text.split("\n")
        if line.strip().startswith("|")
    ]
    body = [row for row in rows[1:] if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    wrong = next((row for row in body if len(row) != len(rows[0])), None)
    if not rows or wrong is not None:
        got = "no line that begins with |" if not rows else f"{len(wrong or ())} cells under {len(rows[0])} names"
        raise TableError(f"{content.path} holds no Markdown table", expected="rows of | a | b |", got=got)
    comma = _writes_decimal_commas([cell for row in body for cell in row])
    if comma:
        body = [[_with_a_point(cell) for cell in row] for row in body]
    text = pd.DataFrame(body, columns=rows[0]).replace(["", *MISSING], None)
    frame = text.apply(lambda column: _as_numbers(column))
    return frame, [f"a Markdown table of {len(frame)} rows", *(["decimal commas are read as points"] if comma else [])]


_COMMA_NUMBER = re.compile(r"([-+]?\d{1,3}(?:\.\d{3})+|[-+]?\d+),(\d+)((?:[eE][-+]?\d+)?\s?[A-Za-z-]*)")


def _writes_decimal_commas(cells: list[str]) -> bool:
    """Whether commas are decimal: some cannot be between thousands (3,65), and no number has a decimal point."""
    matches = [match for cell in cells if (match := _COMMA_NUMBER.fullmatch(cell))]
    surely = any(len(match[2]) != 3 or match[1].lstrip("+-") == "0" for match in matches)
    pointed = any(re.fullmatch(r"[-+]?[\d,]*\.\d+", cell) and not re.fullmatch(r"[^.]*\.\d{3}", cell) for cell in cells)
    return surely and not pointed


def _with_a_point(cell: str) -> str:
    """A number with a decimal comma, and points between thousands, as Python writes it."""
    match = _COMMA_NUMBER.fullmatch(cell)
    return f"{match[1].replace('.', '')}.{match[2]}{match[3]}" if match else cell


def _as_numbers(column: pd.Series) -> pd.Series:
    """A column of text as numbers, if it holds nothing else."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if (numbers.notna() | column.isna()).all() else column
