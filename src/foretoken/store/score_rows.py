"""The scores below a folder as rows of a table in long form: one row per run, task, metric and shots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.errors import TableError
from foretoken.runs.record import Cell, RunRecord
from foretoken.runs.task_score import RunScores
from foretoken.store.read import records_in
from foretoken.store.scores import EVALUATIONS, scores_of

if TYPE_CHECKING:
    import pandas as pd


def read_score_rows(folder: str | Path, *, on_the_way: bool = False) -> pd.DataFrame:
    """The scores of a study's runs at their ends, and those `on_the_way` too if asked for.

    The columns are those of a run (runs/table.py) and `task`, `metric`, `shots`, `score`, `score_se`, `n`. A score on
    the way has the `tokens`, `flops` and `steps` of then; `annealed` is false, and no `loss` is known. Where a study
    was scored on several sets of tasks, the newest counts.

    Raises TableError where there are no scores, StoreError for some that were changed.
    """
    folder = Path(folder)
    records = records_in(folder)
    scores = list(scores_of(folder, [record.spec.key for record in records], newest_evaluation(folder)))
    rows = score_rows(records, [one for one in scores if on_the_way or one.at_the_end])
    if rows.empty:
        raise TableError(
            f"{folder} holds no scores of runs on tasks",
            expected="a study with a table [evaluate]",
            got=f"{len(records)} records",
            cure="say in the study file what the networks are scored on, and run it again",
            code="empty_table",
        )
    return rows


def newest_evaluation(folder: Path) -> str:
    """The digest of the tasks that a study was last scored on; empty where it was not."""
    # By time, and by name where two were written at once.
    found = sorted((folder / EVALUATIONS).glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return found[-1].stem if found else ""


def score_rows(records: Iterable[RunRecord], scores: Iterable[RunScores]) -> pd.DataFrame:
    """Rows in long form of the scores of records that have finished; see `read_score_rows`."""
    import pandas as pd

    known = {record.spec.key: record for record in records if record.is_finished}
    return pd.DataFrame([row for one in scores if one.run in known for row in _rows(known[one.run].to_row(), one)])


def _rows(run_row: Mapping[str, Cell], scores: RunScores) -> list[dict[str, Cell]]:
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
        }
        for score in scores.scores
    ]
