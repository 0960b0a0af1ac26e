"""What scoring takes is estimated, told, and counted against limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.compute.families import FAMILIES
from foretoken.compute.objective import Objective
from foretoken.data import prepare_corpus
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.runs.study_file import Study, load_study
from foretoken.runs.task_score import RunScores
from foretoken.store import atomic
from foretoken.store.scores import put_scores, scores_path
from foretoken.study.preview import design
from foretoken.study.run_study import run
from foretoken.study.runner import StudyRunner
from foretoken.study.scoring_work import ScoringWork, TaskTokens, task_tokens
from foretoken.tasks.evaluation import Evaluation, Tuning
from foretoken.tasks.task import PromptTask, Question

from .small_study import LAUNCH, TRAINING

STUDY = (
    """
name = "weighed"
[corpus]
source = "tasks"
tasks = [{ name = "copy", length = 2, letters = 6, held_out = 0.3 }]
tokens = 200e3
[model]
preset = "llama"
tied = true
context = 32
layers = 1
"""
    + TRAINING
    + """tokens_per_param = [1, 2, 4]
[target]
train = false
"""
    + LAUNCH
    + """[evaluate]
tasks = [{ name = "copy", length = 2, letters = 6, held_out = 0.3 }]
questions = 6
"""
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return _study(tmp_path_factory.mktemp("weighed"), STUDY)


@pytest.fixture(scope="module")
def runner(study: Study, tmp_path_factory: pytest.TempPathFactory) -> StudyRunner:
    """Of a folder in which the study has been run."""
    folder = tmp_path_factory.mktemp("runs") / "weighed"
    run(study, folder=folder)
    return StudyRunner(study, folder)


def _study(home: Path, text: str) -> Study:
    (home / "weighed.toml").write_text(text)
    return load_study(home / "weighed.toml")


def test_tokens_are_those_of_prompts_answers_and_examples() -> None:
    examples = tuple(Question(prompt=f"{one}+1=", answer=str(one + 1)) for one in range(3))
    choices = (Question(prompt="1+1=", answer="2", choices=("2", "33")),) * 4
    task = PromptTask(name="sums", questions=choices, examples=examples)
    tokens = task_tokens(ByteTokenizer(), task, ["accuracy"])
    assert tokens == TaskTokens(task=task, prompt=4, weighed=3, written=0, example=6)
    decoder = FAMILIES["decoder"], Objective(), 99
    assert tokens.read(0, 5, *decoder) == 4 * (4 + 3)  # without examples nothing is drawn
    assert tokens.read(2, 5, *decoder) == 5 * (12 + 4 * 7)
    assert tokens.read(2, 5, FAMILIES["encoder_decoder"], Objective(kind="span_corruption"), 99) == 5 * 4 * (12 + 7)
    assert tokens.read(50, 1, *decoder) == 99 + 4 * 7
    assert tokens.read(0, 1, FAMILIES["encoder"], Objective(kind="masked"), 99) == 4 * 3 * 4
    written = task_tokens(ByteTokenizer(), replace(task, metrics=("exact_match",)), [])
    assert written.written == 2 * 1 + 8
    assert written.read(0, 1, *decoder) == 4 * (4 + 3 + 10)
    own = replace(task, questions=tuple(replace(one, examples=examples) for one in choices), examples=())
    assert task_tokens(ByteTokenizer(), own, ["accuracy"]).read(2, 5, *decoder) == 4 * (12 + 7)


def test_every_step_that_is_scored_counts(study: Study, tmp_path: Path) -> None:
    corpus = prepare_corpus(study.corpus, tmp_path, 0)
    planned = StudyRunner(study, tmp_path / "weighed").planned_design()
    asked = Evaluation(tasks=(PromptTask(name="a", questions=(Question(prompt="1", answer="2"),)),), when=(0.5,))
    work = ScoringWork(asked, corpus)
    assert work.of_run(planned.target) == 2 * work.once(planned.target) > 0
    assert work.of_run(planned.runs[0]) == work.once(planned.runs[0])
    path = tmp_path / "rows.csv"
    path.write_text("x" * 600)
    tuning = Tuning(name="a", file="a", kind="single", seeds=2, learning_rates=(0.1, 0.2), epochs=3, classes=())
    tuned = ScoringWork(replace(asked, tuning=tuning), corpus, path)
    tokens = 600 / (corpus.bytes_per_token or 0)
    assert tuned.once(planned.target) - work.once(planned.target) == pytest.approx(12 * tokens)


def test_much_scoring_is_told_before_it_starts(study: Study, tmp_path: Path) -> None:
    text = STUDY.replace("length = 2, letters = 6", "length = 6, letters = 9").replace(
        "questions = 6", "questions = 9000"
    )
    told = design(_study(tmp_path, text), tmp_path / "runs" / "weighed")
    (check,) = [check for check in told.checks if check.code == "scoring"]
    assert "times what training them takes" in check.evidence
    assert "scoring" not in {check.code for check in design(study, tmp_path / "runs" / "weighed").checks}


def test_an_estimate_has_the_scoring_in_it_as_it_was_timed(runner: StudyRunner, study: Study) -> None:
    planned = runner.planned_design()
    with_scores = runner.trainer.known_seconds(planned.runs)
    plain = study.model_copy(update={"evaluate": None})
    without = StudyRunner(plain, runner.folder).trainer.known_seconds(planned.runs)
    assert runner.evaluation
    paths = [scores_path(runner.folder, one.key, runner.evaluation.digest, one.steps) for one in planned.runs]
    took = sum(float(atomic.read_checksummed_json(path)["seconds"]) for path in paths)
    assert sum(with_scores.values()) - sum(without.values()) == pytest.approx(took)


def test_kept_weights_that_are_scored_count_their_scoring_alone(runner: StudyRunner, tmp_path: Path) -> None:
    other = StudyRunner(_study(tmp_path, STUDY.replace("questions = 6", "questions = 5")), runner.folder)
    runs = other.planned_design().runs
    seconds = dict.fromkeys((one.key for one in runs), 1000.0)
    assert other.trainer.ahead(runs, seconds) == seconds  # nothing is kept: all is trained again
    for one in runs:
        folder = runner.store.weights_folder(one.key)
        folder.mkdir()
        atomic.write_json(folder / atomic.COMMIT, {})
    ahead = other.trainer.ahead(runs, seconds)
    assert set(ahead) == set(seconds)
    assert 0 < max(ahead.values()) < 10
    trunk = [one for one in runs if one.trajectory == runs[0].trajectory]
    assert other.trainer._job(trunk, seconds, 1).seconds == pytest.approx(sum(ahead[one.key] for one in trunk))
    assert other.evaluation
    key, steps = runs[0].key, runs[0].steps
    asked = other.evaluation.digest
    put_scores(runner.folder, RunScores(run=key, evaluation=asked, step=steps, steps=steps, seconds=1, scores=()))
    assert set(other.trainer.ahead(runs, seconds)) == set(seconds) - {key}
