"""CountedAnswers: who answered what rightly, and how often what was asked for stands in the training text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foretoken.abilities.bounds import FRACTIONS, in_fractions, refuse_impossible_items, refuse_rest_in_percent
from foretoken.abilities.table import ITEMS
from foretoken.errors import ForetokenError, TableError
from foretoken.fits.check import listed, plural
from foretoken.laws.law import Array, Indices
from foretoken.runs.cells import as_word, numbers_in
from foretoken.runs.reading import AnyTable
from foretoken.runs.table import SIZES
from foretoken.store.read import read_table
from foretoken.store.score_rows import read_answer_rows
from foretoken.units import format_count

if TYPE_CHECKING:
    import pandas as pd

COUNTS = ("count", "mentions", "frequency", "occurrences", "relevant_documents", "num_docs", "documents")
"""Names of how often what is asked for stands in the training text."""
QUESTIONS = ("question", "question_id", "fact", "fact_id", "item", "doc_id", "example_id", "qid")
"""Names of what tells questions apart."""
CORRECT = ("correct", "is_correct", "right", "hits")
"""Names of the number of right answers: 0 or 1, or of `n`."""
MODELS = ("model", "run")


@dataclass(frozen=True, kw_only=True)
class CountedAnswer:
    """What one model answered to one question, as scoring gives it."""

    question: str
    """What tells questions apart: the same for all models."""
    count: float
    """How often what is asked for was read in training: mentions in the text, times the epochs that were read."""
    correct: float
    """1 where it was right, 0 where not; a share of several tries is between."""
    params: float
    model: str = ""
    """Name, where models of one size differ, by a seed, say."""
    task: str = ""
    chance: float = 0.0
    """What guessing gives: 1 over the number of choices."""


@dataclass(frozen=True)
class Model:
    """A model of the table."""

    name: str
    params: float


@dataclass(frozen=True, kw_only=True)
class CountedAnswers:
    """Answers to the questions of one task, row by row: r rows, of models that are ordered by size."""

    task: str
    models: tuple[Model, ...]
    model: Indices
    """Place in `models` [r]."""
    question: Indices
    """Number of the question, or of the bin [r]."""
    count: Array
    """[r]"""
    n: Array
    """Questions behind a row [r]."""
    share: Array
    """Right answers over n [r]."""
    chance: Array
    """[r]"""
    by_question: bool
    """Whether rows tell questions apart; else those of one count are one bin."""

    def mentioned(self) -> CountedAnswers:
        """The rows whose count is above 0, which has a logarithm."""
        kept = self.count > 0
        return replace(
            self,
            model=self.model[kept],
            question=self.question[kept],
            count=self.count[kept],
            n=self.n[kept],
            share=self.share[kept],
            chance=self.chance[kept],
        )

    @property
    def log_params(self) -> Array:
        """Log10 of the models' parameters [m]."""
        return np.log10([model.params for model in self.models])


@dataclass(frozen=True)
class AnswerTable:
    """All tasks of a table, and how it was read."""

    tasks: tuple[CountedAnswers, ...]
    source: str
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class AnswerReading:
    """How a table of answers is read, beside what the table says.

    Args:
        unit: `fraction` or `percent`, for scores whose numbers do not tell.
        chance: what guessing gives, where the table does not say; 0 unless given.

    """

    unit: str = ""
    chance: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in ("", "fraction", "percent"):
            raise ForetokenError("--unit: not known", expected="fraction or percent", got=repr(self.unit))
        if self.chance is not None and not 0 <= self.chance < 1:
            raise ForetokenError("--chance: not a share", expected="0 or more, below 1", got=repr(self.chance))


