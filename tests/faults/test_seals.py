"""A study whose clock is moved, whose files are edited with their checksums, whose version or machine changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import foretoken.study.runner as runner
from foretoken.errors import ForetokenError, StoreError
from foretoken.forecasts import Ledger
from foretoken.launchers import Machine
from foretoken.runs.record import RunRecord
from foretoken.store import atomic, clock
from foretoken.store.finished import MARK, SEALS
from foretoken.store.read import read_table
from foretoken.store.seals import unseal
from foretoken.store.store import Store, record_name
from foretoken.study.design_file import read_design
from foretoken.study.maintenance import prune, verify
from foretoken.study.preview import dry_run
from foretoken.study.progress import ProgressListener
from foretoken.study.results import report
from foretoken.study.run_study import run
from foretoken.study.study_status import status

from . import tiny

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, to be copied."""
    folder = tmp_path_factory.mktemp("whole") / "tiny"
    with tiny.in_process():
        tiny.run(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, its corpus beside it."""
    shutil.copytree(whole.parent, tmp_path / "runs")
    return tmp_path / "runs" / "tiny"


class Watch(ProgressListener):
    """Calls a function at each stage of a study, and keeps what is told."""

    def __init__(self, at_phase: Callable[[str], None]) -> None:
        self.phase = at_phase  # type: ignore[method-assign]
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class WallClock(datetime):
    """The time of day, as somebody has set it."""

    moved = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(tz) + cls.moved


@pytest.mark.parametrize(
    ("stage", "moved", "told"),
    [
        ("fitting", timedelta(days=-3650), "back by 3650 d"),
        ("training the target", timedelta(hours=-1), "back by 1 h"),
        ("training the target again", timedelta(days=3650), "forward by 3650 d"),
    ],
    ids=str,
)
def test_a_clock_that_is_moved_changes_neither_table_nor_score(
    stage: str, moved: timedelta, told: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "datetime", WallClock)
    monkeypatch.setattr(WallClock, "moved", timedelta(0))
    home = tmp_path / "tiny"

    def at_phase(text: str) -> None:
        if text == stage.removesuffix(" again"):
            WallClock.moved = moved
            if stage.endswith("again"):  # between two runs
                raise KeyboardInterrupt

    watch = Watch(at_phase)
    if stage.endswith("again"):
        with pytest.raises(KeyboardInterrupt):
            run(tiny.tiny_study(), home, watch)
        stage = ""
    result, before = run(tiny.tiny_study(), home, watch), status(whole)
    assert result.outcome
    assert before.outcome
    assert Store(home).table().digest == Store(whole).table().digest
    assert (result.outcome.loss, result.outcome.error) == (before.outcome.loss, before.outcome.error)
    assert result.outcome.order == "frozen before the run"
    assert not verify(home)
    told_by_ledger = Ledger.read(home / "ledger").clock
    assert any(told in sentence for sentence in told_by_ledger)
    assert [note.partition(";")[0] for note in watch.notes if "clock" in note] == list(told_by_ledger)


def resealed(path: Path, **changes: Any) -> None:
    """Edit a file, and make its checksum that of what it holds then."""
    values = json.loads(path.read_bytes())
    del values["sha256"]
    path.write_bytes(atomic.checksummed_json({**values, **changes}))


def refused(work: Callable[[], Any], *words: str) -> None:
    with pytest.raises(ForetokenError) as refusal:
        work()
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


@pytest.mark.parametrize(("which", "witness"), [("a small run", "both"), ("the target", MARK), ("the target", SEALS)])
def test_an_edited_record_is_refused_by_readers_and_made_anew_by_run(
    which: str, witness: str, folder: Path, whole: Path
) -> None:
    design = read_design(folder)
    assert design
    path = Store(folder).record_path(design.target.key if which == "the target" else design.runs[0].key)
    resealed(path, loss=0.99)
    for name in {MARK, SEALS} - {witness} if witness != "both" else ():
        (folder / name).unlink()
    for read in (lambda: status(folder), lambda: report(folder), lambda: read_table(folder), Store(folder).records):
        refused(read, str(path), "edited")
    gone = {} if (folder / SEALS).exists() else {folder / SEALS: "remake"}
    assert {found.path: found.remedy for found in verify(folder)} == {path: "set aside", **gone}
    assert {row.path for row in dry_run(tiny.tiny_study(), folder).mend} == {path, *gone}
    watch = Watch(lambda text: None)
    run(tiny.tiny_study(), folder, watch)
    assert any(str(path) in note and "edited" in note for note in watch.notes)
    assert Store(folder).table().digest == Store(whole).table().digest
    assert json.loads(path.with_name("record.json.corrupt").read_bytes())["loss"] == 0.99
    assert not verify(folder)


def test_records_are_sealed_while_the_study_runs(tmp_path: Path, whole: Path) -> None:
    def stop(text: str) -> None:
        if text == "fitting":
            raise KeyboardInterrupt

    home = tmp_path / "tiny"
    with pytest.raises(KeyboardInterrupt):
        run(tiny.tiny_study(), home, Watch(stop))
    records = Store(home).records()
    path = Store(home).record_path(records[0].spec.key)
    resealed(path, loss=0.99)
    (found,) = verify(home)
    assert (found.path, found.remedy) == (path, "set aside")
    tiny.run(home)
    assert Store(home).table().digest == Store(whole).table().digest


@pytest.mark.parametrize("witness", ["both", MARK, SEALS])
@pytest.mark.parametrize(
    ("name", "changes"),
    [("*-0.9.json", {"loss": 1.0}), ("*.outcome.json", {"error": 0.0}), ("*.begun", {"began_at": "2020-01-01"})],
    ids=str,
)
def test_an_edited_file_of_the_ledger_is_refused_by_all(
    name: str, changes: dict[str, Any], witness: str, folder: Path
) -> None:
    (path,) = (folder / "ledger").glob(name)
    resealed(path, **changes)
    for gone in {MARK: [folder / "ledger" / SEALS], SEALS: [folder / MARK]}.get(witness, []):
        gone.unlink()
    mark = (folder / MARK).read_bytes() if (folder / MARK).exists() else None
    study = tiny.tiny_study()
    assert all(found.remedy == "refuse" for found in verify(folder))
    assert str(path) in " ".join(f"{found.path} {found.problem}" for found in verify(folder))
    for read in (lambda: status(folder), lambda: report(folder), lambda: run(study, folder)):
        refused(read, path.name)
    assert ((folder / MARK).read_bytes() if (folder / MARK).exists() else None) == mark


@pytest.mark.parametrize("name", ["*-0.9.json", "*.outcome.json", "*.begun"])
def test_a_file_of_the_ledger_that_is_gone_is_missed(name: str, folder: Path) -> None:
    (path,) = (folder / "ledger").glob(name)
    path.unlink()
    for mark in (True, False):
        if not mark:
            (folder / MARK).unlink()
        assert {found.remedy for found in verify(folder)} == {"refuse"}
        refused(lambda: run(tiny.tiny_study(), folder), path.name, "lost" if mark else "left out")


@pytest.fixture
def before_the_freeze(folder: Path) -> Path:
    """The folder of a study that was stopped between its fit and its forecast."""
    design = read_design(folder)
    assert design
    unseal(folder, [record_name(design.target.key)])
    shutil.rmtree(Store(folder).branch_folder(design.target.key))
    shutil.rmtree(folder / "ledger")
    return folder


def test_an_edited_fit_is_never_frozen(before_the_freeze: Path, whole: Path) -> None:
    path = before_the_freeze / "fit.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "status": "edited"}))
    run(tiny.tiny_study(), before_the_freeze)
    assert json.loads(path.read_bytes())["status"] != "edited"
    (mine,), (theirs,) = (Ledger.read(home / "ledger").lines for home in (before_the_freeze, whole))
    assert mine.entry.forecast == theirs.entry.forecast


def test_what_is_pruned_is_not_missed(folder: Path) -> None:
    store, design = Store(folder), read_design(folder)
    assert design
    old = replace(design.target, seed=99)
    store.put_record(RunRecord(spec=old, status="finished", loss=1.0))
    store.seal_records()
    assert [thing.path.name for thing in prune(folder, old_runs=True)] == [old.key]
    assert not verify(folder)


def test_another_version_goes_on_to_the_same_table_and_score(before_the_freeze: Path, whole: Path) -> None:
    study = tiny.tiny_study()
    with patch.object(runner, "__version__", "9.9"), patch("foretoken.training.train.__version__", "9.9"):
        result, before = run(study, before_the_freeze), status(whole)
        assert runner.StudyRunner(study, before_the_freeze).is_finished()
    assert not runner.StudyRunner(study, before_the_freeze).is_finished()
    assert result.outcome
    assert before.outcome
    assert (result.outcome.loss, result.outcome.error) == (before.outcome.loss, before.outcome.error)
    assert Store(before_the_freeze).table().digest == Store(whole).table().digest
    assert {record.version for record in Store(before_the_freeze).records()} == {"9.9", runner.__version__}
    assert not verify(before_the_freeze)


def test_a_study_that_an_earlier_version_could_never_score_is_scored(folder: Path) -> None:
    """It had no chain, and the clock was set back after the freeze: its target began before its forecast."""
    (line,) = Ledger.read(folder / "ledger").lines
    shutil.rmtree(folder / "ledger")
    for name in (MARK, SEALS):
        (folder / name).unlink()
    later = replace(line.entry, frozen_at="2100-01-01T00:00:00+00:00", uptime=None, since=None, follows=None)
    atomic.write_file(folder / "ledger" / later.name, atomic.checksummed_json(later.to_json()))
    result = tiny.run(folder)
    assert result["outcome"]["error"] == (line.outcome.error if line.outcome else None)
    assert result["outcome"]["order"] == "not known to be frozen before the run"
    assert "by the clocks the run of" in " ".join(Ledger.read(folder / "ledger").clock)
    assert not verify(folder)


def test_another_machine_goes_on_with_the_target_of_the_first(folder: Path) -> None:
    study = tiny.tiny_study()
    free = study.model_copy(update={"launch": study.launch.model_copy(update={"target_threads": 0})})
    elsewhere = runner.StudyRunner(free, folder)
    elsewhere.machine = Machine(cores=64, memory_bytes=2**40, processor="another", bfloat16=False)
    assert elsewhere.target_threads == 1
    anew = runner.StudyRunner(free, folder.parent / "new")
    anew.machine = elsewhere.machine
    assert anew.target_threads == 64


def test_a_link_that_leads_back_to_itself_is_told(folder: Path) -> None:
    for name in ("fit.json", "approach3.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(name)
    assert any("link" in finding.problem for finding in verify(folder))
    assert status(folder).counts.finished


def test_the_seals_are_no_file_of_somebody_else(folder: Path) -> None:
    (folder / SEALS).write_bytes((folder / SEALS).read_bytes()[:-3])
    (found,) = verify(folder)
    assert (found.path, found.remedy) == (folder / SEALS, "set aside")
    tiny.run(folder)
    assert not verify(folder)
    (folder / "ledger" / SEALS).write_bytes(b"{}")
    with pytest.raises(StoreError, match="seals"):
        tiny.run(folder)
