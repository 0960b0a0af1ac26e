"""The scores below a folder as rows of a table in long form: one row per run, task, metric and shots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.errors import TableError
from foretoken.runs.record import Cell, RunRecord
from foretoken.runs.task_score import QuestionValues, RunScores
from foretoken.store.fetch import study_folder_at
from foretoken.store.format import read_format_json
from foretoken.store.read import records_in
from foretoken.store.scores import current_evaluation, scores_of, tasks_of
from foretoken.tasks.metrics import METRICS, chance_of_task
from foretoken.tasks.task import PromptTask

if TYPE_CHECKING:
    import pandas as pd

CHOSEN = "accuracy"
RIGHT = (CHOSEN, "exact_match")
"""Metrics that say of each question whether it was answered rightly."""


def read_score_rows(folder: str | Path, *, on_the_way: bool = False) -> pd.DataFrame:
    """The scores of a study's runs at their ends, and those `on_the_way` too if asked for.

    The columns are those of a run (runs/table.py) and `task`, `metric`, `shots`, `score`, `score_se`, `n`, and
    `chance`, what guessing gives, where that is known. A score on the way has the `tokens`, `flops` and `steps` of
    then; `annealed` is false, and no `loss` is known. Where a study was scored on several sets of tasks, those count
    that it was last run with.

    `folder` may be a URL (`launch.bucket`).

    Raises TableError where there are no scores, StoreError for some that were changed.
    """
    folder = study_folder_at(folder)
    records, current = records_in(folder), current_evaluation(folder)
    scores = list(scores_of(folder, [record.spec.key for record in records], current))
    tasks = tasks_of(folder, current)
    rows = score_rows(records, [one for one in scores if on_the_way or one.at_the_end], tasks)
    if rows.empty:
        raise TableError(
            f"{folder} holds no scores of runs on tasks",
            expected="a study with a table [evaluate]",
            got=f"{len(records)} records",
            cure="say in the study file what the networks are scored on, and run it again",
            code="empty_table",
        )
    return rows


def read_answer_rows(folder: str | Path) -> pd.DataFrame:
    """The answers of a study's runs at their ends to questions on what is counted in the training text.

    The columns are `run`, `params_total`, `tokens`, `task`, `question`, `count`, `correct` (0 to 1) and `chance`. The
    task's name says the metric. `count` are the mentions that a run has read: those in the text times the epochs that
    it read of it, be it a part of one or several.

    `folder` may be a URL (`launch.bucket`).

    Raises TableError where nothing is counted, StoreError for scores that were changed.
    """
    import pandas as pd

    folder = study_folder_at(folder)
    current = current_evaluation(folder)
    tasks = tasks_of(folder, current)
    known = {task.name: task for task in tasks if any(one.count is not None for one in task.questions)}
    records = {record.spec.key: record for record in records_in(folder)}
    text = float((read_format_json(folder / "design.json").get("corpus") or {}).get("train_tokens") or 0.0)
    rows: list[dict[str, Cell]] = []
    for scores in scores_of(folder, records, current):
        for values in scores.questions if scores.at_the_end else ():
            if values.task in known and values.metric in RIGHT:
                rows += _answers(records[scores.run], known[values.task], values, text)
    if not rows:
        raise TableError(
            f"{folder} holds no answers on what is counted in the training text",
            expected="a study whose corpus has tasks such as facts, and whose [evaluate] asks for them",
            got=", ".join(task.name for task in tasks) or "no tasks",
            cure='[corpus] tasks = [{ name = "facts", share = 0.2 }], and the same task with the same options in'
            " [evaluate]; then run it",
            code="missing_column",
        )
    return pd.DataFrame(rows)


def _answers(record: RunRecord, task: PromptTask, values: QuestionValues, text: float) -> list[dict[str, Cell]]:
    spec = record.spec
    epochs = spec.sequences_trained * spec.objective.window(spec.shape).stride / text if text else 1.0
    several = f"{task.name}, {values.metric}" + (f", {values.shots} shots" if values.shots else "")
    return [
        {
            "run": record.spec.key,
            "params_total": float(record.spec.parameters.total),
            "tokens": float(record.spec.tokens),
            "task": several,
            "question": question.prompt,
            "count": question.count * epochs,
            "correct": value,
            "chance": 1 / len(question.choices) if question.choices and values.metric == CHOSEN else 0.0,
        }
        for question, value in zip(task.questions, values.values, strict=True)
        if question.count is not None and value is not None
    ]


def score_rows(
    records: Iterable[RunRecord], scores: Iterable[RunScores], tasks: Iterable[PromptTask] = ()
) -> pd.DataFrame:
    """Rows in long form of the scores of records that have finished, on some tasks; see `read_score_rows`."""
    import pandas as pd

    known = {record.spec.key: record for record in records if record.is_finished}
    found, named = [one for one in scores if one.run in known], {task.name: task for task in tasks}
    # Not of copies that were tuned: what they score is no metric of such a task.
    asked = {
        (row.task, row.metric) for one in found for row in one.scores if row.task in named and row.metric in METRICS
    }
    chances = {(name, metric): chance_of_task(named[name], metric) for name, metric in asked}
    return pd.DataFrame([row for one in found for row in _rows(known[one.run].to_row(), one, chances)])


def _rows(
    run_row: Mapping[str, Cell], scores: RunScores, chances: Mapping[tuple[str, str], float | None]
) -> list[dict[str, Cell]]:
    row = dict(run_row)
    if not scores.at_the_end:
        share = scores.step / scores.steps
        for name in ("tokens", "flops", "flops_6nd"):
            whole = row[name]
            assert isinstance(whole, float)
            row[name] = whole * share  # FLOPs per token are constant along a run
        row |= {"steps": float(scores.step), "loss": None, "loss_se": None, "bits_per_byte": None, "annealed": False}
    return [
        {
            **row,
            "task": score.task,
            "metric": score.metric,
            "shots": str(score.shots),
            "score": score.score,
            "score_se": score.score_se,
            "n": float(score.n),
            "chance": chances.get((score.task, score.metric)),
        }
        for score in scores.scores
    ]