def read_answers(
    table: AnyTable | Iterable[CountedAnswer],
    rename: Mapping[str, str] | None = None,
    where: str = "",
    reading: AnswerReading | None = None,
) -> AnswerTable:
    """Answers with counts, from a file of any kind, a frame, a study's folder, or CountedAnswer by CountedAnswer.

    A row is a question and a model (`question`, `count`, `correct`), or all questions of one count and a model
    (`count`, `score` or `correct`, `n`). Models are told apart by `model` or `run`, else by their size.

    Raises TableError where a column is missing, a count is negative, or an answer is more than right.
    """
    import pandas as pd

    reading = reading or AnswerReading()
    if isinstance(table, str | Path) and Path(table).is_dir():
        table = read_answer_rows(table)
    if not isinstance(table, str) and isinstance(table, Iterable) and not hasattr(table, "columns"):
        # A list of answers goes the way of a table, so that both are checked alike.
        given = list(table)
        if all(isinstance(one, CountedAnswer) for one in given):
            table = pd.DataFrame([vars(one) for one in given], columns=[one.name for one in fields(CountedAnswer)])
    runs = read_table(table, dict(rename or {}), where, ())  # type: ignore[arg-type]
    runs.require_rows("score")
    source, frame, assumed = runs.source, runs.frame.reset_index(drop=True), list(runs.assumed)
    size = _column(frame, SIZES, source, "the size of each model", "params")
    count = _column(frame, COUNTS, source, "how often what is asked for stands in the training text", "count")
    frame = frame.assign(params=frame[size].astype(float), count=numbers_in(frame[count], source))
    assumed += [f"`count` is read from `{count}`"] if count != "count" else []
    frame, told = _with_shares(frame, source, reading)
    if where and FRACTIONS in told:
        refuse_rest_in_percent(table, lambda: read_answers(table, rename, reading=reading).assumed, source)
    _refuse_impossible(frame, source)
    if "tokens" in frame and frame["tokens"].nunique() > 1:
        told.append("tokens vary, too: what is said of parameters is of size and training together")
    told += _repeats(frame)
    tasks = [_task_answers(str(task), rows) for task, rows in frame.groupby(_words(frame, "task"), sort=False)]
    if not all(one.by_question for one in tasks):
        told.append("rows name no question: those of one count are taken for one set of questions, asked of each model")
    return AnswerTable(tuple(tasks), source, tuple([*assumed, *told]))


def _column(frame: pd.DataFrame, names: Iterable[str], source: str, what: str, ours: str) -> str:
    """The first column of these names that is there."""
    found = next((name for name in names if name in frame and frame[name].notna().any()), None)
    if found is None:
        raise TableError(
            f"{source} has no column `{ours}`: {what}",
            expected=" or ".join(names),
            got=listed(map(str, frame.columns), 12),
            cure=f"name it: --map {ours}=COLUMN",
            code="missing_column",
        )
    return found


def _with_shares(frame: pd.DataFrame, source: str, reading: AnswerReading) -> tuple[pd.DataFrame, list[str]]:
    """The frame with `n`, `share` and `chance`, rows without an answer left out, and sentences on what was done."""
    import pandas as pd

    correct = next((name for name in CORRECT if name in frame), None)
    items = next((name for name in ITEMS if name in frame), None)
    answer = correct or _column(frame, ("score",), source, "whether an answer was right", "correct")
    # A flag is read as what it says: right is 1.
    value = frame[answer].map(lambda cell: float(cell) if isinstance(cell, bool | np.bool_) else cell)
    value = numbers_in(value.map(_of_word), source, percent=True)
    n = numbers_in(frame[items], source) if items else pd.Series(1.0, index=frame.index)
    refuse_impossible_items(n, source)
    missing = value.isna() | frame["count"].isna() | frame["params"].isna() | n.isna()
    # An answer without a count says nothing of the tail, and 0 would say that it is never mentioned.
    kept = ~missing
    frame = frame[kept].reset_index(drop=True)
    value, n = value[kept].reset_index(drop=True), n[kept].reset_index(drop=True)
    told = [f"{plural(int(missing.sum()), 'row')} without an answer, a count or a size left out"] * bool(missing.any())
    if frame.empty:
        raise TableError(
            f"{source} holds no answer with a count and a size",
            got=f"{plural(len(missing), 'row')}, in each of which one of them is empty",
            cure="fill the cells, or name other columns: --map count=COLUMN",
            code="missing_column",
        )
    chance = numbers_in(frame["chance"], source, percent=True) if "chance" in frame else pd.Series(np.nan, frame.index)
    blank = dict.fromkeys(("score_se", "ceiling", "human"), float("nan"))
    sizes = frame["params"].map(format_count)
    if correct:
        _refuse_more_than_asked(value, n, correct, source)
    words = frame.assign(
        task=_words(frame, "task"),
        # Each model's curve along the counts is looked at for two units.
        metric=[f"{name} {size}".strip() for name, size in zip(_model_names(frame), sizes, strict=True)],
        score=value / n if correct else value,
        n=n if items else np.nan,
        chance=chance,
        bounded=True,
        better="up",
        **blank,
    )
    unit = "fraction" if correct else reading.unit
    words, units = in_fractions(words, unit, source, ("count",), may_be_raw=False)
    if words["chance"].isna().any():
        told.append(f"guessing gives {reading.chance or 0:g}" + ("" if reading.chance is not None else ": --chance"))
    chance = words["chance"].fillna(reading.chance or 0.0)
    return frame.assign(n=n, share=words["score"], chance=chance), [*told, *units]


