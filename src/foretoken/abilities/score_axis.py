"""What the scores of a table are drawn against: the axis that was asked for, or what varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretoken.abilities.axes import AXES, Axis
from foretoken.abilities.bounds import refuse_impossible_sizes
from foretoken.errors import TableError
from foretoken.fits.check import plural
from foretoken.runs.sources import columns_like, proposals

if TYPE_CHECKING:
    import pandas as pd


def axis_of(frame: pd.DataFrame, asked: str, source: str) -> tuple[Axis, list[str]]:
    """What the scores are drawn against: what varies; compute where both sizes and tokens do.

    Raises TableError where nothing of it is known of every score, where all are of one size, or in two units.
    """
    refuse_impossible_sizes(frame, source)
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
