"""Percent, fractions and scores without bounds, told apart; chance, ceiling and human level; what is doubtful."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foretoken.abilities.axes import KEY, Axis, CurveName
from foretoken.abilities.metrics import PARTIAL, chance_of
from foretoken.bounded import handed_over
from foretoken.errors import TableError
from foretoken.fits.check import Check, listed
from foretoken.runs.cells import as_word, numbers_in

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 12
MOST_ITEMS = 1e12
"""Items behind a score: beyond that its number is a slip."""
BARS = ("chance", "ceiling", "human")
WORDS = {"fraction": "fraction", "percent": "percent", "%": "percent", "raw": "raw"}
"""Units, by what a column `unit` may say."""
AMBIGUOUS = 2.0
"""A largest score between 1 and this is a fraction that is too large as likely as a percentage."""
LIKE_A_FRACTION = 0.2
"""A curve of a table in percent of which all scores lie between this and 1 looks like fractions."""
MOST_LOW = 0.5
"""Share of the scores above 0 from which on those up to 1 are not taken for percent unless the user says so."""
LEAST_HIT = 0.5
"""Right answers below which a score in percent is none: a half, for scores that were rounded."""
FRACTIONS, PERCENT = "scores are in fractions", "scores are in percent"
RAW = ", or raw for a score without bounds"
ROUGHER = 0.25
"""A curve is of two units if, read so, the squares of its steps sum to this share of what they do as it stands."""
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


def in_fractions(
    frame: pd.DataFrame,
    asked: str,
    source: str,
    along: Sequence[str] = ("params", "tokens", "flops"),
    *,
    may_be_raw: bool = True,
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with scores, their errors, chance, ceiling and human level as fractions where they have bounds.

    `asked` is the unit where the user says it, before a column `unit` that does. Adds `unit`. Raises TableError for
    scores outside their bounds, and for a table whose unit its numbers do not tell: curves are those of one task and
    metric along the columns `along`. Without `may_be_raw` every score has bounds.
    """
    said = _said(frame)
    if not may_be_raw:
        said = _within_bounds(said, asked, source)
    bounded = frame["bounded"] & (asked != "raw") & (said != "raw")
    asked = asked or _one_unit(said[bounded.to_numpy()], source)
    scores = frame.loc[bounded, "score"]
    unit = asked if asked in ("fraction", "percent") else _unit_of(frame[bounded], source, along, may_be_raw)
    limit = 100.0 if unit == "percent" else 1.0
    outside = scores[(scores < 0) | (scores > limit)]
    if len(outside):
        raise TableError(
            f"{source}: scores{_of_tasks(frame['task'][outside.index])} lie outside their bounds",
            expected=f"0 to {limit:g}, in {unit}",
            got=listed(f"{value:.6g}" for value in outside.unique()),
            cure=f"correct the cells, or say the unit: --unit percent or fraction{RAW if may_be_raw else ''}",
            code="score_out_of_bounds",
        )
    scaled = {name: frame[name].where(~bounded, frame[name] / limit) for name in ("score", "score_se")}
    bars, told = {}, []
    for name in BARS:
        values = frame.loc[bounded, name]
        # Whoever writes --chance 0.5 beside scores in percent means one half.
        divisor = 100.0 if values.max() > 1.0 else 1.0
        if divisor != limit and values.notna().any():
            told.append(f"`{name}` is read in {'percent' if divisor > 1 else 'fractions'}")
        bars[name] = frame[name].where(~bounded, frame[name] / divisor)
    if "known_chance" in frame:
        bars["chance"] = bars["chance"].fillna(frame["known_chance"].where(bounded))
    units = np.where(bounded, unit, "raw")
    frame = frame.assign(**scaled, **bars, unit=units, bounded=bounded)
    _refuse_bars(frame, source)
    read = [PERCENT if unit == "percent" else FRACTIONS] if len(scores) and not asked else []
    return frame, [*read, *told]


def _said(frame: pd.DataFrame) -> np.ndarray:
    """What a column `unit` says of each row; "" where it says nothing that is known."""
    cells = frame["unit"] if "unit" in frame else [""] * len(frame)
    return np.array([WORDS.get(as_word(cell).lower(), "") for cell in cells], dtype=str)


