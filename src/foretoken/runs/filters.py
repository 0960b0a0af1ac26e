"""--where: which rows of a table are read. `dataset=c4,hparams=tuned,step>=20000`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from foretoken.arguments import nearest
from foretoken.errors import TableError
from foretoken.runs.exports import known_as

if TYPE_CHECKING:
    import pandas as pd

EXAMPLE = "dataset=c4,hparams=tuned,step>=20000"
OPERATORS = ("=", "!=", ">=", "<=", ">", "<")
# The longer operators come first: of `>=` the pattern would else take `>` and leave `=` to the value.
_CONDITION = re.compile(r"^\s*(.+?)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*$", re.S)


class Condition(NamedTuple):
    """One comparison of a column with a value."""

    column: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def parse_where(text: str) -> list[Condition]:
    """Conditions that must all hold, from text; `a|b` on the right of = or != means one of several.

    >>> parse_where("dataset=c4|rpj, step>=2e4")
    [Condition(column='dataset', operator='=', value='c4|rpj'), Condition(column='step', operator='>=', value='2e4')]
    """
    conditions = []
    for part in text.split(","):
        if not part.strip():
            continue
        match = _CONDITION.match(part)
        if match is None:
            raise TableError("--where: not readable", expected=EXAMPLE, got=repr(part))
        column, operator, value = match.groups()
        conditions.append(Condition(column, "=" if operator == "==" else operator, value))
    return conditions


def filter_rows(
    frame: pd.DataFrame, where: str | Sequence[Condition], rename: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The rows on which every condition holds, and a sentence about it.

    A column goes by its own name or by ours (`rename` maps ours to the file's). Raises TableError for an unknown
    column, an order between texts, or when no row is left.
    """
    conditions = parse_where(where) if isinstance(where, str) else list(where)
    if not conditions:
        return frame, []
    left = frame
    for condition in conditions:
        known = list(map(str, frame.columns))
        name = known_as(condition.column, known)
        if name not in frame:
            name = known_as(dict(rename or {}).get(condition.column, ""), known)
        if name not in frame:
            near = nearest(condition.column, known)
            raise TableError(
                f"--where {_quoted(condition)}: no column {condition.column!r}",
                expected=", ".join(known),
                cure=f"did you mean {near[0]!r}?" if near else None,
            )
        before, left = left, left[_holds(left[name], condition)]
        if not len(left):
            values = ", ".join(before[name].dropna().map(str).unique()[:12])
            raise TableError(f"--where {_quoted(condition)} leaves no row", got=f"values of {name}: {values}")
    text = ", ".join(map(str, conditions))
    return left.reset_index(drop=True), [f"--where {text} keeps {len(left)} of {len(frame)} rows"]


def _quoted(condition: Condition) -> str:
    """As it is typed: a value with a space stands between quotes."""
    return f"'{condition}'" if " " in str(condition) else str(condition)


def _holds(column: pd.Series, condition: Condition) -> pd.Series:
    if condition.operator in ("=", "!="):
        equal = _equals_any(column, [value.strip() for value in condition.value.split("|")])
        return equal if condition.operator == "=" else ~equal
    number = _number(condition.value)
    if number is None:
        raise TableError(f"--where {_quoted(condition)}: an order needs a number", got=repr(condition.value))
    values = _as_numbers(column)
    if values.isna().all():
        message = f"--where {_quoted(condition)}: {condition.column!r} holds no numbers"
        raise TableError(message, got=repr(column.iloc[0]))
    compare = {">=": values.ge, "<=": values.le, ">": values.gt, "<": values.lt}
    return compare[condition.operator](number)


def _equals_any(column: pd.Series, options: Sequence[str]) -> pd.Series:
    """Numbers are compared as numbers, everything else as text; an empty cell equals ""."""
    text = column.map(lambda value: "" if value is None or value != value else str(value).strip())
    flags = [option.lower() for option in options if option.lower() in ("true", "false")]
    equal = text.isin(options) | text.str.lower().isin(flags)
    # As text "1e3" is not "1000", and a column that was read as floats prints 1000.0; as numbers all three are equal.
    numbers = [number for value in options if (number := _number(value)) is not None]
    return equal | _as_numbers(column).isin(numbers)


def _as_numbers(column: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").astype(float)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
