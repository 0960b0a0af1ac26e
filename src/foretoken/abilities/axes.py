"""What names a curve of scores, and what it is drawn against."""

from __future__ import annotations

import zlib
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from foretoken.errors import TableError
from foretoken.fits.check import listed, plural
from foretoken.runs.sources import columns_like, proposals

if TYPE_CHECKING:
    import pandas as pd

Axis = Literal["params", "tokens", "flops", "loss"]
"""What the scores are drawn against."""
AXES: tuple[Axis, ...] = get_args(Axis)
KEY = ("group", "task", "metric", "shots")
"""Columns that name a curve."""


@dataclass(frozen=True)
class CurveName:
    """What names a curve of a score table."""

    group: str
    task: str
    metric: str
    shots: str

    def __str__(self) -> str:
        """In words.

        >>> str(CurveName("", "winogrande", "acc", "few"))
        'winogrande, acc, few-shot'
        """
        shots = self.shots if not self.shots or "shot" in self.shots.lower() else f"{self.shots}-shot"
        return ", ".join(word for word in (self.group, self.task, self.metric, shots) if word)

    @property
    def number(self) -> int:
        """A number for the seed of its draws: of the name alone, so that no other curve of a table changes it."""
        return zlib.crc32(repr(astuple(self)).encode())


def axis_of(frame: pd.DataFrame, asked: str, source: str) -> tuple[Axis, list[str]]:
    """What the scores are drawn against: what varies; compute where both sizes and tokens do.

    Raises TableError where nothing of it is known of every score, where all are of one size, or in two units.
    """
    _refuse_impossible(frame, source)
    sizes = {axis: frame[axis].nunique() for axis in AXES}
    axis: Axis
    if asked != "auto":
        axis = next(one for one in AXES if one == asked)
    elif sizes["params"] > 1 and sizes["tokens"] > 1 and sizes["flops"] > 1:
        axis = "flops"
    else:
        axis = next((one for one in AXES if sizes[one] > 1), "params")
    _refuse_missing(frame, axis, asked, source)
    values = frame[axis]
    if sizes[axis] < 2:
        cure = "give the smaller models, too" if asked == "auto" else "take another axis: --against auto"
        raise TableError(
            f"{source}: all scores are of one size, {axis} {values.iloc[0]:.6g}",
            expected="scores at several sizes, token counts or budgets",
            cure=_by_name(frame) or cure,
            code="one_size",
        )
    if axis in ("params", "tokens") and values.min() < 1e4 <= 1e6 <= values.max() and values.min() * 1e5 < values.max():
        raise TableError(
            f"{source}: {axis} is in two units: {values.min():.6g} beside {values.max():.6g}",
            expected="one unit in all rows",
            cure="write the unit in each cell (70M, 1.4B)",
            code="mixed_units",
        )
    return axis, [f"scores are drawn against {axis}"] if asked == "auto" else []


def _refuse_missing(frame: pd.DataFrame, axis: Axis, asked: str, source: str) -> None:
    """Raise TableError where the axis is in no row, or not in each."""
    values = frame[axis]
    if values.isna().all():
        known = [name for name in AXES if frame[name].notna().any()]
        raise TableError(
            f"{source} has no column for the axis: {axis if asked != 'auto' else 'params, tokens, flops or loss'}",
            got=", ".join(known) or "no size at all",
            cure=f"--against {known[0]}" if known else _by_name(frame) or "name it: --map params=COLUMN",
            code="missing_column",
        )
    without = values.isna() if axis == "loss" else ~(values > 0)
    if without.any():
        least = "" if axis == "loss" else " above 0"
        raise TableError(
            f"{source}: {plural(int(without.sum()), 'row')} without {axis}{least}",
            expected=f"a number in the column `{axis}` of every score",
            got=f"an empty cell, NaN{'' if axis == 'loss' else ', 0 or less'}",
            cure=f"fill the column, or leave such rows out: --where '{axis}>0'",
            code="missing_size",
        )


def _by_name(frame: pd.DataFrame) -> str:
    """The --map of a column that is named as people name an axis; "" where there is none.

    >>> import pandas as pd
    >>> _by_name(pd.DataFrame({"training_flops": [1e20, 2e20], "params": 1e9}))
    'name what varies: --map flops=training_flops'
    """
    for axis in AXES:
        for name in columns_like(frame, axis):
            if name not in AXES and frame[name].nunique() > 1:
                return f"name what varies: {proposals(frame[[name]], [axis])}"
    return ""


def _refuse_impossible(frame: pd.DataFrame, source: str) -> None:
    """Raise TableError where parameters, tokens or FLOP are there and no amount above 0."""
    for name in ("params", "tokens", "flops"):
        wrong = frame[name].notna() & ~((frame[name] > 0) & (frame[name] < float("inf")))
        if wrong.any():
            raise TableError(
                f"{source}: {name} must be a finite number above 0",
                got=listed(f"{value:g}" for value in frame.loc[wrong, name].unique()),
                cure=f"correct the cells, or leave such rows out: --where '{name}>0'",
                code="missing_size",
            )
