"""Run tables as text: fields between commas, semicolons, tabs, bars or blanks, and Markdown tables.

As people keep them: with decimal commas, a title above, two header rows, comments, and notes below.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretoken.bounded import MOST_COLUMNS, require_size
from foretoken.errors import TableError
from foretoken.runs.cells import MISSING, number
from foretoken.runs.content import Content, Rows

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 2**16
"""Characters from which the form of a CSV is told."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright bars"}
TITLE_LINES = 10
"""Lines among which the header is looked for."""
_THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:[. '\u2019\u00a0\u202f]\d{3})+"
DECIMAL_COMMA = re.compile(rf"(?:[-+]?\d+|{_THOUSANDS}),\d+(?:[eE][-+]?\d+)?")
_WITH_COMMA = re.compile(rf"({_THOUSANDS}|[-+]?\d+)(?:,(\d+))?((?:[eE][-+]?\d+)?\s?[A-Za-z-]*)")
"""A number where commas are decimal: what is before the comma, behind it, and an exponent or a unit."""


@dataclass(frozen=True)
class Form:
    """How the text of a table is laid out, told by its first lines."""

    separator: str
    blanks: str
    """What parts fields where no separator does, as a regular expression; "" elsewhere."""
    title: tuple[str, ...]
    """Lines above the header."""
    names: tuple[str, ...]
    """Of two header rows, the names that they make together; none where there is one."""
    comma: bool
    """Whether commas are decimal."""
    comments: int
    """Lines that begin with # and are left out, as far as the form was looked for."""

    @property
    def is_plain(self) -> bool:
        """Whether the text can be read as it is."""
        return not (self.blanks or self.title or self.names or self.comments)

    @property
    def notes(self) -> list[str]:
        """What was made of it, in sentences."""
        between = "blanks" if self.blanks else SEPARATORS[self.separator]
        told = [f"fields are between {between}"] if self.blanks or self.separator in ";|" else []
        told += ["decimal commas are read as points"] if self.comma else []
        told += [f"{self.comments} lines that begin with # are left out"] if self.comments else []
        told += [f"above the header is left out: {' / '.join(self.title)[:200]}"] if self.title else []
        return told + ([f"two header rows are read as one: {', '.join(self.names)[:200]}"] if self.names else [])


def read_delimited(content: Content) -> Rows:
    """The rows of fields between separators, which are told by the first lines."""
    import pandas as pd

    form = form_of(content)
    data = content.data if form.is_plain else _rewritten(content, form)
    _require_fields(data, form.separator, content.path)
    options: dict[str, Any] = {
        "sep": form.separator,
        "encoding": content.encoding if form.is_plain else "utf-8",
        "na_values": MISSING,
        "low_memory": False,
    }
    frame = pd.read_csv(io.BytesIO(data), **options, dtype=str if form.comma else None)
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(
            f"{content.path}: rows have more fields than the header",
            expected=f"fields between {SEPARATORS[form.separator]}, as in the first line",
            cure="name every column",
        )
    header = pd.read_csv(io.BytesIO(data), header=None, nrows=1, dtype=str, **{**options, "na_values": ()}).iloc[0]
    names = header.where(header.notna(), pd.Series(frame.columns))  # read_csv renames a column that is there twice
    frame.columns = pd.Index([str(name).strip() for name in names])
    unnamed = [name.startswith("Unnamed: ") for name in frame.columns]
    empty = frame.isna().all(axis=0).to_numpy()
    frame = frame.loc[:, [not (none and without) for none, without in zip(empty, unnamed, strict=True)]]
    frame, repeated = _without_headers(frame)
    frame, below = _without_notes(frame)
    frame, pointed = _with_points(frame, content.path) if form.comma else (frame, [])
    return frame, [*form.notes, *repeated, *below, *pointed]


def form_of(content: Content) -> Form:
    """How a text is laid out."""
    sample = content.data[: 4 * SAMPLE].decode(content.encoding, errors="ignore")[:SAMPLE]
    lines = [line.rstrip("\r") for line in sample.lstrip("\ufeff").split("\n") if line.strip()]
    comments = sum(_are_comments(lines))
    lines = [line for line, comment in zip(lines, _are_comments(lines), strict=True) if not comment] or [""]
    tabs = content.suffix == ".tsv"
    blanks, at = ("", 0) if tabs or any(mark in lines[0] for mark in SEPARATORS) else _blanks(lines)
    if not blanks:
        at = next((at for at in range(min(len(lines), TITLE_LINES)) if _is_header(lines, at, tabs)), 0)
    title, lines = tuple(line.strip(" ;,\t|") for line in lines[:at]), lines[at:]
    separator = "\t" if tabs or blanks else separator_of(lines[0])
    if blanks:
        lines = [re.sub(blanks, "\t", line.strip()) for line in lines]
    names = _of_two_rows(lines, separator)
    comma = separator != "," and _has_decimal_commas(lines[2 if names else 1 :], separator)
    return Form(separator, blanks, tuple(filter(None, title)), names, comma, comments)


def _are_comments(lines: Sequence[str]) -> list[bool]:
    """Which lines are comments: they begin with #, and are no header and no rows of names such as #1.

    A header stands first and has the fields of the lines behind it; rows have those of the others, and are many.
    """
    marked = [line.startswith("#") for line in lines]
    plain = next((line for line, mark in zip(lines, marked, strict=True) if not mark), "")
    separator = separator_of(plain)
    count = plain.count(separator)
    alike = [count > 0 and line.count(separator) == count for line in lines]
    rows = sum(mark and like for mark, like in zip(marked, alike, strict=True))
    first = next((at for at, mark in enumerate(marked) if not mark), len(lines))
    header = first - 1 if first and alike[first - 1] and any(map(_is_number, _fields(plain, separator))) else -1
    are_rows = 4 * (rows - (header >= 0)) > sum(alike)
    return [
        mark and at != header and not (are_rows and like)
        for at, (mark, like) in enumerate(zip(marked, alike, strict=True))
    ]


def _is_number(field: str) -> bool:
    return number(field, "flops") == number(field, "flops")


def _is_header(lines: Sequence[str], at: int, tabs: bool) -> bool:
    """Whether a line is the first with several names: above it a title may stand, in one field."""
    separator = "\t" if tabs else separator_of(lines[at])
    filled = sum(bool(field.strip()) for field in _fields(lines[at], separator))
    return filled > 1 if at == 0 else filled > 2


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _of_two_rows(lines: Sequence[str], separator: str) -> tuple[str, ...]:
    """The names of two header rows: gaps in the upper, as merged cells leave them, and words in all of the lower."""
    if len(lines) < 3:
        return ()
    upper, lower = ([field.strip() for field in _fields(line, separator)] for line in lines[:2])
    words = all(field and number(field, "flops") != number(field, "flops") for field in lower)
    if not words or len(upper) != len(lower) or all(upper) or not upper[0]:
        return ()
    names, above = list[str](), ""
    for field, name in zip(upper, lower, strict=True):
        above = field or above
        names.append(f"{above}.{name}")
    return tuple(names)


def _rewritten(content: Content, form: Form) -> bytes:
    """The text without comments and title, with one header row, and with a tab for blanks that part fields."""
    whole = [line for line in content.text.lstrip("\ufeff").split("\n") if line.strip()]
    lines = [line for line, comment in zip(whole, _are_comments(whole), strict=True) if not comment]
    above = next(at for at in range(len(lines)) if at >= len(form.title) and _is_header_of(lines[at], form))
    lines = lines[above:]
    if form.blanks:
        lines = [re.sub(form.blanks, "\t", line.strip()) for line in lines]
    if form.names:
        header = io.StringIO()
        csv.writer(header, delimiter=form.separator, lineterminator="").writerow(form.names)
        lines = [header.getvalue(), *lines[2:]]
    return "\n".join(lines).encode()


def _is_header_of(line: str, form: Form) -> bool:
    fields = re.split(form.blanks, line.strip()) if form.blanks else _fields(line, form.separator)
    return not form.title or sum(bool(field.strip()) for field in fields) > 2


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


def _without_notes(frame: pd.DataFrame) -> Rows:
    """The rows without empty ones, and without notes below the table: words in the first column alone."""
    if frame.shape[1] < 3:
        return frame, []
    filled = frame.notna().sum(axis=1)
    first = frame.iloc[:, 0]
    notes = list[str]()
    for row in reversed(range(len(frame))):
        cell = first.iloc[row]
        if filled.iloc[row] == 1 and isinstance(cell, str) and number(cell, "params") != number(cell, "params"):
            notes.append(cell.strip())
        elif filled.iloc[row]:
            break
    kept = frame[: len(frame) - len(notes)] if not notes else frame[~first.isin(notes) | (filled > 1)]
    kept = kept[kept.notna().any(axis=1)].reset_index(drop=True)
    return kept, [f"below the table is left out: {' / '.join(reversed(notes))[:200]}"] if notes else []


def _with_points(frame: pd.DataFrame, path: Path) -> Rows:
    """Numbers with decimal commas as Python writes them; points, blanks or apostrophes then stand between thousands.

    Raises TableError for a column where points cannot.
    """
    import pandas as pd

    read, columns = list[str](), []
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:, place].map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
        grouped = [cell for cell in cells if isinstance(cell, str) and re.match(_THOUSANDS, cell)]
        pointed = [cell for cell in cells if isinstance(cell, str) and re.fullmatch(r"[-+]?\d+\.\d+", cell)]
        pointed = [cell for cell in pointed if not re.fullmatch(_THOUSANDS, cell)]
        if pointed and any("." in cell for cell in grouped):
            raise TableError(
                f"{path}: a point is read as a mark between thousands beside decimal commas, and cannot be in {name!r}",
                got=f"{grouped[0]!r} and {pointed[0]!r}",
                cure="write decimal commas or decimal points throughout",
                code="unreadable_cell",
            )
        texts = [cell for cell in cells if isinstance(cell, str) and cell]
        if texts and all(re.fullmatch(r"[1-9]\.\d{3}", cell) for cell in texts):
            raise TableError(
                f"{path}: commas are decimal elsewhere, and {texts[0]!r} in {name!r} is {float(texts[0]):g} or"
                f" {float(texts[0]) * 1000:g}",
                cure="write decimal commas or decimal points throughout",
                code="unreadable_cell",
            )
        read += [str(name)] if any("." in cell for cell in grouped) else []
        columns.append(_as_numbers(cells.map(lambda cell: _with_a_point(cell) if isinstance(cell, str) else cell)))
    whole = pd.concat(columns, axis=1).set_axis(frame.columns, axis=1) if columns else frame
    return whole, [f"points between thousands are left out in {', '.join(read)}"] if read else []


