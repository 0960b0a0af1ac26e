"""Chance, ceiling and human level of the rows of a score table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from foretoken.abilities.bounds import BARS
from foretoken.abilities.metrics import chance_of
from foretoken.fits.check import listed
from foretoken.runs.cells import numbers_in

if TYPE_CHECKING:
    import pandas as pd

RANDOM = ("random", "random_baseline", "random_score", "chance_level", "baseline_random")
"""Names of what guessing scores."""


def with_bars(
    frame: pd.DataFrame, asked: Mapping[str, float | None], *, is_raw: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with chance, ceiling and human level, as they are asked for, as it has them, or as they are known.

    `is_raw` says that no score has bounds, whatever its metric. Adds sentences on what was taken for what.
    """
    import pandas as pd

    notes, fits = [], _of_one_scale(frame, is_raw)
    random = next((column for column in RANDOM if column in frame), None)
    if random and "chance" not in frame:
        frame = frame.rename(columns={random: "chance"})
        notes.append(f"`chance` is read from `{random}`")
    for name in BARS:
        value = asked[name]
        own = (
            numbers_in(frame[name], "the table", percent=True)
            if name in frame
            else pd.Series(float("nan"), index=frame.index)
        )
        frame = frame.assign(**{name: own if value is None else own.mask(fits, float(value))})
        if value is not None and not fits.all():
            notes.append(_left_out(frame["metric"][~fits], frame["metric"][fits], name, value))
    if frame["chance"].isna().any():
        pairs = frame[["task", "metric"]].drop_duplicates()
        known = {(task, metric): chance_of(task, metric) for task, metric in pairs.itertuples(index=False)}
        told = sorted({task for (task, _), value in known.items() if value is not None})
        filled = [known[pair] for pair in zip(frame["task"], frame["metric"], strict=True)]
        frame = frame.assign(known_chance=[float("nan") if value is None else value for value in filled])
        notes += [f"chance, one over the number of choices, is known of {listed(told, 8)}"] if told else []
    return frame, notes


def _of_one_scale(frame: pd.DataFrame, is_raw: bool) -> pd.Series:
    """Which rows one number can be a level of: shares of right answers, else errors, else the one raw metric."""
    bounded = frame["bounded"] & (not is_raw)
    up = frame["better"] == "up"
    scales = [bounded & up, bounded & ~up, ~bounded & (frame["metric"].nunique() == 1)]
    return next((rows for rows in scales if rows.any()), scales[-1])


def _left_out(others: pd.Series, taken: pd.Series, name: str, value: float) -> str:
    """That a level is not of all metrics, in a sentence."""
    taken_by = listed(taken.unique()) if len(taken) else "no metric"
    return (
        f"--{name} {value:g} is taken for {taken_by}, not for {listed(others.unique())}, whose scale is another: give"
        f" those a column `{name}`, or read one metric alone: --where metric={others.iloc[0]}"
    )
