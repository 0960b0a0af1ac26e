"""A study of networks that fill gaps: scored on clozes where they are trained; what cannot be is refused before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foretoken.errors import TaskError
from foretoken.runs.study_file import Study, load_study
from foretoken.scoring import score
from foretoken.store.score_rows import read_score_rows
from foretoken.study.design_file import started_design
from foretoken.study.results import gather
from foretoken.study.run_study import run
from foretoken.tasks import PromptTask, Question
from foretoken.tasks.evaluation import Evaluation

from .small_study import LAUNCH, TRAINING

STUDY = (
    """
name = "gaps"
[corpus]
source = "tasks"
tasks = [{ name = "copy", length = 2, letters = 6, held_out = 0.3 }]
tokens = 200e3
[objective]
kind = "masked"
[model]
preset = "encoder"
tied = true
context = 32
layers = 1
"""
    + TRAINING
    + """tokens_per_param = [1, 2]
[forecast]
law = "chinchilla"
[target]
compute_factor = 2
"""
    + LAUNCH
    + """keep_weights = "target"
[evaluate]
tasks = ["cloze.toml"]
when = [0.5]
"""
)
ROWS = [{"prompt": f"copy {one}XXXXX={one}c", "answer": "c", "choices": ["c", "d"], "pair": "x"} for one in "ab"]


def written(home: Path, *rows: dict[str, Any], was: str = "", now: str = "") -> Study:
    (home / "cloze.toml").write_text('data = "cloze.jsonl"\nkind = "cloze"\n')
    (home / "cloze.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows or ROWS))
    (home / "gaps.toml").write_text(STUDY.replace(was, now) if was else STUDY)
    return load_study(home / "gaps.toml")


def test_an_encoder_is_scored_on_clozes_as_its_kept_weights_are(tmp_path: Path) -> None:
    study, folder = written(tmp_path), tmp_path / "runs" / "gaps"
    run(study, folder=folder)
    rows = read_score_rows(folder, on_the_way=True)
    target = rows[rows.run == started_design(folder).design.target.key]
    last = target[target.tokens == target.tokens.max()].set_index("metric").score
    kept = {row.metric: row.score for row in score(folder, tmp_path / "cloze.toml").scores}
    assert {"accuracy", "accuracy_unconditional", "choice_probability", "answer_nll", "consistency"} <= set(kept)
    assert kept == pytest.approx(dict(last), abs=1e-5)
    assert len(target) == 2 * len(last)
    shown = gather(folder)
    assert shown.scores is not None
    for guessed in (rows, shown.scores):
        assert guessed[guessed.metric == "accuracy"].chance.gt(0).all()
    assert not rows.score.isna().any()


SPANS = (
    '[objective]\nkind = "masked"\n[model]\npreset = "encoder"',
    '[objective]\nkind = "span_corruption"\n[model]\npreset = "prefix"',
)


@pytest.mark.parametrize(
    ("rows", "was", "now", "told"),
    [
        ([], "when = [0.5]", 'metrics = ["exact_match"]', "writes no answers"),
        ([], "context = 32", "context = 8", "fits into the context"),
        ([{"prompt": "aXXXXXb" + "XXXXX" * 20, "answer": "c", "choices": ["c", "d"]}], *SPANS, "more gaps"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_trained(
    tmp_path: Path, rows: list[dict[str, Any]], was: str, now: str, told: str
) -> None:
    with pytest.raises(TaskError, match=told):
        run(written(tmp_path, *rows, was=was, now=now), folder=tmp_path / "runs" / "gaps")
    assert not (tmp_path / "runs" / "gaps" / "runs").exists()


def test_tasks_without_gaps_have_the_digest_that_they_had() -> None:
    plain = PromptTask(name="a", questions=(Question(prompt="p", answer="b"),))
    gap = replace(plain, questions=(replace(plain.questions[0], after=""),))
    assert Evaluation(tasks=(plain,)).digest == "80932df039bea8eb"
    for task in (plain, gap, replace(plain, masks="together")):
        evaluation = Evaluation(tasks=(task,))
        assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation
        assert (evaluation.digest == Evaluation(tasks=(plain,)).digest) == (task is plain)
