"""A study whose networks are scored on tasks: kept, forecast, frozen, scored, resumed and refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foretoken.abilities import read_scores
from foretoken.abilities.downstream import downstream
from foretoken.abilities.table import ScoreReading
from foretoken.cli import app
from foretoken.errors import StoreError, StudyFileError, TaskError
from foretoken.forecasts import Ledger
from foretoken.forecasts.entry import Entry
from foretoken.runs.study_file import Study, load_study
from foretoken.runs.task_score import RunScores, TaskScore
from foretoken.store.format import format_json, read_format_json
from foretoken.store.score_rows import read_score_rows
from foretoken.store.scores import (
    current_evaluation,
    evaluation_path,
    keep_evaluation,
    put_scores,
    read_evaluation,
    score_files,
)
from foretoken.store.store import Store
from foretoken.study.agreement import doubts
from foretoken.study.design_file import started_design, usable_design
from foretoken.study.maintenance import verify
from foretoken.study.results import gather
from foretoken.study.run_study import run
from foretoken.study.task_scores import evaluation_of, final_scores, forecast_scores, ladder_scores
from foretoken.tasks.evaluation import Evaluation, Tuning
from foretoken.tasks.made import make_task

from ..fuzz.verbs import foretoken
from .small_study import LAUNCH, TRAINING

STUDY = (
    """
name = "scored"
[corpus]
source = "tasks"
tasks = [{ name = "copy", length = 2, letters = 6, held_out = 0.3 }, { name = "addition", digits = 1 }]
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
compute_factor = 2
"""
    + LAUNCH
    + """keep_weights = "none"
