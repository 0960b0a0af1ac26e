"""The local launcher's queue without processes: longest first, one retry after a death, a fatal error ends the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.hardware import Device
from foretoken.errors import ForetokenError
from foretoken.launchers import Job, Outcome, local, pool
from foretoken.launchers.launcher import Event, Note, Released, Started, go_on
from foretoken.launchers.messages import Assign, Dead, Done, Failed, Message, Ready, Reported
from foretoken.launchers.worker_state import Patience


class Scripted:
    """Stands for a worker process: answers each job at once, by what its name begins with."""

    gpus = 0.0

    def __init__(self, threads: int, log: Path, inbox: Inbox, more: Mapping[str, str]) -> None:
        self.more, self.death = dict(more), None
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
        self.death = answers[kind] if isinstance(answers[kind], Dead) else None
        self.inbox.put((self, answers[kind]))

    def trouble(self, patience: Patience) -> str | None:
        return None

    @property
    def devices(self) -> list[str]:
        return self.more.get("CUDA_VISIBLE_DEVICES", "").split(",") if self.more else []

    def dead(self) -> Dead | None:
        return Dead(0) if self.ended else self.death

    def waits_for(self) -> str | None:
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


def room(
    gpus: list[float], seconds: list[float], devices: int, workers: int = 99
) -> list[tuple[str, dict[str, float]]]:
    """What is given out by and by where each job has so many GPUs: its name, and how much of each device is taken."""
    everyone.clear()
    given_out.clear()
    jobs = [Job(f"d{k}", {}, time, share) for k, (share, time) in enumerate(zip(gpus, seconds, strict=True))]
    launcher = local.LocalLauncher(find=lambda: [Device(str(number)) for number in range(devices)])
    seen: list[tuple[str, dict[str, float]]] = []

    def note(name: str, event: Event) -> None:
        if event == Started():
            used: Counter[str] = Counter()
            for worker in everyone:
                for device in worker.devices if not worker.ended else ():
                    used[device] += min(1.0, worker.gpus)  # type: ignore[assignment]
            seen.append((name, dict(used)))

    outcomes = launcher.launch("f:f", jobs, workers=workers, threads=1, log=Path("log"), on_event=note)
    launcher.close()
    assert sorted(outcome.name for outcome in outcomes if not outcome.error) == sorted(job.name for job in jobs)
    return seen


@settings(max_examples=60, deadline=None)
@given(
    jobs=st.lists(st.tuples(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0]), st.floats(0, 1e6)), min_size=1, max_size=14),
    devices=st.integers(3, 5),
    workers=st.integers(1, 9),
)
def test_jobs_with_unlike_numbers_of_gpus_are_all_done_and_no_gpu_is_overfull(
    jobs: list[tuple[float, float]], devices: int, workers: int
) -> None:
    seen = room([share for share, _ in jobs], [time for _, time in jobs], devices, workers)
    assert all(share <= 1.0 + 1e-9 for _, used in seen for share in used.values())
    # the longest of each class first
    for share in {share for share, _ in jobs}:
        times = [jobs[int(name[1:])][1] for name, _ in seen if jobs[int(name[1:])][0] == share]
        assert times == sorted(times, reverse=True)


def test_a_job_with_many_gpus_is_not_kept_waiting_by_shorter_ones() -> None:
    # two shares hold both devices while the long job with two of them waits: they give way, and it comes next
    names = [name for name, _ in room([0.5, 0.5, 0.5, 0.5, 0.5, 2.0], [9, 8, 7, 6, 1, 5], 2)]
    assert names.index("d5") < names.index("d4")


def test_workers_share_a_device_and_know_which() -> None:
    room([0.25] * 5, [1.0] * 5, 1)
    assert [worker.more for worker in everyone] == [{"CUDA_VISIBLE_DEVICES": "0"}] * 4
    room([2.0, 1.0], [2.0, 1.0], 3)
    assert [worker.more["CUDA_VISIBLE_DEVICES"] for worker in everyone] == ["0,1", "2"]


def test_a_device_is_free_when_its_worker_has_died() -> None:
    launcher = local.LocalLauncher(find=lambda: [Device("0")])
    everyone.clear()
    given_out.clear()
    outcomes = launcher.launch("f:f", [Job("o1", {}, 1.0, 1.0)], workers=1, threads=1, log=Path("log"))
    assert [outcome.error for outcome in outcomes] == [None]
    assert [worker.more["CUDA_VISIBLE_DEVICES"] for worker in everyone] == ["0", "0"]
    launcher.close()


def test_more_gpus_than_there_are_is_refused() -> None:
    launcher = local.LocalLauncher(find=lambda: [Device("0")])
    with pytest.raises(ForetokenError, match="fewer GPUs") as refused:
        launcher.launch("f:f", [Job("d1", {}, 1.0, 2.0)], workers=1, threads=1, log=Path("log"))
    assert refused.value.code == "no_room"


def test_what_may_not_start_is_left_and_shorter_ones_that_may_are_done() -> None:
    everyone.clear()
    given_out.clear()
    jobs = [Job(f"d{k}", {"x": k}, float(k)) for k in range(5)]
    launcher = local.LocalLauncher()
    outcomes = launcher.launch(
        "f:f", jobs, workers=2, threads=1, log=Path("log"), admit=lambda job: job.name not in ("d4", "d2")
    )
    assert given_out == ["d3", "d1", "d0"]
    assert {outcome.name for outcome in outcomes} == {"d3", "d1", "d0"}
    assert launcher.launch("f:f", jobs, workers=2, threads=1, log=Path("log"), admit=lambda job: False) == []
    launcher.close()


def test_a_wait_for_a_place_is_told_now_and_then_until_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class InQueue(Scripted):
        def serve(self, function: str, inbox: Inbox) -> None:
            self.inbox = inbox

        def waits_for(self) -> str | None:
            return f"{len(told)} before it"

    def listen(job: str, event: Event) -> None:
        if isinstance(event, Note) and "before it" in event.text:
            told.append(event.text)
            if len(told) == 3:
                everyone[0].inbox.put((everyone[0], Ready()))

    for name in ("TELL_SECONDS", "TELL_AGAIN_SECONDS"):
        monkeypatch.setattr(pool, name, 0.001)
    monkeypatch.setattr(local, "WorkerProcess", InQueue)
    everyone.clear()
    launcher = local.LocalLauncher(Patience(stopped=0.001))
    (outcome,) = launcher.launch(
        "f:f", [Job("d1", {}, 1.0)], workers=1, threads=1, log=Path("log"), on_event=listen, check=go_on
    )
    assert outcome.error is None
    assert [text.split(": ")[1].split(";")[0] for text in told] == ["0 before it", "1 before it", "2 before it"]
