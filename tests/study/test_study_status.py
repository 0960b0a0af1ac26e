"""How a study stands, from its files: counts, what is new and why, which keys of the study file have changed."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.cli.printing import print_status
from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design
from foretoken.errors import StoreError
from foretoken.launchers.launcher import Ended, Note, Step
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.store.atomic import read_json
from foretoken.store.store import Store
from foretoken.study.agreement import load_fit, records_of
from foretoken.study.design_file import (
    DesignFile,
    read_design,
    read_design_file,
    started_design,
    usable_design,
    write_design_file,
)
from foretoken.study.progress import PROGRESS, Progress, ProgressListener
from foretoken.study.results import gather, ladder_table
from foretoken.study.study_status import because, count_runs, current_forecast, new_runs, status

from ..conftest import MINI
from ..runs.test_spec import SPEC

RUNS = [SPEC.with_tokens(512 * steps) for steps in (100, 200, 300)]
TARGET = replace(SPEC, seed=9, group="target")
STUDY = Study.model_validate(tomllib.loads(MINI))
CORPUS = CorpusSummary(
    address="a",
    tokenizer="t",
    vocabulary=32,
    tokens=9,
    train_tokens=8,
    validation_tokens=1,
    bytes=None,
    sha256="s",
    entropy_rate=1.25,
)
PLAN = DesignFile(study=STUDY, corpus=CORPUS, design=Design(RUNS, TARGET), command="foretoken run mini.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a study that plans three runs and a target, none of them trained."""
    write_design_file(tmp_path, PLAN)
    return tmp_path


def record(run: RunSpec, state: str = "finished", **more: object) -> RunRecord:
    loss = 2.0 + 1.0 / run.steps if state == "finished" else None
    return RunRecord(spec=run, status=state, loss=loss, **more)  # type: ignore[arg-type]


def test_an_empty_folder_has_a_status_too(tmp_path: Path) -> None:
    standing = status(tmp_path)
    assert (standing.counts.planned, standing.forecast, standing.outcome, standing.new) == (0, None, None, [])
    assert standing.study == tmp_path.name


def test_a_report_is_named_only_where_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_status(status(folder))
    page = folder / "report" / "index.html"
    page.parent.mkdir()
    assert status(folder)["report"] is None
    page.write_text("")
    assert "report:" not in capsys.readouterr().out
    print_status(status(folder))
    assert f"report:   {page}" in capsys.readouterr().out
    assert status(folder)["report"] == str(page)


def test_runs_are_counted_by_what_became_of_them(folder: Path) -> None:
    store = Store(folder)
    for run, state in zip(RUNS, ("finished", "diverged", "failed"), strict=True):
        store.put_record(record(run, state))
    counts = status(folder).counts
    assert (counts.finished, counts.diverged, counts.failed, counts.running) == (1, 1, 1, 0)
    assert counts.planned == len(RUNS) + int(STUDY.target.train)