[evaluate]
tasks = [{ name = "copy", length = 2, letters = 6, held_out = 0.3 }, "sums.jsonl"]
shots = [0, 1]
questions = 6
metrics = ["token_probability", "answer_nll"]
when = [0.3, 0.6]
when_of = "all"
"""
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    home = tmp_path_factory.mktemp("scored")
    rows = [{"prompt": f"{a}+{b}=", "answer": str(a + b), "split": "test"} for a in range(3) for b in range(3)]
    rows += [{"prompt": f"{a}+5=", "answer": str(a + 5), "split": "train"} for a in range(3)]
    (home / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "scored.toml").write_text(STUDY)
    return load_study(home / "scored.toml")


@pytest.fixture(scope="module")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "scored"
    run(study, folder=folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    for name in ("scored", "corpora"):
        shutil.copytree(finished.parent / name, tmp_path / name)
    return tmp_path / "scored"


def test_every_run_has_its_scores(study: Study, finished: Path) -> None:
    rows = read_score_rows(finished, on_the_way=True)
    ends = rows[rows["annealed"]]
    runs = {run.key for run in started_design(finished).design.all_runs}
    assert set(ends["run"]) == runs
    for _, of_run in rows.groupby("run"):
        assert list(of_run[of_run["annealed"]].groupby(["task", "metric", "shots"]).size()) == [1] * 8
    shares = sorted((rows[~rows["annealed"]]["tokens"] / rows[~rows["annealed"]]["run"].map(_lengths(ends))).round(1))
    assert set(shares) == {0.3, 0.6}
    assert (ends["n"] == 6).all()
    assert ends["score_se"].notna().all()


def test_copies_are_tuned_at_the_ends_of_runs_and_on_the_way(study: Study, tmp_path: Path) -> None:
    (tmp_path / "sums.jsonl").write_text((study.home / "sums.jsonl").read_text())
    rows = [{"text": f"{a}+{b}", "label": "odd" if (a + b) % 2 else "even"} for a in range(6) for b in range(5)]
    (tmp_path / "parity.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tuning = '[finetune]\ntask = "parity.jsonl"\nkind = "single"\nepochs = 1\nlearning_rates = [1e-3]\n'
    few = STUDY.replace("when = [0.3, 0.6]", "when = [0.5]")
    (tmp_path / "tuned.toml").write_text(few.replace('name = "scored"', 'name = "tuned"', 1) + tuning)
    folder = tmp_path / "runs" / "tuned"
    tuned = load_study(tmp_path / "tuned.toml")
    run(tuned, folder=folder)
    rows_of = read_score_rows(folder, on_the_way=True)
    parity = rows_of[rows_of["task"] == "parity"]
    assert set(parity["metric"]) == {"finetuned_accuracy"}
    assert len(parity) == 2 * parity["run"].nunique() == 2 * len(started_design(folder).design.all_runs)
    assert parity["score"].between(0, 1).all()
    assert verify(folder) == []
    plain = tuned.model_copy(update={"evaluate": None, "finetune": None})
    other = tmp_path / "other" / "tuned"
    run(plain, folder=other)
    assert Store(folder).table().digest == Store(other).table().digest  # scoring leaves the training as it is


def _lengths(ends) -> dict[str, float]:  # type: ignore[no-untyped-def]
    return dict(zip(ends["run"], ends["tokens"], strict=True))


def test_scores_of_the_target_are_frozen_and_held_against_it(finished: Path) -> None:
    (line,) = Ledger.read(finished / "ledger").lines
    assert line.outcome
    assert {one.metric for one in line.entry.scores} == {"token_probability"}  # the other has no bounds
    assert len(line.entry.scores) == len(line.outcome.scores) == 4
    for forecast, outcome in zip(line.entry.scores, line.outcome.scores, strict=True):
        assert forecast.key == outcome.key
        assert forecast.low is not None
        assert forecast.high is not None
        assert outcome.inside == (forecast.low <= outcome.score <= forecast.high)


def test_the_ledger_shows_each_score_with_its_outcome(finished: Path) -> None:
    words = ["ledger", "show", "--ledger", str(finished / "ledger")]
    (shown,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["entries"]
    (line,) = Ledger.read(finished / "ledger").lines
    assert [(one["task"], one["metric"], one["score"]) for one in shown["scores"]] == [
        (one.task, one.metric, one.score) for one in line.entry.scores
    ]
    for one in shown["scores"]:
        assert one["outcome"]["inside"] == (one["low"] <= one["outcome"]["score"] <= one["high"])
    printed = CliRunner().invoke(app, words).stdout
    held = sum(one["outcome"]["inside"] for one in shown["scores"])
    assert f"{held} of {len(shown['scores'])} scored are inside" in printed
    assert all(one["task"] in printed for one in shown["scores"])


def test_doubts_about_scores_are_frozen_and_shown(finished: Path, study: Study, tmp_path: Path) -> None:
    (line,) = Ledger.read(finished / "ledger").lines
    evaluation, spec = evaluation_of(study), line.entry.spec
    assert evaluation
    assert spec
    table = ladder_scores(Store(finished), started_design(finished).design.runs, evaluation)
    asked = downstream(table, at=(float(spec.parameters.total), float(spec.tokens)), level=line.entry.forecast.level)
    assert asked.checks
    assert line.entry.score_checks == list(asked.checks)
    told = foretoken("ledger", "show", "--ledger", finished / "ledger")
    foretoken("ledger", "show", "--ledger", finished / "ledger", "--html", tmp_path / "ledger.html")
    pages = (finished / "report" / "index.html", tmp_path / "ledger.html")
    for check in asked.checks:
        assert f"{check.severity}: {check.code}:" in told
        assert all(f"<code>{check.code}</code>" in page.read_text() for page in pages)
    shown = json.loads(foretoken("ledger", "show", "--ledger", finished / "ledger", "--json"))["entries"][0]
    assert [one["code"] for one in shown["score_checks"]] == [check.code for check in asked.checks]


def test_scores_that_are_missing_or_cannot_be_forecast_are_a_doubt_in_the_entry(copied: Path, study: Study) -> None:
    store, kept = Store(copied), started_design(copied)
    evaluation, notes = evaluation_of(study), list[str]()
    assert evaluation
    for small in kept.design.runs[1:3]:
        shutil.rmtree(copied / "runs" / small.key / "scores")
    _, checks = forecast_scores(store, kept.design, evaluation, 0.9, notes.append)
    (check,) = (one for one in checks if one.code == "runs_without_scores")
    assert "2 small runs without scores" in check.evidence
    for small in kept.design.runs[3:]:
        shutil.rmtree(copied / "runs" / small.key / "scores")
    scores, checks = forecast_scores(store, kept.design, evaluation, 0.9, notes.append)
    assert scores == []
    assert [one.severity for one in checks] == ["refusal"]
    assert [one.evidence for one in checks] == notes


def test_an_entry_without_doubts_about_scores_is_as_earlier_versions_wrote_it(finished: Path) -> None:
    (line,) = Ledger.read(finished / "ledger").lines
    plain = replace(line.entry, score_checks=[]).to_json()
    assert "score_checks" not in plain
    assert Entry.from_json(json.loads(json.dumps(line.entry.to_json()))).score_checks == line.entry.score_checks


def test_the_table_of_scores_is_what_abilities_read(finished: Path) -> None:
    table = read_scores(finished)
    assert set(table.frame["metric"]) == {"token_probability", "answer_nll"}
    assert set(table.frame["shots"]) == {"0", "1"}


def test_scores_do_not_depend_on_where_a_run_was_cut(finished: Path, copied: Path, study: Study) -> None:
    """Records and scores of one trunk go; what is trained again scores the same, byte for byte but for seconds."""
    design = started_design(copied).design
    trunk = [run for run in design.runs if run.trajectory == design.runs[0].trajectory]
    before = _scores(copied)
    for one in trunk:
        shutil.rmtree(copied / "runs" / one.key)
    run(study, folder=copied)
    assert _scores(copied) == before
    assert verify(copied) == []


def _scores(folder: Path) -> dict[str, dict[str, object]]:
    files = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in score_files(folder)}
    return {
        name: {key: value for key, value in values.items() if key not in ("seconds", "sha256")}
        for name, values in files.items()
    }


def test_lost_scores_are_made_again_and_edited_ones_are_set_aside(copied: Path, study: Study) -> None:
    lost, edited = score_files(copied)[:1], score_files(copied)[-1]
    before = _scores(copied)
    lost[0].unlink()
    edited.write_text(edited.read_text().replace('"n": 6', '"n": 7', 1))
    assert {finding.path for finding in verify(copied)} >= {lost[0], edited}
    run(study, folder=copied)
    assert _scores(copied) == before


def test_scores_that_were_sealed_anew_are_refused(copied: Path) -> None:
    path = score_files(copied)[0]
    scores_json = read_format_json(path)
    scores_json["scores"][0]["score"] += 0.5
    path.write_bytes(format_json(RunScores.from_json(scores_json).to_json()))
    with pytest.raises(StoreError, match="not the file that was written here"):
        read_score_rows(copied)


def test_other_tasks_leave_the_runs_and_score_them_anew(copied: Path, study: Study) -> None:
    assert study.evaluate
    table = Store(copied).table().digest
    other = study.model_copy(update={"evaluate": study.evaluate.model_copy(update={"questions": 4, "when": []})})
    other._home = study.home
    run(other, folder=copied)
    assert Store(copied).table().digest == table
    ends = read_score_rows(copied)
    assert (ends["n"] == 4).all()
    run(study, folder=copied)  # back to the tasks of before, whose scores are all there
    assert (read_score_rows(copied)["n"] == 6).all()


def test_a_forecast_is_held_against_scores_of_its_own_tasks_alone(finished: Path) -> None:
    (line,) = Ledger.read(finished / "ledger").lines
    target, store = started_design(finished).design.target, Store(finished)
    assert final_scores(store, target, line.entry.scores)
    assert final_scores(store, target, [replace(one, evaluation="0" * 16) for one in line.entry.scores]) == []


def test_the_page_shows_scores(finished: Path) -> None:
    page = (finished / "report" / "index.html").read_text()
    assert 'id="scores"' in page
    assert "Scores along the training" in page
    shown = gather(finished)
    assert shown.scores is not None
    assert shown.tail is None  # nothing is counted in its text
    curves = shown.score_curves
    assert curves
    assert {one.name.group for one in curves.curves} == {""}
    assert all(len(one.points) == len(shown.design.runs) for one in curves.curves)  # type: ignore[union-attr]
    assert ("polygon" in page) == any(one.band for one in curves.curves)


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        ("shots = [0, 1]", "shots = [0, 900]", "too few solved examples"),
        ('"sums.jsonl"', '"gone.jsonl"', "gone.jsonl"),
        ('"answer_nll"]', '"answer_nil"]', "answer_nll"),
        ('"answer_nll"]', '"accuracy"]', "choices"),
        ('"sums.jsonl"]', '"sums.jsonl", "sums.jsonl"]', "several times"),
        ("context = 32", "context = 8", "no question of copy.* fits"),
        ('when_of = "all"\n', '[finetune]\ntask = "sums.jsonl"\nkind = "single"\n', "line 1: a single example needs"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_starts(
    study: Study, tmp_path: Path, was: str, now: str, word: str
) -> None:
    (tmp_path / "sums.jsonl").write_text((study.home / "sums.jsonl").read_text())
    (tmp_path / "scored.toml").write_text(STUDY.replace(was, now))
    with pytest.raises(TaskError, match=word):
        run(load_study(tmp_path / "scored.toml"), folder=tmp_path / "runs" / "scored")
    assert not (tmp_path / "runs" / "scored" / "runs").exists()


@pytest.mark.parametrize(
    ("example", "cure"),
    [
        ({"sentence": "a b", "sentiment": 1}, "call sentence there text, call sentiment there label"),
        ({"wobble": "a b", "label": 1}, "give a column text"),
        ({"text": "a b", "label": 1, "split": "wobble"}, "leave it out of the file"),
        ({"text": "a b", "label": 1, "split": "train"}, "leave out the column split"),
        ({"text": "a b" * 100, "label": 1}, "model.context"),
    ],
)
def test_a_bad_file_of_examples_is_mended_in_the_file_and_not_by_an_option(
    study: Study, tmp_path: Path, example: dict[str, object], cure: str
) -> None:
    (tmp_path / "sums.jsonl").write_text((study.home / "sums.jsonl").read_text())
    (tmp_path / "bad.jsonl").write_text(
        "".join(
            json.dumps({name: n % 2 if name == "label" else value for name, value in example.items()}) + "\n"
            for n in range(10)
        )
    )
    tuned = STUDY.replace('when_of = "all"\n', '[finetune]\ntask = "bad.jsonl"\nkind = "single"\n')
    (tmp_path / "scored.toml").write_text(tuned)
    with pytest.raises(TaskError) as refused:
        run(load_study(tmp_path / "scored.toml"), folder=tmp_path / "runs" / "scored")
    assert cure in (refused.value.cure or "")
    assert not any(word in str(refused.value) for word in ("--map", "rename="))


def test_a_synthetic_language_is_asked_nothing_in_words(study: Study, tmp_path: Path) -> None:
    (tmp_path / "sums.jsonl").write_text((study.home / "sums.jsonl").read_text())
    symbols = '[corpus]\nsource = "zipf_markov"\nlanguage = { symbols = 32, tokens = 200e3 }\n[model]'
    (tmp_path / "scored.toml").write_text(STUDY[: STUDY.index("[corpus]")] + symbols + STUDY.split("[model]")[1])
    with pytest.raises(TaskError, match="no words to ask copy"):
        run(load_study(tmp_path / "scored.toml"), folder=tmp_path / "runs" / "scored")


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        ("when = [0.3, 0.6]", "when = [0.3, 1.5]", "evaluate.when"),
        ("questions = 6", "questions = true", "evaluate.questions"),
        ("shots = [0, 1]", "shots = [1, 1]", "twice"),
        ('[evaluate]\ntasks = [{ name = "copy"', '[evaluate]\ntasks = [{ name = "coppy"', "did you mean 'copy'"),
        ('[evaluate]\ntasks = [{ name = "copy", length', '[evaluate]\ntasks = [{ name = "copy", lenght', "'length'"),
        (
            '[evaluate]\ntasks = [{ name = "copy", length = 2',
            '[evaluate]\ntasks = [{ name = "copy", length = -2',
            "0.length",
        ),
        (
            '[evaluate]\ntasks = [{ name = "copy", length = 2',
            '[evaluate]\ntasks = [{ name = "copy", share = 0.5, length = 2',
            "`share` of the task copy says how much of a corpus",
        ),
    ],
)
def test_a_study_file_that_asks_for_no_scores_is_told(tmp_path: Path, was: str, now: str, word: str) -> None:
    (tmp_path / "scored.toml").write_text(STUDY.replace(was, now))
    with pytest.raises(StudyFileError, match=word):
        load_study(tmp_path / "scored.toml")


def test_tasks_that_are_gone_are_told_and_made_anew(copied: Path, study: Study) -> None:
    before, home = _scores(copied), copied / "evaluations"
    whole = {path.name: path.read_bytes() for path in home.iterdir()}
    shutil.rmtree(home)
    found = verify(copied)
    assert {finding.path.name for finding in found} == set(whole)
    assert {finding.remedy for finding in found} == {"remake"}
    run(study, folder=copied)
    assert {path.name: path.read_bytes() for path in home.iterdir()} == whole
    assert (verify(copied), _scores(copied)) == ([], before)


def test_tasks_that_nobody_asks_for_any_more_are_told_when_they_are_gone(copied: Path, study: Study) -> None:
    """They cannot be made anew, so they are no reason to run the study again."""
    assert study.evaluate
    before = current_evaluation(copied)
    other = study.model_copy(update={"evaluate": study.evaluate.model_copy(update={"questions": 4, "when": []})})
    other._home = study.home
    run(other, folder=copied)
    assert doubts(copied, usable_design(copied)) == []
    evaluation_path(copied, before).unlink()
    assert verify(copied) == []
    (told,) = doubts(copied, usable_design(copied))
    assert f"{before}.json is doubtful: gone, and runs were scored" in told
    evaluation_path(copied, current_evaluation(copied)).unlink()
    assert len(verify(copied)) == 1


def test_the_digest_is_of_what_is_asked(study: Study) -> None:
    evaluation = evaluation_of(study)
    assert evaluation
    assert evaluation.digest == type(evaluation).from_json(json.loads(json.dumps(evaluation.to_json()))).digest
    assert study.evaluate
    more = study.model_copy(update={"evaluate": study.evaluate.model_copy(update={"questions": 5})})
    more._home = study.home
    other = evaluation_of(more)
    assert other
    assert other.digest != evaluation.digest


def test_a_study_that_was_moved_asks_the_same(study: Study, tmp_path: Path) -> None:
    for name in ("sums.jsonl", "scored.toml"):
        shutil.copy(study.home / name, tmp_path / name)
    here, there = evaluation_of(study), evaluation_of(load_study(tmp_path / "scored.toml"))
    assert here
    assert here == there


def test_scores_travel_with_a_copy_in_a_bucket(copied: Path, study: Study, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    launch = study.launch.model_copy(update={"bucket": f"file://{tmp_path}/there"})
    bucketed = study.model_copy(update={"launch": launch})
    bucketed._home = study.home
    asked = read_evaluation(evaluation_path(copied, current_evaluation(copied)))
    # Tasks of another time, whose files come last by name: nobody can tell by them that others count.
    others = (replace(asked, seeds=(seed,)) for seed in range(1, 1000))
    keep_evaluation(copied, next(one for one in others if one.digest > asked.digest))
    run(bucketed, folder=copied)
    other = tmp_path / "elsewhere" / "scored"
    shutil.copytree(tmp_path / "corpora", other.parent / "corpora")
    run(bucketed, folder=other)
    files = {path.relative_to(copied): path.read_bytes() for path in score_files(copied)}
    assert files == {path.relative_to(other): path.read_bytes() for path in score_files(other)}
    assert len(list((other / "evaluations").glob("*.json"))) == 3
    assert current_evaluation(other) == asked.digest
    assert not read_score_rows(other).empty
    assert read_score_rows(f"file://{tmp_path}/there").equals(read_score_rows(other))
    assert verify(other) == []


def test_answers_on_what_is_counted_are_read_for_the_long_tail(copied: Path) -> None:
    from foretoken.abilities.answers import read_answers
    from foretoken.runs.task_score import QuestionValues
    from foretoken.store.score_rows import read_answer_rows

    task = make_task("facts", facts=8, most=50, questions=8, documents=30)
    evaluation = Evaluation(tasks=(task,))
    keep_evaluation(copied, evaluation)
    records = Store(copied).records()
    for record in records:
        steps, right = record.spec.steps, tuple(float(number % 2) for number in range(len(task.questions)))
        values = QuestionValues(task=task.name, metric="exact_match", shots=0, values=right)
        scores = RunScores(
            run=record.spec.key,
            evaluation=evaluation.digest,
            step=steps,
            steps=steps,
            seconds=0,
            scores=(),
            questions=(values,),
        )
        put_scores(copied, scores)
    rows = read_answer_rows(copied)
    assert len(rows) == len(records) * len(task.questions)
    corpus = started_design(copied).corpus
    assert corpus
    one = rows[rows["run"] == records[0].spec.key]
    share = records[0].spec.tokens / corpus.train_tokens
    assert one["count"].tolist() == pytest.approx([share * (question.count or 0) for question in task.questions])
    assert one["correct"].tolist() == [0, 1] * 4
    (answers,) = read_answers(copied).tasks
    assert answers.by_question
    assert len(answers.models) == len(records)
    _shorten_text(copied, records[0].spec.tokens / 2.5)
    rows = read_answer_rows(copied)
    one = rows[rows["run"] == records[0].spec.key]  # which read its text two and a half times
    assert one["count"].tolist() == pytest.approx([2.5 * (question.count or 0) for question in task.questions])


def _shorten_text(folder: Path, tokens: float) -> None:
    design_json = read_format_json(folder / "design.json")
    design_json["corpus"]["train_tokens"] = tokens
    (folder / "design.json").write_bytes(format_json(design_json))


def test_what_guessing_gives_stands_in_the_table(copied: Path) -> None:
    """A curve of four choices begins at a quarter, whatever the small runs score."""
    task = make_task("facts", facts=8, most=50, questions=8)
    evaluation = Evaluation(tasks=(task,))
    keep_evaluation(copied, evaluation)
    store = Store(copied)
    for record in store.records():
        rows = [
            TaskScore(task=name, metric=metric, shots=0, score=0.5, score_se=0.1, n=8)
            for name, metric in ((task.name, "accuracy"), (task.name, "answer_nll"), (task.name, "finetuned_accuracy"))
        ]
        steps = record.spec.steps
        scores = RunScores(
            run=record.spec.key, evaluation=evaluation.digest, step=steps, steps=steps, seconds=0, scores=tuple(rows)
        )
        put_scores(copied, scores)
    rows_of = read_score_rows(copied)
    chances = {metric: set(of_metric["chance"].dropna()) for metric, of_metric in rows_of.groupby("metric")}
    assert chances == {"accuracy": {0.25}, "answer_nll": set(), "finetuned_accuracy": set()}
    table = ladder_scores(store, started_design(copied).design.runs, evaluation).frame
    assert set(table[table["metric"] == "accuracy"]["chance"]) == {0.25}


def test_examples_that_were_edited_are_set_aside(copied: Path) -> None:
    content = b'{"text": "1+1", "label": "even"}\n'
    path = copied / "evaluations" / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    path.write_bytes(content)
    assert verify(copied) == []
    path.write_bytes(content.replace(b"even", b"odd"))
    assert [finding.path for finding in verify(copied)] == [path]


def test_examples_that_are_gone_are_told(copied: Path) -> None:
    tuning = Tuning(
        name="a", file=f"{'0' * 16}.csv", kind="single", seeds=1, learning_rates=(0.1,), epochs=1, classes=()
    )
    asked = replace(read_evaluation(evaluation_path(copied, current_evaluation(copied))), tuning=tuning)
    keep_evaluation(copied, asked)
    assert verify(copied) == []  # nothing was scored yet
    run_key = Store(copied).records()[0].spec.key
    put_scores(copied, RunScores(run=run_key, evaluation=asked.digest, step=1, steps=2, seconds=0, scores=()))
    assert tuning.file in {finding.path.name for finding in verify(copied)}


def test_lines_of_a_design_are_one_series_unless_they_are_asked_for(finished: Path) -> None:
    assert set(read_scores(finished).frame["group"]) == {""}
    groups = set(read_scores(finished, reading=ScoreReading(group="group")).frame["group"])
    assert len(groups) > 1
    assert "target" in groups
