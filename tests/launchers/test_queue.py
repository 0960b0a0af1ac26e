"""The local launcher's queue without processes: longest first, one retry after a death, a fatal error ends the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.launchers import Job, Outcome, local
from foretoken.launchers.launcher import Event, Note, Released, Started, go_on
from foretoken.launchers.messages import Assign, Dead, Done, Failed, Message, Ready, Reported
from foretoken.launchers.worker_state import Patience


class Scripted:
    """Stands for a worker process: answers each job at once, by what its name begins with."""

    gpus = 0.0

    def __init__(self, threads: int, log: Path, inbox: Inbox, more: Mapping[str, str]) -> None:
        self.threads, self.log, self.inbox = threads, log, inbox
        self.job, self.ended, self.ready, self.was_idle = None, False, False, False
        self.usual = self.told = 0.0
        everyone.append(self)

    def fits(self, threads: int, log: Path) -> bool:
        return (self.threads, self.log) == (threads, log)

    def serve(self, function: str, inbox: Inbox) -> None:
        self.inbox, self.ready = inbox, False
        inbox.put((self, Ready() if function != "missing" else Dead(1)))

    def send(self, message: Message) -> None:
        assert isinstance(message, Assign)
        given_out.append(message.job)
        kind = message.job[0]
        answers: dict[str, Message] = {
            "d": Done(message.job, message.argument_json),
            "f": Failed(message.job, "ValueError", fatal=False),
            "x": Failed(message.job, "no space left", fatal=True),
            "k": Dead(-9),
            "o": Done(message.job, None) if given_out.count(message.job) > 1 else Dead(-9),
        }
        self.inbox.put((self, Reported(message.job, Note("at work"))))
        self.inbox.put((self, answers[kind]))

    def trouble(self, patience: Patience) -> str | None:
        return None

    def close(self) -> None:
        self.ended = True

    def end(self, patience: float) -> None:
        assert self.ended


Inbox = SimpleQueue[tuple[Scripted, Message]]
everyone: list[Scripted] = []
given_out: list[str] = []


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "WorkerProcess", Scripted)


def launch(
    names: list[str], workers: int = 1, seconds: list[float] | None = None, function: str = "f:f"
) -> tuple[list[Outcome], list[tuple[str, Event]]]:
    everyone.clear()
    given_out.clear()
    events: list[tuple[str, Event]] = []
    times = seconds or [float(-k) for k in range(len(names))]
    jobs = [Job(name, {"x": name}, time) for name, time in zip(names, times, strict=True)]
    launcher = local.LocalLauncher()
    outcomes = launcher.launch(
        function,
        jobs,
        workers=workers,
        threads=1,
        log=Path("log"),
        on_event=lambda job, event: events.append((job, event)),
        check=go_on,
    )
    launcher.close()
    assert all(worker.ended for worker in everyone)
    return outcomes, events


@settings(max_examples=40, deadline=None)
@given(seconds=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=12), workers=st.integers(1, 5))
def test_the_longest_jobs_are_given_out_first_and_each_once(seconds: list[float], workers: int) -> None:
    names = [f"d{k}" for k in range(len(seconds))]
    outcomes, events = launch(names, workers, seconds)
    by_name = dict(zip(names, seconds, strict=True))
    times = [by_name[name] for name in given_out]
    assert times == sorted(times, reverse=True)
    assert sorted(given_out) == sorted(names) == sorted(outcome.name for outcome in outcomes)
    assert all(outcome.result_json == {"x": outcome.name} for outcome in outcomes)
    assert len(everyone) == min(workers, len(names))
    for name in names:
        own = [event for job, event in events if job == name]
        assert own == [Started(), Note("at work"), Released()]


def test_a_job_that_raised_is_its_own_error_and_gets_a_fresh_worker_for_the_rest() -> None:
    outcomes, _ = launch(["d1", "f1", "d2", "f2", "d3"])
    assert [(outcome.name, outcome.error) for outcome in outcomes] == [
        ("d1", None), ("f1", "ValueError"), ("d2", None), ("f2", "ValueError"), ("d3", None)
    ]  # fmt: skip
    assert not any(outcome.fatal for outcome in outcomes)
    assert len(everyone) == 3


def test_a_fatal_error_leaves_the_rest_undone() -> None:
    outcomes, _ = launch(["d1", "x1", "d2", "d3"])
    assert [(outcome.name, outcome.fatal) for outcome in outcomes] == [("d1", False), ("x1", True)]
    assert given_out == ["d1", "x1"]


def test_a_worker_that_dies_once_gets_its_job_done_by_another() -> None:
    outcomes, events = launch(["o1", "d1"])
    assert {outcome.name: outcome.error for outcome in outcomes} == {"o1": None, "d1": None}
    assert given_out.count("o1") == 2
    assert [job for job, event in events if event == Started()].count("o1") == 2


def test_a_worker_that_dies_twice_is_told_with_its_exit_code() -> None:
    outcomes, _ = launch(["k1", "d1"])
    errors = {outcome.name: outcome.error for outcome in outcomes}
    assert given_out.count("k1") == 2
    assert errors["d1"] is None
    assert errors["k1"]
    assert "died twice (exit code -9)" in errors["k1"]


def test_a_function_that_cannot_be_loaded_fails_every_job() -> None:
    outcomes, events = launch(["d1", "d2", "d3"], function="missing")
    assert sorted(outcome.name for outcome in outcomes) == ["d1", "d2", "d3"]
    assert all(outcome.error and "could not start (exit code 1)" in outcome.error for outcome in outcomes)
    assert events == []
    assert given_out == []


def test_workers_wait_for_the_next_launch_with_as_many_threads() -> None:
    everyone.clear()
    given_out.clear()
    launcher = local.LocalLauncher()

    def processes(function: str, threads: int, *names: str) -> int:
        """How many processes there have been when these jobs are done."""
        jobs = [Job(name, {"x": name}, 1.0) for name in names]
        outcomes = launcher.launch(function, jobs, workers=2, threads=threads, log=Path("log"))
        assert {outcome.name for outcome in outcomes} == set(names)
        return len(everyone)

    assert processes("f:calibrate", 1, "d1", "d2") == 2
    assert processes("f:train", 1, "d1", "d2", "d3") == 2
    assert processes("f:train", 1, "f1", "d2") == 2  # the other took the job that was left
    assert processes("f:train", 1, "d1", "d2") == 3  # the one that raised is not used again
    assert processes("f:train", 4, "d1") == 4
    assert [worker.ended for worker in everyone] == [True, True, True, False]
    launcher.close()
    assert everyone[-1].ended


def test_without_jobs_no_worker_is_started() -> None:
    assert launch([], workers=4) == ([], [])
    assert everyone == []
