"""What is doubtful about a table of scores, though it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from foretoken.fits.check import Check
from foretoken.scores.axes import KEY, Axis, CurveName

if TYPE_CHECKING:
    import pandas as pd


def score_checks(frame: pd.DataFrame, against: Axis) -> tuple[Check, ...]:
    """The doubts about a frame of scores, as `ScoreTable` has it."""
    return (*_mixed_metrics(frame, against), *_below_chance(frame), *_constant(frame))


def _mixed_metrics(frame: pd.DataFrame, against: Axis) -> Iterator[Check]:
    """Doubts about tasks whose small models are scored by another metric than the large ones."""
    for (group, task, shots), rows in frame.groupby(["group", "task", "shots"], sort=False):
        sizes = {metric: set(part[against]) for metric, part in rows.groupby("metric")}
        if len(sizes) > 1 and sum(map(len, sizes.values())) == len(set.union(*sizes.values())):
            name = CurveName(str(group), str(task), "", str(shots))
            yield Check(
                "mixed_metrics",
                "doubt",
                f"{name}: some sizes are scored by {' and others by '.join(map(str, sizes))}, none by both",
                "score all sizes by one metric, or rename the metric where it is one and the same",
            )


def _below_chance(frame: pd.DataFrame) -> Iterator[Check]:
    for key, rows in frame.groupby(list(KEY), sort=False):
        chance = rows["chance"].iloc[0]
        down = rows["better"].iloc[0] == "down"
        if chance == chance and ((rows["score"] > chance) if down else (rows["score"] < chance)).all():
            best = rows["score"].min() if down else rows["score"].max()
            if abs(best - chance) > 0.05:
                name = CurveName(*map(str, key))
                yield Check(
                    "below_chance",
                    "doubt",
                    f"{name}: every score is worse than chance ({chance:.3g}), the best is {best:.3g}",
                    "look how the answers were read; a score this bad is no measure of the model",
                )


def _constant(frame: pd.DataFrame) -> Iterator[Check]:
    for key, rows in frame.groupby(list(KEY), sort=False):
        if len(rows) > 2 and rows["score"].nunique() == 1:
            yield Check(
                "constant_scores",
                "note",
                f"{CurveName(*map(str, key))}: {rows['score'].iloc[0]:.3g} at each of {len(rows)} sizes",
                "look whether the task was scored at all",
            )
