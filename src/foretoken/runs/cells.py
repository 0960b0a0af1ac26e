"""Numbers as people write them into tables, and the units that a column's name or its cells say.

`70M`, `70,000,000`, `1.2e9`, `6.1 ZFLOP`, `2 PF-days`; `n_params(M)`, `tokens_B`, `train tokens (billions)`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

from foretoken.errors import TableError, shown
from foretoken.escapes import for_shell
from foretoken.units import COUNT_SUFFIXES, FLOP_UNITS

if TYPE_CHECKING:
    import pandas as pd


class Unit(NamedTuple):
    """What the numbers of a column are multiplied with."""

    factor: float
    name: str
    """As in `in millions`."""


_COUNTS = {
    name: Unit(factor, plural)
    for names, factor, plural in (
        (
            ("k", "thousand", "thousands", "tsd", "tausend", "milliers", "miles", "milhares", "тыс", "千"),
            1e3,
            "thousands",
        ),
        (("万", "萬", "만"), 1e4, "ten thousands"),
        (("m", "mn", "mln", "million", "millions", "mio", "millionen", "millones", "百万", "백만"), 1e6, "millions"),
        (("milhões", "milioni", "млн"), 1e6, "millions"),
        (("mld", "miliardi", "bilhões", "млрд"), 1e9, "billions"),
        (("亿", "億", "억"), 1e8, "hundred millions"),
        (
            ("b", "g", "bn", "billion", "billions", "mrd", "milliarden", "milliards", "十亿", "十億", "십억"),
            1e9,
            "billions",
        ),
        (("t", "tn", "trillion", "trillions", "万亿", "兆"), 1e12, "trillions"),
    )
    for name in names
}
_FLOPS = {
    name.replace("-", "").replace("/", ""): Unit(factor, name)
    for name, factor in FLOP_UNITS.items()
    if name not in ("", "flop", "flops")
}
_FLOPS |= {f"{name}s": unit for name, unit in _FLOPS.items() if name.endswith("flop")}
_FLOPS |= {
    f"{word}flop{end}": Unit(factor, f"{letter}FLOP")
    for word, letter, factor in (
        ("giga", "G", 1e9), ("tera", "T", 1e12), ("peta", "P", 1e15), ("exa", "E", 1e18), ("zetta", "Z", 1e21),
        ("g", "G", 1e9),
    )
    for end in ("", "s")
}  # fmt: skip
_FLOPS |= {f"{pf}s{days}": _FLOPS["pfdays"] for pf in ("petaflop", "pflop", "pf") for days in ("day", "days")}
UNITS: dict[str, dict[str, Unit]] = {"count": _COUNTS, "flops": _COUNTS | _FLOPS}
"""Units by what is counted and how they are spelled, in lower case."""
ONE = Unit(1.0, "single ones")
COUNTED = {
    **dict.fromkeys(("params_total", "params", "params_active", "params_non_embedding"), "count"),
    **dict.fromkeys(("params_embedding", "params_head", "tokens", "unique_tokens", "batch_tokens"), "count"),
    **dict.fromkeys(("warmup_tokens", "vocabulary", "vocab_size"), "count"),
    **dict.fromkeys(("flops", "flops_6nd"), "flops"),
}
"""What a column of ours counts, where units are expected in it."""
_IN_BRACKETS = re.compile(r"[(\[{（]\s*(?:in\s+)?([^)\]}）]+)[)\]}）]\s*$")
MISSING = ("—", "–", "-", "--", "?", "n.a.", "na", "none", "None")
"""Cells that hold nothing, beside those that pandas knows."""
_NOTHING = {"", "nan", "null", "n/a", "<na>", *(word.lower() for word in MISSING)}
_GROUPED = re.compile(
    r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?\d{1,3}(?:[ _\u00a0\u202f'\u2019]\d{3})+(?:\.\d+)?"
    r"|[-+]?\d{1,3}(?:\.\d{3}){2,}|[-+]?\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?"
)
_GROUPING = str.maketrans("", "", ", _\u00a0\u202f'\u2019")
_POWER = re.compile(r"\$?\s*([-+]?[\d.]+)\s*(?:×|x|\*|·|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*\{?([-+]?\d+)\}?\s*\$?")
"""1.2 × 10^9 of a paper, also as LaTeX writes it."""
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_ERROR = re.compile(r"\s*(?:±|\+/-|\+-|\\pm)\s*[\d.]+(?:[eE][-+]?\d+)?$")
"""What stands behind a number as its error."""
_QUANTITY = re.compile(
    r"([-+]?\d[\d_.,'\u2019\u00a0\u202f]*(?:[eE][-+]?\d+)?|[-+]?\.\d+)\s*([A-Za-z/-]+|[\u4e00-\u9fff\uac00-\ud7a3]+)"
    r"(?:\s+(?:params|parameters|tokens|flops?))?"
)
LONGEST_LIST = 1_000_000
"""Characters of the longest cell that is read as a list."""
MOST_TOLD = 6
"""Different cells that a message names."""
_WORDS = ("params", "parameters", "tokens", "flop", "flops")


def unit_of(name: str, ours: str) -> Unit | None:
    """The unit that a column's name ends with, for a column of ours that counts something; None where it says none.

    >>> unit_of("n_params(M)", "params"), unit_of("train_tokens (billions)", "tokens"), unit_of("val_loss", "loss")
    (Unit(factor=1000000.0, name='millions'), Unit(factor=1000000000.0, name='billions'), None)
    """
    units, brackets = UNITS.get(COUNTED.get(ours, ""), {}), _IN_BRACKETS.search(name)
    words = re.split(r"[\s_.-]+", name.strip())
    # `pf-days` is one unit of two words; the first word of a name is the name.
    ends = [brackets[1]] if brackets else [words[-1], "".join(words[-2:])][: len(words) - 1]
    # A name that is a unit of compute as a whole: `PF-days`, `ZFLOP`; of counts, `M` or `B` may be anything.
    ends += ["".join(words)] if units is UNITS["flops"] and len("".join(words)) > 4 else []
    found = next((unit for end in ends if units and (unit := named_unit(end, ours)) not in (None, ONE)), None)
    if found is None and units:
        # `paramsMillions`; a mere ending is no word: `compute_flop` holds no `eflop`, `budgetFLOPs` no `tflops`.
        last = re.split(r"(?<=[a-z])(?=[A-Z])", words[-1])[-1].lower()
        found = units.get(last) if len(last) > 4 else None
    return found


def named_unit(word: str, ours: str) -> Unit | None:
    """The unit of this name, `1` for none; None where a column of ours knows no such unit.

    >>> named_unit("ZFLOP", "flops"), named_unit("M", "tokens"), named_unit("M", "loss")
    (Unit(factor=1e+21, name='zflop'), Unit(factor=1000000.0, name='millions'), None)
    >>> named_unit("1E21", "flops")
    Unit(factor=1e+21, name='1e21')
    """
    if word.strip() == "1":
        return ONE
    plain = re.sub(r"[\s./-]", "", word.lower())
    if ours in COUNTED and re.fullmatch(r"1e\d{1,2}", plain):
        return Unit(float(plain), plain)
    return UNITS.get(COUNTED.get(ours, ""), {}).get(plain)


def number(cell: object, ours: str = "") -> float:
    """The number in a cell of a column of ours; NaN where there is none. Dates and truth values are none.

    >>> number("1.4B", "params"), number("70,000,000"), number("2 PF-days", "flops"), number("many")
    (1400000000.0, 70000000.0, 1.728e+20, nan)
    """
    # float(True) is 1.0, which would make a number of a flag.
    if isinstance(cell, bool) or not isinstance(cell, str | Real | Decimal):
        return math.nan
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except ValueError:
        return _written(str(cell).strip(), ours)


def _written(text: str, ours: str) -> float:
    """A number with marks between thousands, a power of ten, an error behind it, or a unit."""
    text = re.sub(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)", lambda match: f"10^{match[1].translate(_RAISED)}", text)
    if _ERROR.search(text):
        return number(_ERROR.sub("", text), ours)
    if _GROUPED.fullmatch(text):
        text = text.replace(".", "") if text.count(".") > 1 else text
        return float(text.translate(_GROUPING))
    if power := _POWER.fullmatch(text):
        return float(f"{power[1]}e{power[2]}")
    match = _QUANTITY.fullmatch(text) if ours in COUNTED else None
    if match is None:
        return math.nan
    word = match[2]
    # As in `--params 7B`: a lower-case m or b is a slip as likely as a unit, but for whole words.
    unit = ONE if word.lower() in _WORDS else named_unit(word, ours)
    if unit is None or (len(word) == 1 and word.isascii() and word not in COUNT_SUFFIXES):
        return math.nan
    return number(match[1]) * unit.factor


def numbers_in(column: pd.Series, source: str, factor: float = 1.0, *, percent: bool = False) -> pd.Series:
    """A column as numbers, bare ones times `factor`; with `percent`, 51 % is 0.51.

    Raises TableError for a cell that holds something else.
    """
    import pandas as pd

    if str(column.dtype) in ("float64", "int64"):
        return column.astype(float) * factor
    if percent:
        column = column.map(_of_percent)
    # A cell with a unit of its own is whole; the unit of the column is for bare numbers.
    bare = pd.Series([number(cell) for cell in column], index=column.index, dtype=float) * factor
    numbers = bare.where(bare.notna(), [number(cell, str(column.name)) for cell in column])
    unread = numbers.isna() & ~column.map(_is_nothing).astype(bool)
    cure = "write its unit as k, M, B or T (70M, 1.4B), or " if column.name in COUNTED else ""
    words = list(dict.fromkeys(map(str, column[unread & column.notna()])))
    if len(words) <= MOST_TOLD and not any(set(word) & set(',|"') for word in words):
        leave = for_shell("--where", f"{column.name}!={'|'.join(words)}")
        cure += f"correct the cell, leave it empty, or leave the rows out: {leave}"
    else:
        cure += "correct the cell or leave it empty"
    refuse_cells(column, unread, source, "text where numbers are expected", cure)
    return numbers


def _of_percent(cell: object) -> object:
    """A cell such as 51 % as the fraction that it is; any other as it stands."""
    if isinstance(cell, str) and cell.rstrip().endswith("%"):
        value = number(cell.rstrip().removesuffix("%").rstrip())
        return cell if math.isnan(value) else value / 100
    return cell


def as_word(cell: object) -> str:
    """A cell as a name, a whole number without a point; "" for an empty one.

    >>> as_word(" C4"), as_word(2.0), as_word(float("nan"))
    ('C4', '2', '')
    """
    if cell is None or cell != cell:
        return ""
    return f"{cell:.12g}" if isinstance(cell, float) else str(cell).strip()


def as_list(cell: object) -> list[object] | None:
    """The list in a cell, also one written as JSON; None where there is none.

    >>> as_list("[3.1, 2.9]"), as_list("3.1")
    ([3.1, 2.9], None)
    """
    if isinstance(cell, str) and cell.lstrip().startswith("[") and len(cell) <= LONGEST_LIST:
        with contextlib.suppress(ValueError, RecursionError):
            cell = json.loads(cell)
    # Arrays of numpy, as parquet gives them, have tolist.
    plain = cell.tolist() if hasattr(cell, "tolist") else cell
    return list(plain) if isinstance(plain, list | tuple) else None


def has_errors(column: pd.Series) -> bool:
    """Whether cells hold an error behind their number, as in `3.65 ± 0.02`."""
    is_plain = str(column.dtype) in ("float64", "int64")
    return not is_plain and any(isinstance(cell, str) and _ERROR.search(cell) for cell in column)


def _is_nothing(cell: object) -> bool:
    """Whether a cell says in words that it holds no number."""
    return isinstance(cell, str) and cell.strip().lower() in _NOTHING


def refuse_cells(
    column: pd.Series,
    wrong: Sequence[bool] | pd.Series,
    source: str,
    what: str,
    cure: str = "correct such cells or leave them empty",
) -> None:
    """Raise TableError for the cells that are wrong and not missing: each different one is told once."""
    rows = [row for row, (bad, filled) in enumerate(zip(wrong, column.notna(), strict=True)) if bad and filled]
    if rows:
        first: dict[str, int] = {}
        for row in rows:
            first.setdefault(shown(column.astype(object).iloc[row]), row + 1)
        told = [f"{cell} in row {row}" for cell, row in list(first.items())[:MOST_TOLD]]
        more = [f"{len(first) - MOST_TOLD} others"] if len(first) > MOST_TOLD else []
        raise TableError(
            f"{source}: column {column.name!r} holds {what}",
            got=", ".join([*told, *more]),
            cure=cure,
            code="unreadable_cell",
        )