def separator_of(header: str) -> str:
    """What stands most often between the names of a header, quoted ones left out."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)


def _has_decimal_commas(lines: Sequence[str], separator: str) -> bool:
    """Whether a comma inside a number is a decimal one: numbers with more than one comma have it between thousands."""
    cells = [cell.strip().strip('"') for line in lines for cell in line.split(separator)]
    numbers = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    grouped = any(re.fullmatch(r"\d{1,3}(,\d{3}){2,}", cell) for cell in cells)
    return bool(numbers) and not grouped


def _blanks(lines: Sequence[str]) -> tuple[str, int]:
    """What parts the fields of a table copied from a page, two blanks or more, or any, and where its header is.

    "" where neither parts all lines from some line on into as many fields.
    """
    for pattern in (r"\s{2,}", r"\s+"):
        fields = [len(re.split(pattern, line.strip())) for line in lines]
        for at in range(min(len(lines) - 1, TITLE_LINES)):
            if len(set(fields[at:])) == 1 and fields[at] > (2 if at else 1):
                return pattern, at
    return "", 0


def _require_fields(data: bytes, separator: str, path: Path) -> None:
    """Bound the fields of a CSV before they are parsed: those of the header, and of any line that is longer."""
    mark = separator.encode()

    def fields(line: bytes) -> int:
        return re.sub(rb'"[^"]*"', b"", line).count(mark) + 1

    header = re.search(rb"[^\r\n]+", data)
    columns = fields(header[0]) if header else 1
    long = (line[0] for line in re.finditer(rb"[^\r\n]+", data) if line.end() - line.start() > MOST_COLUMNS)
    require_size(0, max(map(fields, long), default=columns), path, TableError)
    require_size(max(data.count(b"\n"), data.count(b"\r")), columns, path, TableError, data.count(mark))


def read_markdown(content: Content) -> Rows:
    """The rows of the first Markdown table."""
    import pandas as pd

    require_size(0, 0, content.path, TableError, content.data.count(b"|"))
    rows = [
        [cell.replace("\\|", "|").strip(" *`") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in content.text.split("\n")
        if line.strip().startswith("|")
    ]
    require_size(len(rows), len(rows[0]) if rows else 0, content.path, TableError)
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


def _writes_decimal_commas(cells: Sequence[str]) -> bool:
    """Whether commas are decimal: some cannot be between thousands (3,65), and no number has a decimal point."""
    matches = [match for cell in cells if (match := _WITH_COMMA.fullmatch(cell)) and match[2]]
    surely = any(len(match[2]) != 3 or match[1].lstrip("+-") == "0" for match in matches)
    pointed = any(re.fullmatch(r"[-+]?[\d,]*\.\d+", cell) and not re.fullmatch(r"[^.]*\.\d{3}", cell) for cell in cells)
    return surely and not pointed


def _with_a_point(cell: str) -> str:
    """A number with a decimal comma, and marks between thousands, as Python writes it."""
    match = _WITH_COMMA.fullmatch(cell)
    if not match:
        return cell
    whole = re.sub(r"[^\d+-]", "", match[1])
    return f"{whole}.{match[2]}{match[3]}" if match[2] else f"{whole}{match[3]}"


def _as_numbers(column: pd.Series) -> pd.Series:
    """A column of text as numbers, if it holds nothing else."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if (numbers.notna() | column.isna()).all() else column
