"""Files of scores and tasks in a folder that somebody else may have filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.errors import StoreError
from foretoken.runs.task_score import RunScores
from foretoken.store.format import format_json
from foretoken.store.scores import (
    drop_unsettled,
    evaluation_path,
    keep_evaluation,
    lost_tasks,
    put_scores,
    read_evaluation,
    score_files,
)
from foretoken.tasks.evaluation import Evaluation, Tuning
from foretoken.tasks.task import PromptTask, Question

from ..training.small import SPEC

ASKED = Evaluation(tasks=(PromptTask(name="a", questions=(Question(prompt="p", answer="b"),)),))
TUNING = Tuning(name="a", file="", kind="single", seeds=1, learning_rates=(0.1,), epochs=1, classes=())


def scored(folder: Path, evaluation: Evaluation) -> Path:
    """A folder with scores on these tasks, and where the tasks are."""
    path = evaluation_path(folder, evaluation.digest)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(format_json(evaluation.to_json()))
    put_scores(folder, RunScores(run=SPEC.key, evaluation=evaluation.digest, step=9, steps=99, seconds=0, scores=()))
    return path


@pytest.mark.parametrize("name", ["../../secret.csv", "a/b", "", "..", "a\0b", "x" * 300, "0" * 16 + ".pkl"])
def test_examples_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    path = scored(tmp_path, replace(ASKED, tuning=replace(TUNING, file=name)))
    with pytest.raises(StoreError, match="names no file of examples") as refused:
        read_evaluation(path)
    assert refused.value.cure
    assert path not in dict(lost_tasks(tmp_path))  # it is there, and told of as damaged


def test_files_of_other_names_among_scores_are_left_alone(tmp_path: Path) -> None:
    keep_evaluation(tmp_path, ASKED)
    scored(tmp_path, ASKED)
    (own,) = score_files(tmp_path)
    for name in ("notes.json", f"{ASKED.digest}-late.json", "a-b-000000099.json"):
        (own.parent / name).write_text("{}")
    assert list(lost_tasks(tmp_path)) == []
    drop_unsettled(tmp_path, SPEC, beyond=8)
    assert own not in score_files(tmp_path)
    assert {path.name for path in score_files(tmp_path)} >= {"notes.json", f"{ASKED.digest}-late.json"}
