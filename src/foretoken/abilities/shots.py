"""What examples in the prompt are worth, by size: the gain of each task, paired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from foretoken.abilities.axes import CurveName
from foretoken.abilities.metrics import AVERAGE
from foretoken.abilities.table import ScoreTable
from foretoken.fits.check import Check
from foretoken.laws.law import Array

if TYPE_CHECKING:
    import pandas as pd

WORDS = {"zero": 0.0, "one": 1.0, "few": 2.0, "many": 3.0}


@dataclass(frozen=True)
class SizeGain:
    """The gain at one size."""

    size: float
    """Of the axis; of a loss, sizes stand from the highest to the lowest."""
    mean: float
    """Of the tasks, in fractions."""
    low: float
    high: float
    """Of the mean over tasks, by Student's t."""
    better: int
    """Tasks that gain."""
    tasks: int
    probability: float
    """Of a difference as large by chance: Wilcoxon's signed ranks, two-sided."""


@dataclass(frozen=True)
class ShotGain:
    """The gain of `shots` over `base` at each size."""

    group: str
    base: str
    shots: str
    sizes: list[SizeGain]
    left_out: list[str]
    """Curves that are no task's own score by these shots, and why."""

    @property
    def all_gain_from(self) -> float | None:
        """The smallest size from which on every task gains; None where there is none."""
        found = None
        for entry in reversed(self.sizes):
            if entry.better < entry.tasks:
                break
            found = entry.size
        return found


def shot_order(shots: str) -> float:
    """By how many examples, as far as a name says.

    >>> sorted(["few", "zero", "5", "one"], key=shot_order)
    ['zero', 'one', 'few', '5']
    """
    number = re.match(r"\d+", shots)
    return float(number[0]) if number else WORDS.get(shots.lower().split("-")[0].split("_")[0], 1e9)


def shot_gains(table: ScoreTable, probability: float) -> list[ShotGain]:
    """The gain of each number of shots over the smallest, in each group."""
    frame = table.frame
    gains = []
    for group in frame["group"].unique():
        words = {word for word in frame.loc[frame["group"] == group, "shots"] if word}
        # Words that say no number stand in the order of the alphabet: a set has none.
        names = sorted(words, key=lambda word: (shot_order(word), word))
        pairs = [(names[0], name) for name in names[1:]]
        gains += [gain for base, name in pairs if (gain := _gain(table, str(group), base, name, probability))]
    return gains


def _gain(table: ScoreTable, group: str, base: str, shots: str, probability: float) -> ShotGain | None:
    """Paired over tasks; None where fewer than two tasks have both at any size."""
    frame = table.frame[(table.frame["group"] == group) & table.frame["shots"].isin([base, shots])]
    left_out = _left_out(frame)
    # A task that is left out for one number of shots is left out for both: the gain is paired.
    names = [(str(task), str(metric)) for task, metric in zip(frame["task"], frame["metric"], strict=True)]
    kept = frame[[name not in left_out for name in names]]
    kept = kept.assign(good=kept["score"].where(kept["better"] == "up", 1.0 - kept["score"]))
    wide = kept.pivot_table(index=[table.against, "task", "metric"], columns="shots", values="good")
    if not {base, shots} <= set(wide.columns):
        return None
    # Paired: each task is its own control, so that how hard it is drops out.
    gain = (wide[shots] - wide[base]).dropna()
    sizes = [
        _at(float(str(size)), part.to_numpy(dtype=np.float64), probability)
        for size, part in gain.groupby(level=0)
        if len(part) > 1
    ]
    if table.against == "loss":
        sizes.reverse()
    told = [f"{CurveName('', task, metric, '')}: {why}" for (task, metric), why in left_out.items()]
    return ShotGain(group, base, shots, sizes, told) if sizes else None


def _left_out(frame: pd.DataFrame) -> dict[tuple[str, str], str]:
    found = {}
    for (task, metric), rows in frame.groupby(["task", "metric"], sort=False):
        constant = rows.groupby("shots")["score"].nunique() == 1
        if (rows["unit"] == "raw").any():
            found[str(task), str(metric)] = "no proportion"
        elif AVERAGE.search(str(metric)) or AVERAGE.search(str(task)):
            found[str(task), str(metric)] = "an average of tasks"
        elif constant.any() and rows["score"].nunique() > 1 and (rows["score"] == 0).any():
            found[str(task), str(metric)] = f"{constant.idxmax()}-shot is the same at every size"
    return found


def _at(size: float, gain: Array, probability: float) -> SizeGain:
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
    from scipy.stats import wilcoxon  # here, as it takes a second to import, and pages of runs need none of it

    half = float(stdtrit(len(gain) - 1, 0.5 + probability / 2)) * error
    # Wilcoxon's test is not defined for gains that are all 0.
    chance = float(wilcoxon(gain).pvalue) if np.any(gain) else 1.0
    return SizeGain(size, mean, mean - half, mean + half, int((gain > 0).sum()), len(gain), chance)


def shot_checks(gains: Sequence[ShotGain]) -> list[Check]:
    """A note where examples only help the largest models."""
    return [
        Check(
            "shots_help_late",
            "note",
            f"{gain.shots}-shot beats {gain.base}-shot in all {gain.sizes[-1].tasks} tasks only from"
            f" {gain.all_gain_from:.3g} on; at {gain.sizes[0].size:.3g} the mean gain is"
            f" {100 * gain.sizes[0].mean:+.1f} points",
            "compare models by the shots that they will be used with",
        )
        for gain in gains
        if gain.all_gain_from is not None and gain.all_gain_from != gain.sizes[0].size
    ]
