"""ScoreTable: scores of many runs on many tasks, one score per row, from a table in long or in wide form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.abilities.axes import AXES, KEY, Axis, CurveName, axis_of
from foretoken.abilities.bounds import (
    BARS,
    FRACTIONS,
    in_fractions,
    refuse_impossible_items,
    refuse_rest_in_percent,
    score_checks,
    with_bars,
)
from foretoken.abilities.metrics import (
    UP,
    as_long,
    asked_direction,
    direction_of,
    leaves_direction_open,
    metric_named,
    score_column,
)
from foretoken.arguments import did_you_mean, named_arguments
from foretoken.errors import ForetokenError, TableError
from foretoken.fits.check import Check, listed, plural
from foretoken.results import Result
from foretoken.runs.cells import as_word, numbers_in
from foretoken.runs.exports import FINISHED
from foretoken.runs.reading import AnyTable
from foretoken.runs.table import SIZES, RunTable
from foretoken.store.read import read_table
from foretoken.store.score_rows import read_score_rows

if TYPE_CHECKING:
    import pandas as pd

GROUPS = ("group", "family", "dataset", "recipe", "corpus", "data", "series", "model_family", "mixture")
"""Columns that may tell series of models apart, the first taken that does."""
ITEMS = ("n", "n_items", "items", "num_items", "n_examples", "num_examples", "n_questions", "questions")
"""Names of the number of items behind a score."""
COLUMNS = (*KEY, "run", *AXES, "score", "score_se", "n", *BARS, "better", "unit")
"""Columns of the frame; see ScoreTable."""


@dataclass(frozen=True)
class ScoreTable(Result):
    """Scores, one per row.

    `frame` has the columns of COLUMNS: `group` (family, data set, recipe; "" where there are none), `task`, `metric`,
    `shots` (text) and `run` name a score; `params`, `tokens`, `flops` and `loss` are numbers, NaN where they are not
    known; `score`, `score_se`, `chance`, `ceiling`, `human` are fractions where the metric is bounded, else as they
    stand; `n` is the number of items; `better` is "up" or "down"; `unit` is what the score stood in: fraction,
    percent or raw (no bounds).
    """

    frame: pd.DataFrame
    source: str
    against: Axis
    """The axis: what varies, or what was asked for."""
    assumed: tuple[str, ...] = ()
    """What had to be assumed to read it, in sentences."""
    checks: tuple[Check, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def to_frame(self) -> pd.DataFrame:
        """The rows; a copy."""
        return self.frame.copy()

    def curves(self) -> Iterator[tuple[CurveName, pd.DataFrame]]:
        """Each curve's name and its rows, from the smallest to the largest, in the table's order."""
        for key, rows in self.frame.groupby(list(KEY), sort=False):
            yield CurveName(*map(str, key)), rows.sort_values(self.against, kind="stable")


@dataclass(frozen=True)
class ScoreReading:
    """How a table of scores is read, beside what the table says.

    Args:
        against: `params`, `tokens`, `flops` or `loss`; `auto` takes what varies.
        group: the column that tells series of models apart; unless given, `family`, `dataset`, `recipe` or the like.
        unit: `fraction`, `percent` or `raw` (no bounds); unless given, told by the numbers.
        better: `higher` or `lower`, for metrics whose name does not say.
        chance: what guessing scores, a fraction or percent.
        ceiling: the best score that there can be.
        human: what people score.
        items: how many items (questions) are behind each score.

    """

    against: str = "auto"
    group: str = ""
    unit: str = ""
    better: str = ""
    chance: float | None = None
    ceiling: float | None = None
    human: float | None = None
    items: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("against", ("auto", *AXES)), ("unit", ("", *UNITS))):
            given = getattr(self, name)
            if given not in known:
                words = [word for word in known if word]
                raise ForetokenError(
                    f"--{name}: not known", expected=", ".join(words), got=repr(given), cure=did_you_mean(given, words)
                )
        asked_direction(self.better)
        for name in (*BARS, "items"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and value < float("inf")):
                raise ForetokenError(f"--{name}: no finite number, 0 or above", got=repr(value))

    @property
    def bars(self) -> dict[str, float | None]:
        """The levels that are asked for, by name."""
        return {name: getattr(self, name) for name in BARS}


UNITS = ("fraction", "percent", "raw")
PLAIN = ScoreReading()


@named_arguments
def read_scores(
    table: AnyTable | ScoreTable,
    rename: Mapping[str, str] | None = None,
    where: str = "",
    reading: ScoreReading = PLAIN,
) -> ScoreTable:
    """Scores from a file of any kind, a frame, a run table, or a study's folder; a ScoreTable as it is.

    Long form has a column `score`, and `task`, `metric`, `shots` as they are there. Wide form has a column for each
    task: `err_TASK`, `acc_TASK`, `score_TASK`, or `TASK_acc` and the like, which is said in `assumed`.

    Args:
        table: the file, the frame, the run table or the folder.
        rename: our column: the file's, as for `read_table`; `{"score": "err_avg_17"}` takes that column alone.
        where: conditions that the rows meet, as `dataset=c4`.
        reading: axis, unit, direction, and levels that the table does not have.

    Raises TableError where no column is a score, a direction is not known, scores lie outside their bounds, units or
    evaluation sets are mixed, a score is there twice with two values, or all rows have one size; ForetokenError for a
    ScoreTable that is to be read otherwise.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"params": [1e8, 1e9, 1e10], "tokens": 3e11, "task": "rte", "acc": [51.0, 55.5, 62.0]})
    >>> table = read_scores(frame, {"score": "acc"})
    >>> table.against, table.frame["score"].tolist(), float(table.frame["chance"].iloc[0])
    ('params', [0.51, 0.555, 0.62], 0.5)

    """
    if isinstance(table, ScoreTable):
        if rename or where or reading != PLAIN:
            cure = "say them where it is read: foretoken.read_scores(path, rename, where, reading)"
            got = "columns, rows or a reading for it"
            raise ForetokenError("a table of scores that was read stands as it is", got=got, cure=cure)
        return table
    rename = dict(rename or {})
    runs = read_table(_scores_in(table, reading.group), rename, where, ())
    frame, notes = _finished(runs)
    source, assumed = runs.source, [*runs.assumed, *notes]
    frame, notes = as_long(frame, rename, source)
    frame, more = _named(frame, rename, reading, source)
    frame, told = with_bars(frame, reading.bars, is_raw=reading.unit == "raw")
    frame, units = in_fractions(frame, reading.unit, source)
    if where and FRACTIONS in units:
        refuse_rest_in_percent(table, lambda: read_scores(table, rename, reading=reading).assumed, source)
    against, why = axis_of(frame, reading.against, source)
    frame, twice = _once(frame, source)
    assumed += [*notes, *more, *told, *units, *twice, *why]
    checks = score_checks(frame, against)
    return ScoreTable(frame[list(COLUMNS)], source, against, tuple(assumed), checks)


def _scores_in(table: AnyTable, group: str) -> AnyTable:
    """The scores of a study's runs, where a table is its folder; lines of one design are one series, unless asked."""
    if not isinstance(table, str | Path) or not Path(table).is_dir():
        return table
    rows = read_score_rows(table)
    return rows if group == "group" else rows.drop(columns="group")