def _within_bounds(said: np.ndarray, asked: str, source: str) -> np.ndarray:
    """What a column `unit` says; nothing where the user says it. Raises TableError for scores without bounds."""
    if asked:
        return np.full(len(said), "")
    if "raw" in said:
        raise TableError(
            f"{source}: the column `unit` says that scores have no bounds",
            expected="fraction or percent: they are shares of right answers",
            cure="correct the column, or say the unit: --unit percent or fraction",
            code="unbounded_scores",
        )
    return said


def _one_unit(said: np.ndarray, source: str) -> str:
    """The one unit that a column says of bounded scores; "" where it says none."""
    units = sorted({*said.tolist()} - {""})
    if len(units) > 1:
        raise TableError(
            f"{source}: the column `unit` says {' and '.join(units)}",
            expected="all scores of a table as fractions, or all in percent; raw for those without bounds",
            cure="multiply the fractions by 100, and say percent of all",
            code="mixed_units",
        )
    return units[0] if units else ""


def _unit_of(rows: pd.DataFrame, source: str, along: Sequence[str], may_be_raw: bool) -> str:
    """Whether bounded scores are fractions or percent, which no table mixes."""
    if rows.empty or rows["score"].max() <= 1.0:
        return "fraction"
    largest = float(rows["score"].max())
    if largest > 100.0:
        return "percent"  # which it is too large for
    if largest <= AMBIGUOUS and (rows["score"] > LIKE_A_FRACTION).mean() > 0.5:
        raise TableError(
            f"{source}: the largest score, {largest:.6g}, is above 1 and hardly a percentage",
            expected="fractions up to 1, or percent up to 100",
            cure=f"correct the cell, or say the unit: --unit percent{RAW if may_be_raw else ''}",
            code="score_out_of_bounds",
        )
    _refuse_two_units(rows, source, along)
    return "percent"


def _of_tasks(tasks: pd.Series) -> str:
    """Whose scores they are, where tasks have names."""
    names = [name for name in tasks.unique() if name]
    return f" of {listed(names)}" if names else ""


def refuse_impossible_items(n: pd.Series, source: str) -> None:
    """Raise TableError for more items than any benchmark has."""
    most = n.max()
    if most > MOST_ITEMS:
        raise TableError(
            f"{source}: a score of {most:.3g} items",
            expected=f"at most {MOST_ITEMS:.0e} items (questions) behind a score",
            cure="correct the column of items",
            code="impossible_items",
        )


def _refuse_two_units(rows: pd.DataFrame, source: str, along: Sequence[str]) -> None:
    """Raise TableError where scores that are above 1 in part are fractions for the rest, or may as well be."""
    score = rows["score"]
    low = (score > 0) & (score <= 1.0)
    most_are_low = low.sum() > MOST_LOW * (score > 0).sum() and score[low].max() > LIKE_A_FRACTION
    if most_are_low and not any(_is_percent(part) for _, part in _ordered(rows, KEY, along)):
        raise _two_units(source, "most scores lie between 0 and 1", score)
    # A right answer to one of n questions is 100 / n percent; where points come in parts, a score may be of less.
    whole = low & ~rows["metric"].str.contains(PARTIAL)
    less = whole & (score * rows["n"] < 100.0 * LEAST_HIT) if "n" in rows else low & False
    if less.any():
        told = f"{score[less].iloc[0]:g} percent of {rows['n'][less].iloc[0]:g} questions is less than one of them"
        raise _two_units(source, told, score)
    for names, part in _ordered(rows, ("task", "metric"), along):
        if _is_mixed(part):
            raise _two_units(source, f"{', '.join(filter(None, names))} is in two units", part)


def refuse_rest_in_percent(table: object, whole: Callable[[], Sequence[str]], source: str) -> None:
    """Raise TableError where rows that look like fractions were taken from a table in percent: of a hard task, say.

    `whole` reads all of the table, and says what it assumed.
    """
    if isinstance(table, str | Path) and handed_over(table):
        return  # it can be read once
    try:
        assumed = whole()
    except TableError:
        return  # it is not of one kind, which may be why rows were chosen
    if PERCENT in assumed:
        raise TableError(
            f"{source}: the scores of these rows lie between 0 and 1, those of the whole table are in percent",
            expected="the unit of these rows",
            cure="say the unit: --unit percent, or fraction",
            code="mixed_units",
        )