def _refuse_more_than_asked(right: pd.Series, n: pd.Series, column: str, source: str) -> None:
    outside = (right < 0) | (right > n)
    if outside.any():
        row = int(outside.to_numpy().argmax())
        raise TableError(
            f"{source}: right answers lie outside their bounds",
            expected="0 or 1, or 0 to `n` of `n` questions; a share or percent stands in a column `score`",
            got=f"{right[row]:g} of {n[row]:g} in row {row + 1} of those with an answer",
            cure=f"correct `{column}`, or name the column of questions: --map n=COLUMN",
            code="score_out_of_bounds",
        )


def _repeats(frame: pd.DataFrame) -> list[str]:
    """A sentence on rows that stand twice, where rows are told apart."""
    question = next((one for one in QUESTIONS if one in frame), None)
    if question is None and not (frame["n"] > 1).any():
        return []
    names = [name for name in ("task", *MODELS, "params", "tokens", question) if name in frame]
    twice = int(frame.duplicated([*names, *([] if question else ["count", "n", "share"])]).sum())
    what = "a question more than once to one model" if question else "the same numbers as another"
    return [f"{plural(twice, 'row')} with {what}: each counts, so leave copies out"] * (twice > 0)


def _of_word(cell: object) -> object:
    """1 for a true that is written, 0 for a false."""
    words = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
    return words.get(cell.strip().lower(), cell) if isinstance(cell, str) else cell


def _refuse_impossible(frame: pd.DataFrame, source: str) -> None:
    for name, wrong, expected in (
        ("count", (frame["count"] < 0) | np.isinf(frame["count"]), "0 or more"),
        ("n", ~(frame["n"] >= 1), "1 or more"),
        ("params", ~(frame["params"] > 0) | np.isinf(frame["params"]), "more than 0"),
        ("chance", ~(frame["chance"] < 1), "below 1"),
    ):
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            got = f"{frame[name].iloc[row]:g} in row {row + 1} of those with an answer"
            raise TableError(f"{source}: `{name}` cannot be", expected=expected, got=got, cure="correct the cell")


def _words(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as text; "" where it is not there."""
    import pandas as pd

    return frame[name].map(as_word) if name in frame else pd.Series("", index=frame.index)


def _model_names(frame: pd.DataFrame) -> pd.Series:
    return _words(frame, next((one for one in MODELS if one in frame), MODELS[0]))


def _task_answers(task: str, rows: pd.DataFrame) -> CountedAnswers:
    import pandas as pd

    keys = pd.DataFrame({"params": rows["params"], "name": _model_names(rows)})
    kinds = keys.drop_duplicates().sort_values(["params", "name"], ignore_index=True)
    places = {key: place for place, key in enumerate(kinds.itertuples(index=False, name=None))}
    column = next((one for one in QUESTIONS if one in rows), None)
    # Without names the questions of one count are one bin.
    question = rows["count"] if column is None else _words(rows, column)
    return CountedAnswers(
        task=task,
        models=tuple(Model(str(name), float(params)) for params, name in kinds.itertuples(index=False, name=None)),
        model=np.array([places[key] for key in keys.itertuples(index=False, name=None)], dtype=np.intp),
        question=np.asarray(pd.factorize(question)[0], dtype=np.intp),
        count=rows["count"].to_numpy(float),
        n=rows["n"].to_numpy(float),
        share=rows["share"].to_numpy(float),
        chance=rows["chance"].to_numpy(float),
        by_question=column is not None,
    )
