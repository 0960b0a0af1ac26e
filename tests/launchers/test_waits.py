"""Nothing waits for ever: workers that stand still, say nothing, die before they are ready, or do not save."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from foretoken.launchers import Job, LocalLauncher, Outcome, pool
from foretoken.launchers.launcher import Event, Note, Silent
from foretoken.launchers.messages import Assign
from foretoken.launchers.worker_process import WorkerProcess
from foretoken.launchers.worker_state import Patience, end_all

HERE = Path(__file__).parent
SHORT = Patience(stopped=0.1, saving=0.1, ending=0.5)
LONG = Patience(stopped=600, without_beat=600, saving=600)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]))


class Told:
    """What a launch tells; the first pid that a job reports is given to `then`."""

    def __init__(self, then: Callable[[int], None] = lambda pid: None, at: str = "") -> None:
        self.notes: list[str] = []
        self.pid, self.then, self.at = 0, then, at

    def __call__(self, job: str, event: Event) -> None:
        text = event.text if isinstance(event, Note) else "silent" if isinstance(event, Silent) else ""
        if text.isdigit():
            self.pid = int(text)
            self.then(self.pid)
        elif text:
            self.notes.append(text)
            if self.at and self.at in text:
                raise KeyboardInterrupt


def launch(function: str, told: Told, log: Path, patience: Patience, *jobs: Job) -> list[Outcome]:
    launcher = LocalLauncher(patience)
    outcomes = launcher.launch(function, jobs, workers=1, threads=1, log=log, on_event=told)
    launcher.close()
    return outcomes


def interrupt(pid: int) -> None:
    raise KeyboardInterrupt


def stop_and_interrupt(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    raise KeyboardInterrupt


def is_left(pid: int) -> bool:
    """Whether our child has not been waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("always", [False, True])
def test_a_job_of_a_worker_that_stands_still_is_tried_again_then_told(always: bool, tmp_path: Path) -> None:
    told, argument = Told(), {"mark": str(tmp_path / "mark"), "always": always}
    (outcome,) = launch("jobs_for_tests:stand_still_once", told, tmp_path / "log", SHORT, Job("a", argument, 1.0))
    assert outcome.result_json == (None if always else "alive")
    assert ("died twice (it stood still for 0 s, stopped by a signal)" in (outcome.error or "")) == always
    (note,) = told.notes
    assert "stood still" in note


@pytest.mark.parametrize("always", ["", "1"])
@pytest.mark.parametrize("by", ["SIGSTOP", "SIGKILL"])
def test_a_worker_lost_before_it_is_ready_is_started_again_then_told(
    by: str, always: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MARK": str(tmp_path / "mark"), "ALWAYS": always, "BY": by}.items():
        monkeypatch.setenv(f"LOST_{name}", value)
    jobs = [Job("a", {}, 1.0), Job("b", {}, 2.0)]
    outcomes = launch("lost_at_import:job", Told(), tmp_path / "log", SHORT, *jobs)
    assert sorted(outcome.name for outcome in outcomes) == ["a", "b"]
    why = "stopped by a signal" if by == "SIGSTOP" else "exit code -9"
    for outcome in outcomes:
        assert outcome.result_json == (None if always else "alive")
        assert not always or (
            outcome.error and f"could not start ({why}" in outcome.error.replace("it stood still for 0 s, ", "")
        )


def test_a_worker_without_a_sign_of_life_is_given_up(tmp_path: Path) -> None:
    told = Told()
    (outcome,) = launch("jobs_for_tests:say_pid", told, tmp_path / "log", Patience(without_beat=0.0), Job("a", {}, 1.0))
    assert outcome.error
    assert "no sign of life" in outcome.error


def test_a_driver_that_stood_still_itself_takes_no_worker_for_lost(tmp_path: Path) -> None:
    worker = WorkerProcess(1, tmp_path / "log", SimpleQueue())
    os.kill(worker.process.pid, signal.SIGSTOP)
    worker.moved -= 1e6
    worker.heard -= 1e6
    worker.excuse()
    assert worker.trouble(Patience()) is None
    while not worker._stands_still():  # a signal is on its way for a moment
        os.sched_yield()
    worker.moved -= 1e6
    assert "stood still" in (worker.trouble(Patience()) or "")
    worker.send(Assign("a", {"x": "y" * 2**20}))  # more than a pipe holds: nobody waits until it is read
    end_all([worker], 0.0)
    assert worker.process.returncode == -signal.SIGKILL


def test_a_silent_job_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SILENT_TIMES", 0)
    told, patience = Told(at="silent"), Patience(without_report=0.0, stopped=0.05, saving=0.0)
    with pytest.raises(KeyboardInterrupt):
        launch("jobs_for_tests:say_pid", told, tmp_path / "log", patience, Job("a", {}, 1.0))
    assert told.notes[0] == "silent"


@pytest.mark.parametrize(
    ("then", "patience", "end"),
    [
        (interrupt, SHORT, "not saved within 0 s"),
        (stop_and_interrupt, Patience(stopped=0.1, saving=600), "could not save: it stood still"),
    ],
)
def test_an_interrupt_waits_for_the_save_and_not_for_ever(
    then: Callable[[int], None], patience: Patience, end: str, tmp_path: Path
) -> None:
    told = Told(then)
    with pytest.raises(KeyboardInterrupt):
        launch("jobs_for_tests:say_pid", told, tmp_path / "log", patience, Job("a", {}, 1.0))
    assert "until the workers have saved" in told.notes[0]
    assert end in told.notes[1]
    assert not is_left(told.pid)


@pytest.mark.parametrize("then", [interrupt, stop_and_interrupt])
def test_a_second_interrupt_ends_all_at_once(then: Callable[[int], None], tmp_path: Path) -> None:
    told = Told(then, at="until the workers have saved")
    with pytest.raises(KeyboardInterrupt):
        launch("jobs_for_tests:say_pid", told, tmp_path / "log", LONG, Job("a", {}, 1.0))
    assert not is_left(told.pid)
