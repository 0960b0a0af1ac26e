"""A study whose files go to a bucket: what another machine finds there, whatever happened to the first.

`benchmarks/faults.py machines` kills it at every operation; here at one while it trains and one near its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import foretoken as ft
from foretoken.cli import app
from foretoken.errors import LeaseLostError, StoreError, StudyBusyError, TableError
from foretoken.store import atomic
from foretoken.store.bucket import Bucket
from foretoken.store.checkpoints import in_folder
from foretoken.store.claim import Claim
from foretoken.store.score_rows import read_answer_rows, read_score_rows
from foretoken.store.store import Store
from foretoken.study import bucket_copy
from foretoken.study.by_hand import planned_commands
from foretoken.study.maintenance import verify
from foretoken.study.preview import design, dry_run
from foretoken.study.progress import ProgressListener
from foretoken.study.results import ladder_table
from foretoken.study.run_study import run
from foretoken.study.study_status import status

from . import tiny
from .drivers import contents
from .elsewhere import at_home, grow_old, machine_lost, quick, results, study_at
from .sweep import Undisturbed
from .tiny import tiny_study

pytest.importorskip("fsspec", reason="buckets are read by fsspec")
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


class Listening(ProgressListener):
    """Keeps what a person would be told; `at` is called when a phase begins."""

    def __init__(self, at: Callable[[str], None] = lambda phase: None) -> None:
        self.notes: list[str] = []
        self.at = at

    def note(self, text: str) -> None:
        self.notes.append(text)

    def phase(self, text: str) -> None:
        self.at(text)


@pytest.fixture(autouse=True)
def in_process() -> Iterator[None]:
    with tiny.in_process(), quick():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def there(home: Path) -> Iterator[Path]:
    """The bucket, empty; always the same URL, which stands in a study's design."""
    yield home / "there"
    shutil.rmtree(home / "there", ignore_errors=True)


@pytest.fixture(scope="module")
def ended(home: Path) -> Path:
    """A study that has ended in `first`, and its bucket; to be copied, not changed."""
    with tiny.in_process(), quick():
        run(study_at(home / "there"), at_home(home / "first"))
    (home / "there").rename(home / "bucket")
    return home


@pytest.fixture
def finished(ended: Path, tmp_path: Path, there: Path) -> Path:
    """The folder of a study that has ended, and is in the bucket."""
    shutil.copytree(ended / "first", tmp_path / "first")
    shutil.copytree(ended / "bucket", there)
    return at_home(tmp_path / "first")


def test_an_empty_folder_elsewhere_becomes_the_same(finished: Path, there: Path, tmp_path: Path) -> None:
    assert results(there) == results(finished)
    other = at_home(tmp_path / "second")
    listener = Listening()
    run(study_at(there), other, listener)
    assert results(other) == results(finished) == results(there)
    assert verify(other) == verify(there) == []
    assert not [note for note in listener.notes if "file://" in note]


def test_a_finished_study_is_left_as_it_is(finished: Path, there: Path) -> None:
    before = contents(there), contents(finished)
    run(study_at(there), finished)
    assert (contents(there), contents(finished)) == before


def foretoken(*words: str) -> str:
    """What a verb prints; raises its error."""
    return CliRunner().invoke(app, words, catch_exceptions=False).output


def test_verbs_read_the_url(finished: Path, there: Path) -> None:
    url = f"file://{there}"
    assert status(url).counts == status(finished).counts
    assert status(url).outcome == status(finished).outcome
    assert verify(url) == []
    assert ladder_table(url).digest == ladder_table(finished).digest
    assert ft.read_table(url).digest == ft.read_table(finished).digest
    with pytest.raises(StoreError, match="no study has been started"):
        status(f"file://{there}/nothing")
    assert status(finished).report
    assert status(url).report is None
    assert "report:" not in foretoken("status", url)
    assert foretoken("ledger", "show", "--ledger", f"{url}/ledger") == foretoken(
        "ledger", "show", "--ledger", str(finished / "ledger")
    )
    for reader, told in ((read_score_rows, "holds no scores"), (read_answer_rows, "the same options")):
        with pytest.raises(TableError, match=told):
            reader(url)
    for verb in (["scores"], ["tail"], ["downstream", "--at", "1M,20M"]):
        # This study has no tasks, as is known from its own files alone.
        with pytest.raises(TableError, match="holds no "):
            foretoken(*verb, url)