def _finished(runs: RunTable) -> tuple[pd.DataFrame, list[str]]:
    """The rows of runs that have finished, or of which nothing is said. Raises TableError for a table without rows."""
    runs.require_rows("score")
    frame = runs.frame
    if "status" not in frame:
        return frame, []
    kept = frame[frame["status"].isna() | (frame["status"] == FINISHED)]
    left = len(frame) - len(kept)
    return kept.reset_index(drop=True), [f"{plural(left, 'row')} of runs that have not finished left out"] * (left > 0)


def _named(
    frame: pd.DataFrame, rename: Mapping[str, str], reading: ScoreReading, source: str
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with each column that names a score, sizes among them, and `better`; rows without a score go."""
    notes = []
    missing = frame["score"].isna()
    if missing.any():
        notes.append(f"{plural(int(missing.sum()), 'row')} without a score left out")
    frame = frame[~missing].reset_index(drop=True)
    if frame.empty:
        raise TableError(
            f"{source} holds no score: all are empty or NaN, in {plural(len(missing), 'row')}",
            cure="fill the cells, or name another column: --map score=COLUMN",
            code="missing_column",
        )
    if frame["score"].abs().max() == float("inf"):
        row = int((frame["score"].abs() == float("inf")).to_numpy().argmax()) + 1
        raise TableError(
            f"{source} holds a score that is infinite",
            got=f"in row {row} of those with a score",
            cure="correct the cell or leave it empty",
            code="score_out_of_bounds",
        )
    size = next((name for name in SIZES if name in frame), None)
    frame = frame.assign(params=frame[size] if size else float("nan"))
    items = next((name for name in ITEMS if name in frame), None)
    group, told = _group_column(frame, reading.group, source)
    texts = {"task": "task" if "task" in frame else None, "metric": "metric" if "metric" in frame else None}
    named = {name: _text(frame, column) for name, column in {**texts, "group": group}.items()}
    named |= {name: _text(frame, name if name in frame else None) for name in ("shots", "run")}
    if not texts["task"]:
        named["task"] = named["task"].where(named["task"] != "", rename.get("score", "score"))
    if not texts["metric"]:
        named["metric"] = named["task"].map(lambda task: _metric_in((rename.get("score", ""), task)))
    numbers = {name: frame[name].astype(float) for name in ("tokens", "flops", "loss", "score_se") if name in frame}
    blank = {name: float("nan") for name in ("tokens", "flops", "loss", "score_se") if name not in numbers}
    n = reading.items if reading.items else (_numbers(frame, items) if items else float("nan"))
    frame = frame.assign(**{**named, **numbers, **blank, "n": n})
    refuse_impossible_items(frame["n"], source)
    _refuse_two_eval_sets(frame, source)
    return _directed(frame, asked_direction(reading.better), source, [*notes, *told])


def _text(frame: pd.DataFrame, column: str | None) -> pd.Series:
    """A column as text, whole numbers without a point; "" where there is none."""
    import pandas as pd

    if column is None:
        return pd.Series("", index=frame.index)
    return frame[column].map(as_word)


def _metric_in(names: Sequence[str]) -> str:
    """The metric that the name of the column or of the task says; `score` where neither does."""
    for name in names:
        if parts := score_column(name):
            return parts[1]
        if metric_named(name):
            return name
    return "score"


def _group_column(frame: pd.DataFrame, asked: str, source: str) -> tuple[str | None, list[str]]:
    """The column that tells series of models apart, and a sentence where nobody has named it."""
    if asked:
        if asked not in frame:
            raise TableError(
                f"--group: {source} has no column {asked!r}", cure=did_you_mean(asked, map(str, frame.columns))
            )
        return asked, []
    for name in GROUPS:
        if name in frame and 1 < frame[name].nunique() <= len(frame) / 3:
            values = listed(frame[name].dropna().unique(), 4)
            return name, [f"`{name}` tells series of models apart: {values}"]
    return None, []


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    return numbers_in(frame[column], "the table", percent=True)


def _refuse_two_eval_sets(frame: pd.DataFrame, source: str) -> None:
    if "eval_set" not in frame:
        return
    for key, rows in frame.groupby(list(KEY)):
        sets = rows["eval_set"].dropna().unique()
        if len(sets) > 1:
            name = CurveName(*map(str, key))
            raise TableError(
                f"{source}: the curve {name} is of {plural(len(sets), 'evaluation set')}: {listed(sets)}",
                expected="one evaluation set per curve",
                cure=f"choose one: --where eval_set={sets[0]}; or tell them apart: --group eval_set",
                code="mixed_eval_sets",
            )


def _directed(frame: pd.DataFrame, asked: str, source: str, notes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The frame with `better` and `bounded`. Raises TableError for a metric of which neither is known."""
    found = {name: metric_named(name) for name in frame["metric"].unique()}
    unknown = [name for name, known in found.items() if known is None]
    said = frame["better"].map(direction_of) if "better" in frame else frame["metric"].map(lambda _: "")
    # What was asked turns no metric round whose own name says it.
    said = said.where((said != "") | ~frame["metric"].map(leaves_direction_open), asked)
    if (said[frame["metric"].isin(unknown)] == "").any():
        raise TableError(
            f"{source}: whether more or less is better is not known of {listed(map(repr, unknown))}",
            expected="a metric such as acc, exact_match, f1, err, ppl, or a column `better` with higher or lower",
            cure="say it: --better higher, or --better lower",
            code="unknown_direction",
        )
    known = {name: metric or UP for name, metric in found.items()}
    frame = frame.assign(
        better=[word or known[name].better for name, word in zip(frame["metric"], said, strict=True)],
        bounded=frame["metric"].map(lambda name: known[name].bounded),
    )
    falling = sorted({name for name, better in zip(frame["metric"], frame["better"], strict=True) if better == "down"})
    return frame, [*notes, *([f"less is better in {listed(falling)}"] if falling else [])]


def _once(frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame without repeated rows. Raises TableError for one score that is there with two values.

    Runs of different names or seeds at one size are repeats, whose spread is the noise between runs.
    """
    names = [*KEY, *AXES, *(["seed"] if "seed" in frame else []), "run"]
    if "model" in frame and (frame["run"] == "").all():
        names.append("model")
    same = frame.duplicated([*names, "score"])
    kept = frame[~same]
    double = kept.duplicated(names, keep=False)
    if double.any():
        rows = kept[double]
        first = rows[(rows[names].fillna(-1) == rows[names].fillna(-1).iloc[0]).all(axis=1)]
        name = CurveName(*(str(first[column].iloc[0]) for column in KEY))
        raise TableError(
            f"{source}: {name} is there {plural(len(first), 'time')} at one size",
            expected="one score per run, task, metric and shots; repeats have a column `run` or `seed`",
            got=listed(f"{value:.6g}" for value in first["score"]),
            cure="leave one out, or say what tells them apart: --group COLUMN, or --where COLUMN=VALUE",
            code="repeated_scores",
        )
    notes = [f"{plural(int(same.sum()), 'row')} that repeat another left out"] if same.any() else []
    return kept.reset_index(drop=True), notes
