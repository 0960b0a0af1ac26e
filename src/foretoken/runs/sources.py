"""--map: where each of our columns comes from in a table. `loss=val_loss,tokens=steps*batch*context,params=n:M`."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError, TableError
from foretoken.runs.cells import ONE, Unit, named_unit, number, numbers_in, unit_of

if TYPE_CHECKING:
    import pandas as pd


class Source(NamedTuple):
    """What one of our columns is: one column of the file, or a product of columns and numbers."""

    columns: tuple[str, ...]
    factor: float
    """What the product is multiplied with."""
    unit: Unit | None
    """That was said, by the name of the column or with `:`; None where nothing was."""

    @property
    def is_one_column(self) -> bool:
        """Whether the cells are taken as they are, text too."""
        return len(self.columns) == 1 and self.factor == 1.0


def parse_map(text: str, option: str = "--map", example: str = "loss=val_loss,tokens=D") -> dict[str, str]:
    """`loss=val_loss,tokens=D` -> {"loss": "val_loss", "tokens": "D"}; names with commas stand between quotes.

    >>> parse_map('loss="loss, nats",tokens=steps*batch')
    {'loss': 'loss, nats', 'tokens': 'steps*batch'}
    """
    quoted = re.sub(r'(^|,)\s*([^",=]+)="((?:[^"]|"")*)"', r'\1"\2=\3"', text)
    try:
        pairs = [pair.partition("=") for pair in next(csv.reader([quoted]), []) if pair.strip()]
    except csv.Error:
        raise ForetokenError(f"{option}: not readable", expected=example, got=repr(text)) from None
    for ours, equals, theirs in pairs:
        if not (ours.strip() and equals and (theirs.strip() or ours.strip() == "status")):
            raise ForetokenError(f"{option}: not readable", expected=example, got=repr(text))
    names = [ours.strip() for ours, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ForetokenError(f"{option}: one thing is named twice", expected=example, got=repr(text))
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def find_source(frame: pd.DataFrame, ours: str, theirs: str, source: str) -> Source:
    """What `ours=theirs` means in a table: the exact name of a column, else COLUMN:UNIT, else a product.

    Raises TableError for a column that is not there, with the nearest that is.
    """
    names = list(map(str, frame.columns))
    if theirs in names:
        return Source((theirs,), 1.0, unit_of(theirs, ours))
    stem, colon, word = theirs.rpartition(":")
    said = named_unit(word, ours) if colon else None
    if said:
        return find_source(frame, ours, stem.strip(), source)._replace(unit=said)
    factors = [factor.strip() for factor in theirs.split("*")]
    columns = [factor for factor in factors if factor in names]
    numbers = [number(factor) for factor in factors if factor not in names]
    missing = [factor for factor in factors if factor not in names and not number(factor) > 0]
    if missing or not columns:
        raise _missing(ours, theirs, missing[0] if missing else theirs, names, source)
    return Source(tuple(columns), math.prod(numbers), ONE)


def _missing(ours: str, theirs: str, name: str, names: list[str], source: str) -> TableError:
    near = nearest(name, names)
    return TableError(
        f"{as_typed(f'{ours}={theirs}')}: {source} has no column {name!r}",
        expected=", ".join(names),
        cure=f"did you mean {near[0]!r}?" if near else "name one of these",
        code="missing_column",
    )


def apply_map(
    frame: pd.DataFrame, rename: Mapping[str, str], source: str
) -> tuple[pd.DataFrame, list[str], dict[str, Source]]:
    """The frame under our names, what was done in sentences, and what each mapped column is made of."""
    found = {ours: find_source(frame, ours, theirs, source) for ours, theirs in rename.items() if theirs}
    used = {name for one in found.values() for name in one.columns}
    # A column of ours that another is mapped to gives way, unless it is itself the source of another.
    hidden = [ours for ours in found if ours in frame and ours not in used]
    unread = [ours for ours, theirs in rename.items() if not theirs and ours in frame]
    notes = [f"the file's own column `{ours}` is not read: --map takes `{rename[ours]}` for it" for ours in hidden]
    notes += [f"the file's own column `{ours}` is not read" for ours in unread]
    notes += [f"`{ours}` is {rename[ours]}" for ours, one in found.items() if not one.is_one_column]
    # Renamed rather than made anew, but for products and for a second name of one column.
    renamed = {one.columns[0]: ours for ours, one in found.items() if one.is_one_column}
    made = {
        ours: frame[one.columns[0]] if one.is_one_column else _product(frame, one, source)
        for ours, one in found.items()
        if ours not in renamed.values()
    }
    return frame.drop(columns=[*hidden, *unread]).rename(columns=renamed).assign(**made), notes, found


# What people call the columns that a table of runs must have, the likeliest first; units at the end are left out.
_NAMES = {
    "params": r"(n|num|total)?_?(params?|parameters|weights)(_?(total|count|n))?|model_?size|size|n",
    "tokens": r"(n|num|total)?_?(train(ing)?_?)?tokens?(_?(seen|total|trained|count))?|d|data(set)?_?size",
    "flops": r"(train(ing)?|total)?_?(flops?|compute)(_?(total|budget))?|c|budget",
    "loss": r"(val(id(ation)?)?|eval|test|final|dev)?_?(ce_|lm_|cross_entropy_)?loss(_?(val|final|nats))?"
    r"|l|cross_?entropy|(val(id(ation)?)?|eval|test)?_?(bpb|bpc|ppl|perplexity|nll|bits_per_(byte|char|token))",
}


def proposals(frame: pd.DataFrame, missing: list[str]) -> str:
    """A --map for the columns that are missing, from the names that are there; YOUR_COLUMN where none is alike."""
    names = [str(name) for name in frame.columns]
    parts = []
    for ours in missing:
        pattern = _NAMES.get(ours)
        like = [name for name in names if pattern and re.fullmatch(pattern, _plain(name), re.IGNORECASE)]
        found = like[0] if like else next(iter(nearest(ours, names)), "YOUR_COLUMN")
        parts.append(f'{ours}="{found}"' if "," in found else f"{ours}={found}")
    return as_typed(",".join(parts))


def as_typed(text: str) -> str:
    """A --map as it is typed, between quotes where a shell needs them.

    >>> as_typed("loss=val_loss"), as_typed("tokens=tokens (B)")
    ('--map loss=val_loss', "--map 'tokens=tokens (B)'")
    """
    return f"--map '{text}'" if re.search(r"[\s\"()*]", text) else f"--map {text}"


_UNIT = re.compile(r"\s*[(\[{][^)\]}]*[)\]}]$|[ _-](k|m|b|g|t|bn|mn|millions?|billions?|trillions?)$", re.IGNORECASE)


def _plain(name: str) -> str:
    """The last part of a dotted name (eval/loss stays whole), without a unit at its end."""
    short = re.fullmatch(r"(val|valid|eval|test)[./]\w+", name)
    last = re.sub(r"[./]", "_", name) if short else re.split(r"[./]", name)[-1]
    return re.sub(r"[\s-]+", "_", _UNIT.sub("", last).strip())


def _product(frame: pd.DataFrame, one: Source, source: str) -> pd.Series:
    """A product of columns and numbers [r]."""
    product = numbers_in(frame[one.columns[0]], source, one.factor)
    for name in one.columns[1:]:
        product = product * numbers_in(frame[name], source)
    return product