def _ordered(rows: pd.DataFrame, key: Sequence[str], along: Sequence[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    """The names and the scores [r] of each curve, from the smallest size to the largest."""
    key = [name for name in key if name in rows]
    for names, part in rows.groupby(key, sort=False):
        size = part[[name for name in along if name in part and part[name].notna().all()]].to_numpy()
        order = np.lexsort(size.T[::-1]) if size.size else np.arange(len(part))
        yield list(map(str, names)), part["score"].to_numpy()[order]


def _two_units(source: str, told: str, score: pd.Series | np.ndarray) -> TableError:
    return TableError(
        f"{source}: {told}",
        expected="all scores of a table as fractions, or all in percent",
        got=listed((f"{value:g}" for value in np.unique(score)), MOST_SHOWN),
        cure="multiply those that are fractions by 100; if all are in percent, say so: --unit percent",
        code="mixed_units",
    )


def _is_mixed(score: np.ndarray) -> bool:
    """Whether scores in percent [r], from the smallest size to the largest, are fractions in part or as a whole."""
    low = score <= 1.0
    if low.all():
        return bool(score.min() > LIKE_A_FRACTION) and len(score) > 1
    if not low.any() or score[low].max() < LIKE_A_FRACTION:
        return False
    # Read as fractions where it may be: if that makes the curve far smoother, it was of two units.
    as_it_stands, changed = _roughness(score)
    return changed < ROUGHER * as_it_stands


def _is_percent(score: np.ndarray) -> bool:
    """Whether scores [r], from the smallest size to the largest, climb through 1 as those in percent do.

    That is, several are above 1, where fractions have at most a slip, and read as of two units the curve were rougher.
    """
    as_it_stands, changed = _roughness(score)
    return bool((score > 1.0).sum() > 1 and (score <= 1.0).any() and as_it_stands < changed)


def _roughness(score: np.ndarray) -> tuple[float, float]:
    """The squares of the steps between scores [r], summed: as they stand, and with those up to 1 read as fractions."""
    other = np.where(score <= 1.0, 100.0 * score, score)
    return float((np.diff(score) ** 2).sum()), float((np.diff(other) ** 2).sum())


def _refuse_bars(frame: pd.DataFrame, source: str) -> None:
    """Raise TableError where chance, ceiling or human level cannot be."""
    rows = frame[frame["bounded"]]
    for name in BARS:
        if (rows[name] > 1.0).any() or (rows[name] < 0.0).any():
            raise TableError(
                f"{source}: `{name}` lies outside the bounds of a score",
                expected="0 to 1, or 0 to 100 in percent",
                got=listed(f"{value:.6g}" for value in rows[name].dropna().unique()),
                cure=f"correct `{name}`",
                code="score_out_of_bounds",
            )
    sign = np.where(rows["better"] == "up", 1.0, -1.0)
    if (sign * rows["chance"] >= sign * rows["ceiling"]).any():
        raise TableError(
            f"{source}: chance is no worse than the ceiling",
            expected="chance below the ceiling; of an error, above it",
            cure="correct `chance` or `ceiling`",
            code="chance_above",
        )


def score_checks(frame: pd.DataFrame, against: Axis) -> tuple[Check, ...]:
    """The doubts about a frame of scores, as `ScoreTable` has it."""
    return (*_like_fractions(frame), *_mixed_metrics(frame, against), *_below_chance(frame), *_constant(frame))


def _like_fractions(frame: pd.DataFrame) -> Iterator[Check]:
    """Doubts about curves of a table in percent that lie below one percent as a whole, and rise there."""
    for key, rows in frame[frame["unit"] == "percent"].groupby(list(KEY), sort=False):
        score = 100.0 * rows["score"]
        if score.max() <= 1.0 and score.max() > LIKE_A_FRACTION and (score > LIKE_A_FRACTION / 10).mean() >= 0.5:
            yield Check(
                "like_fractions",
                "doubt",
                f"{CurveName(*map(str, key))}: all scores lie below 1, up to {score.max():.3g}, in a table in percent",
                "multiply them by 100 if they are fractions",
            )


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