@pytest.mark.parametrize("place", ["runs/tiny", "runs/tiny/copy", "runs"])
def test_a_bucket_that_is_the_studys_own_folder_is_refused(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny"
    for verb in (run, design, dry_run):
        with pytest.raises(StoreError, match="lie in one another") as caught:
            verb(study_at(tmp_path / place), folder)
        assert caught.value.cure == "give another launch.bucket"
    assert not list(tmp_path.iterdir())


def test_the_bucket_of_another_study_is_named(finished: Path, there: Path, tmp_path: Path) -> None:
    other = study_at(there).model_copy(update={"name": "other"})
    for verb in (run, dry_run):
        with pytest.raises(StoreError, match=f"^file://{there} holds another study") as caught:
            verb(other, tmp_path / "runs" / "other")
        assert caught.value.cure == "give another launch.bucket, or rename the study"


@pytest.mark.parametrize("at", [150, 430])
def test_a_machine_that_is_killed_anywhere_loses_nothing_that_was_copied(
    at: int, tmp_path: Path, expected: Undisturbed
) -> None:
    trial = machine_lost(tmp_path, at, expected)
    assert (trial.first, trial.wrong) == ("killed", [])


def test_a_study_goes_on_from_a_checkpoint_of_another_machine(there: Path, tmp_path: Path) -> None:
    first, second, steps = at_home(tmp_path / "first"), at_home(tmp_path / "second"), []

    class Stopped(BaseException):
        pass

    class Until(Listening):
        def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
            if any(first.glob("trunks/*/step-*/commit.json")):
                raise Stopped

    with pytest.raises(Stopped):
        run(study_at(there), first, Until())
    (trunk,) = {path.parents[1].name for path in there.glob("trunks/*/step-*/commit.json")}

    def look(phase: str) -> None:
        if phase == "training" and not steps:
            steps.extend(saved.step for saved in in_folder(second / "trunks" / trunk) if saved.is_committed)

    run(study_at(there), second, Listening(look))
    assert steps
    assert not list(there.glob("trunks/*/step-*"))


def test_operations_that_fail_are_tried_again(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_copy, "FAILING_SECONDS", 60.0)
    chance = random.Random(0)

    def failing(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if threading.current_thread() is not threading.main_thread() and chance.random() < 0.5:
                raise ConnectionError("a bad line")
            return method(*arguments)

        return call

    first, listener = at_home(tmp_path / "first"), Listening()

    def spoil(phase: str) -> None:
        for name in ("put", "create", "put_file", "delete"):
            monkeypatch.setattr(Bucket, name, failing(getattr(Bucket, name)))
        listener.at = lambda phase: None

    listener.at = spoil
    run(study_at(there), first, listener)
    monkeypatch.undo()
    assert results(there) == results(first)
    assert verify(f"file://{there}") == []


def test_a_bucket_that_fails_for_good_stops_no_training(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, listener = at_home(tmp_path / "first"), Listening()

    def refuse(*_: object) -> None:
        raise ConnectionError("the line is cut")

    def cut(phase: str) -> None:
        for name in ("put", "create", "put_file"):
            monkeypatch.setattr(Bucket, name, refuse)

    listener.at = cut
    assert run(study_at(there), first, listener).outcome is not None
    told = [note for note in listener.notes if "file://" in note]
    assert len(told) == 2
    assert "training goes on" in told[0]
    assert "not in file://" in told[1]
    monkeypatch.undo()
    run(study_at(there), first)
    assert results(there) == results(first)


def test_two_machines_do_not_both_run(there: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def meanwhile(phase: str) -> None:
        if phase == "training" and not told:
            with pytest.raises(StudyBusyError) as error:
                run(study_at(there), at_home(tmp_path / "second"))
            told.append(str(error.value))

    run(study_at(there), at_home(tmp_path / "first"), Listening(meanwhile))
    assert f"pid {os.getpid()} on" in told[0]
    assert not list(at_home(tmp_path / "second").glob("runs/*"))


def test_who_was_taken_over_stops_and_changes_nothing(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, after = at_home(tmp_path / "first"), at_home(tmp_path / "second"), {}
    frozen: list[Claim] = []
    monkeypatch.setattr(Claim, "_renew", lambda self: frozen.append(self))

    def take_over(phase: str) -> None:
        if phase == "fitting" and not after:
            grow_old(there)
            run(study_at(there), second)
            after.update(contents(there))
            with pytest.raises(LeaseLostError):
                frozen[0].look()

    with pytest.raises(LeaseLostError, match="taken over"):
        run(study_at(there), first, Listening(take_over))
    assert contents(there) == after
    # What both have trained says the same: its folder goes on from what the other has made.
    run(study_at(there), first)
    assert results(first) == results(second)


def edited(path: Path) -> None:
    values = atomic.read_checksummed_json(path)
    values["loss"] += 0.5
    path.write_bytes(atomic.checksummed_json(values))


@pytest.mark.parametrize("spoil", [edited, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_a_record_that_was_changed_there_is_made_anew(
    spoil: Callable[[Path], None], finished: Path, there: Path, tmp_path: Path, expected: Undisturbed
) -> None:
    key = min(path.parent.name for path in there.glob("runs/*/record.json"))
    spoil(there / f"runs/{key}/record.json")
    second, listener = at_home(tmp_path / "second"), Listening()
    run(study_at(there), second, listener)
    assert any(f"{key}/record.json is not as it was written" in note for note in listener.notes)
    assert Store(second).table().digest == expected.digest
    assert results(there) == results(second)
    assert verify(f"file://{there}") == []


def test_a_ledger_that_was_changed_there_is_refused(finished: Path, there: Path, tmp_path: Path) -> None:
    (path,) = there.glob("ledger/*.outcome.json")
    edited(path)
    with pytest.raises(StoreError, match="changed since the study ended"):
        run(study_at(there), at_home(tmp_path / "second"))


def test_a_half_copied_checkpoint_counts_as_none(finished: Path, there: Path, tmp_path: Path) -> None:
    trunk = there / "trunks" / "0123456789abcdef"
    for step, parts in {8: {"a": b"1"}, 16: {"a": b"1", "commit.json": json.dumps({"a": "0" * 64}).encode()}}.items():
        folder = trunk / f"step-{step:09d}-1"
        folder.mkdir(parents=True)
        for name, content in parts.items():
            (folder / name).write_bytes(content)
    second, listener = at_home(tmp_path / "second"), Listening()
    (there / "finished.json").unlink()
    run(study_at(there), second, listener)
    assert any("is damaged: it is left out" in note for note in listener.notes)
    assert not list((second / "trunks").glob("*/step-*"))
    assert not list(trunk.rglob("*.json"))


def test_two_results_of_one_run_are_told_apart_by_a_person(finished: Path, there: Path, tmp_path: Path) -> None:
    second = at_home(tmp_path / "second")
    shutil.copytree(finished, second)
    shutil.rmtree(second / "attempts")
    for name in ("seals", "finished.json", "ledger", "fit.json", "approach3.json"):
        shutil.rmtree(second / name) if (second / name).is_dir() else (second / name).unlink()
    path = min(second.glob("runs/*/record.json"))
    edited(path)
    before = contents(second)
    with pytest.raises(StoreError, match="two results") as told:
        run(study_at(there), second)
    assert str(path) in str(told.value)
    assert {n: c for n, c in contents(second).items() if "attempts" not in n} == before


def test_two_designs_are_told_apart_by_a_person(finished: Path, there: Path, tmp_path: Path) -> None:
    second, other = at_home(tmp_path / "second"), tiny_study()
    other = other.model_copy(update={"design": other.design.model_copy(update={"budgets": [14e6, 28e6]})})
    run(other, second)
    with pytest.raises(StoreError, match=r"two (designs|ledgers)"):
        run(study_at(there), second)


def test_another_study_is_refused(finished: Path, there: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="another study"):
        run(study_at(there).model_copy(update={"name": "other"}), at_home(tmp_path / "second"))


def test_a_study_that_has_begun_without_a_bucket_gets_one(there: Path, tmp_path: Path) -> None:
    first = at_home(tmp_path / "first")
    run(tiny_study(), first)
    run(study_at(there), first)
    assert results(there) == results(first)


def test_a_dry_run_tells_what_the_bucket_has_and_writes_nothing(finished: Path, there: Path, tmp_path: Path) -> None:
    other = at_home(tmp_path / "second")
    before = contents(there)
    told = {run.id: run.action for run in dry_run(study_at(there), other).runs}
    assert told
    assert set(told.values()) == {"keep"}
    assert contents(there) == before
    assert not other.exists()
    # Half of it: one record is gone there, and another one stands here alone.
    gone, kept = list(told)[:2]
    shutil.copytree(there / "runs" / kept, other / "runs" / kept)
    (other / "design.json").write_bytes((there / "design.json").read_bytes())
    for key in (gone, kept):
        shutil.rmtree(there / "runs" / key)
    found = {run.id: run.action for run in dry_run(study_at(there), other).runs}
    assert found == told | {gone: "train"}


def test_a_dry_run_goes_on_from_checkpoints_in_the_bucket(there: Path, tmp_path: Path) -> None:
    study = study_at(there)
    run(study, at_home(tmp_path / "first"))
    key = next(run.id for run in dry_run(study, at_home(tmp_path / "second")).runs)
    shutil.rmtree(there / "runs" / key)
    saved = there / "runs" / key / "step-000000003-1"
    saved.mkdir(parents=True)
    (saved / "state.bin").write_bytes(b"x")
    (saved / atomic.COMMIT).write_text(json.dumps({"state.bin": hashlib.sha256(b"x").hexdigest()}))
    (action,) = (one for one in dry_run(study, at_home(tmp_path / "second")).runs if one.id == key)
    assert (action.action, action.step) == ("resume", 3)


def test_a_dry_run_tells_a_contradiction_as_a_run_would(finished: Path, there: Path, tmp_path: Path) -> None:
    second = at_home(tmp_path / "second")
    shutil.copytree(finished, second)
    shutil.rmtree(second / "attempts")
    edited(next(second.glob("runs/*/record.json")))
    before = contents(second)
    with pytest.raises(StoreError, match="two results"):
        dry_run(study_at(there), second)
    assert contents(second) == before


def test_a_dry_run_knows_what_this_machine_has_measured(finished: Path, there: Path) -> None:
    study = study_at(there)
    launch = study.launch.model_copy(update={"limit": ["1 h"]})
    limited = study.model_copy(update={"launch": launch.model_copy(update={"keep_weights": "all"})})
    assert "again" in {one.action for one in dry_run(limited, finished).runs}
    assert dry_run(limited, finished).checks == []
    (finished / "calibration.json").unlink()
    assert dry_run(study.model_copy(update={"launch": launch}), finished).checks == []  # nothing would run
    (check,) = dry_run(limited, finished).checks
    assert "not known yet" in check.evidence


VERBS = {"design": design, "dry run": dry_run, "commands": planned_commands}


@pytest.mark.parametrize("verb", ["design", "commands"])
def test_a_bucket_without_rights_is_refused_before_anything_is_written(tmp_path: Path, there: Path, verb: str) -> None:
    there.parent.mkdir(exist_ok=True)
    there.write_text("a file, below which nothing can be written")
    folder = at_home(tmp_path / "first")
    try:
        with pytest.raises(StoreError, match=r"cannot (write|hold)") as refused:
            VERBS[verb](study_at(there), folder)
    finally:
        there.unlink()
    assert refused.value.cure
    assert not folder.exists()


@pytest.mark.parametrize("verb", VERBS)
def test_a_bucket_that_cannot_be_listed_is_refused_before_anything_is_written(
    tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def denied(bucket: Bucket) -> dict[str, int]:
        raise PermissionError("denied")

    monkeypatch.setattr(Bucket, "names", denied)
    folder = at_home(tmp_path / "first")
    with pytest.raises(StoreError, match="cannot be read") as refused:
        VERBS[verb](study_at(there), folder)
    assert "rights" in (refused.value.cure or "")
    assert not folder.exists()


def test_a_design_in_an_empty_folder_is_that_of_the_bucket(finished: Path, there: Path, tmp_path: Path) -> None:
    other = at_home(tmp_path / "second")
    design(study_at(there), other)
    assert (other / "design.json").read_bytes() == (finished / "design.json").read_bytes()
    run(study_at(there), other)
    assert results(other) == results(there)