@given(st.lists(st.sampled_from(["finished", "diverged", "failed"]), max_size=12), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_every_record_counts_once(states: list[str], running: int) -> None:
    counts = count_runs(20, states, running)  # type: ignore[arg-type]
    expected = Counter(states)
    assert (counts.finished, counts.diverged, counts.failed) == tuple(
        expected[state] for state in ("finished", "diverged", "failed")
    )
    assert (counts.planned, counts.running) == (20, running)


def test_keys_are_read_as_in_json(folder: Path) -> None:
    standing = status(folder)
    values = standing.to_json()
    assert values["folder"] == str(folder)
    assert all(standing[key] == value for key, value in values.items())
    json.dumps(values)
    with pytest.raises(KeyError):
        standing["runs_planned"]


def test_runs_without_a_record_are_new_and_say_what_moved(folder: Path) -> None:
    store = Store(folder)
    store.put_record(record(replace(RUNS[0], clip=3.0)))
    store.put_record(record(RUNS[1]))
    new = {run.id: run for run in status(folder).new}
    assert RUNS[1].key not in new
    assert new[RUNS[0].key].because == {"clip": (3.0, 1.0)}
    assert new[RUNS[0].key].group == RUNS[0].group


def test_nothing_is_new_where_all_is_done(folder: Path) -> None:
    store = Store(folder)
    for run in (*RUNS, TARGET):
        store.put_record(record(run))
    assert status(folder).new == []
    assert new_runs(store, RUNS, {run.key: record(run) for run in RUNS}) == []


def test_of_others_those_of_the_same_shape_are_compared_first() -> None:
    same_shape = replace(SPEC, seed=5, clip=9.0, weight_decay=0.3)
    other_shape = replace(SPEC, shape=replace(SPEC.shape, width=32))
    assert because(SPEC, [other_shape, same_shape]) == {"seed": (5, 0), "clip": (9.0, 1.0), "weight_decay": (0.3, 0.1)}
    assert because(SPEC, [other_shape]) == {"shape.width": (32, 16)}
    assert because(SPEC, []) is None


def test_keys_of_the_study_file_that_have_changed_are_told(folder: Path) -> None:
    assert status(folder, STUDY).edited == {}
    other = Study.model_validate(
        tomllib.loads(MINI.replace("seed = 0", "seed = 4").replace("center = 20", "center = 30"))
    )
    assert status(folder, other).edited == {"seed": (0, 4), "design.center": (20, 30)}


def test_there_is_no_forecast_before_one_is_frozen(folder: Path) -> None:
    assert current_forecast(folder, None) is None
    assert current_forecast(folder, PLAN.design) is None
    assert status(folder).forecast is None


def test_a_plan_comes_back_from_its_file(folder: Path) -> None:
    assert read_design_file(folder) == PLAN == started_design(folder) == usable_design(folder)
    assert read_design(folder) == PLAN.design


def test_a_folder_without_a_plan_has_none_and_says_so(tmp_path: Path) -> None:
    assert read_design_file(tmp_path) is None
    assert read_design(tmp_path) is None
    assert usable_design(tmp_path) is None
    with pytest.raises(StoreError, match=r"no study has been started(.|\n)*design\.json"):
        started_design(tmp_path)


@pytest.mark.parametrize("key", ["study", "corpus", "runs", "target"])
def test_a_plan_without_one_of_its_parts_is_none(key: str) -> None:
    values = PLAN.to_json()
    assert DesignFile.from_json(values) == PLAN
    with pytest.raises((KeyError, TypeError, ValueError)):
        DesignFile.from_json({name: value for name, value in values.items() if name != key})
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        DesignFile.from_json(values | {key: 3})


def test_a_damaged_plan_can_be_made_again_but_is_not_read(folder: Path) -> None:
    path = folder / "design.json"
    path.write_text(path.read_text().replace('"seed": 9', '"seed": 8'))
    assert usable_design(folder) is None
    with pytest.raises(StoreError):
        read_design_file(folder)


def test_a_plan_covers_one_of_fewer_runs_and_no_other() -> None:
    fewer = replace(PLAN, design=Design(RUNS[:2], TARGET))
    assert PLAN.covers(PLAN)
    assert PLAN.covers(fewer)
    assert not fewer.covers(PLAN)
    changes: list[dict[str, object]] = [
        {"design": Design(RUNS, replace(TARGET, seed=3))},
        {"corpus": replace(CORPUS, sha256="other")},
        {"command": "foretoken run other.toml"},
        {"study": STUDY.model_copy(update={"seed": 7})},
    ]
    for change in changes:
        assert not PLAN.covers(replace(PLAN, **change)), change  # type: ignore[arg-type]


class Heard(ProgressListener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.records: list[RunRecord] = []

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        self.steps.append((key, step))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ended(self, record: RunRecord) -> None:
        self.records.append(record)


def test_events_reach_the_listener_and_the_file(folder: Path) -> None:
    store, heard = Store(folder), Heard()
    progress = Progress(store, heard)
    progress.report("job", Step(RUNS[0].key, 3, 100, 2.5))
    assert read_json(folder / PROGRESS) == {RUNS[0].key: {"step": 3, "steps": 100, "loss": 2.5}}
    progress.report("job", Note("a spike"))
    store.put_record(record(RUNS[0]))
    progress.report("job", Ended(RUNS[0].key, "finished"))
    assert heard.steps == [(RUNS[0].key, 3)]
    assert heard.notes == ["a spike"]
    assert [told.spec for told in heard.records] == [RUNS[0]]
    assert progress.running == {}
    progress.clear()
    assert not (folder / PROGRESS).exists()


def test_a_run_with_two_results_is_told_to_a_person(folder: Path) -> None:
    heard = Heard()
    Progress(Store(folder), heard).report("job", Ended(RUNS[0].key, "finished", agrees=False))
    assert heard.records == []
    (note,) = heard.notes
    assert RUNS[0].key in note
    assert "two results" in note


def test_the_file_is_not_written_at_every_step(folder: Path) -> None:
    progress = Progress(Store(folder), ProgressListener())
    for step in range(50):
        progress.report("job", Step(RUNS[0].key, step, 100, None))
    assert read_json(folder / PROGRESS)[RUNS[0].key]["step"] == 0
    assert progress.running[RUNS[0].key].step == 49


def test_records_are_read_under_the_labels_of_the_design(folder: Path) -> None:
    store = Store(folder)
    store.put_record(record(RUNS[0]))
    relabelled = replace(RUNS[0], group="another budget")
    assert relabelled.key == RUNS[0].key
    (read,) = records_of(store, [relabelled, RUNS[1]])
    assert read.spec.group == "another budget"


def test_the_table_of_a_ladder_holds_no_target(folder: Path) -> None:
    store = Store(folder)
    for run in (RUNS[2], RUNS[0], TARGET):
        store.put_record(record(run))
    table = ladder_table(folder)
    assert len(table) == 2
    assert table.frame["tokens"].tolist() == [RUNS[0].tokens, RUNS[2].tokens]
    with pytest.raises(StoreError, match="no study has been started"):
        ladder_table(folder / "elsewhere")


def test_a_study_without_results_is_gathered_all_the_same(folder: Path) -> None:
    results = gather(folder)
    assert (results.fit, results.entry, results.outcome, results.isoflop) == (None, None, None, None)
    assert results.counts.finished == 0
    assert results.design == PLAN.design
    assert results.corpus.entropy_rate == 1.25
    assert results.commands == ["foretoken run mini.toml", f"foretoken report {folder}"]


def test_what_training_took_is_added_up(folder: Path) -> None:
    store = Store(folder)
    for run, device in zip(RUNS, ("one", "two", "one"), strict=True):
        store.put_record(record(run, seconds=10.0, kwh=0.5, kwh_source="estimate", device=device))
    cost = gather(folder).cost
    assert (cost.seconds, cost.kwh, cost.kwh_source, cost.machine) == (30.0, 1.5, "estimate", "one, two")


@pytest.mark.parametrize("text", ["{}", "", '{"format": 1}'])
def test_a_fit_that_cannot_be_read_can_be_made_again(tmp_path: Path, text: str) -> None:
    assert load_fit(tmp_path / "fit.json") is None
    (tmp_path / "fit.json").write_text(text)
    assert load_fit(tmp_path / "fit.json") is None
