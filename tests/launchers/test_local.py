from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foretoken.launchers import Job, LocalLauncher, Outcome, worker_process
from foretoken.launchers.launcher import Event, Note, Started

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]))


def jobs(*values: int, **more: Any) -> list[Job]:
    return [Job(str(x), {"x": x, **more}, seconds=float(x)) for x in values]


def launch(
    function: str, work: list[Job], home: Path, workers: int = 1, threads: int = 1, **settings: Any
) -> list[Outcome]:
    launcher, log = LocalLauncher(), home / "log"
    return launcher.launch(f"jobs_for_tests:{function}", work, workers=workers, threads=threads, log=log, **settings)


def results(outcomes: list[Outcome]) -> dict[str, Any]:
    return {outcome.name: outcome.result_json for outcome in outcomes if not outcome.error}


def test_results_events_threads_and_order(tmp_path: Path) -> None:
    events: list[tuple[str, Event]] = []
    outcomes = launch("square", jobs(1, 2, 3, 4), tmp_path, 2, 3, on_event=lambda *event: events.append(event))
    assert results(outcomes) == {"1": 1, "2": 4, "3": 9, "4": 16}
    notes = [event.text.split() for _, event in events if isinstance(event, Note)]
    assert {threads for _, threads, _ in notes} == {"3"}
    assert len({pid for pid, *_ in notes}) <= 2
    assert [job for job, event in events if event == Started()] == ["4", "3", "2", "1"]
    assert "stray print" in (tmp_path / "log").read_text()


def test_how_threads_wait_is_the_users_where_he_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert worker_process._waiting(2) == {}
    events: list[Event] = []
    launch("square", jobs(1), tmp_path, on_event=lambda _, event: events.append(event))
    (waiting,) = {event.text.split()[2] for event in events if isinstance(event, Note)}
    assert waiting == "active"


def test_threads_spin_where_cores_are_idle_and_sleep_where_other_work_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*worker_process.ASLEEP, *worker_process.SPINNING):
        monkeypatch.delenv(name, raising=False)
    spinning, asleep = worker_process.SPINNING, worker_process.ASLEEP
    for idle, threads, waiting in ((8.0, 8, spinning), (7.0, 8, asleep), (8.0, 1, asleep), (math.inf, 8, spinning)):
        monkeypatch.setattr(worker_process, "idle_cores", lambda idle=idle: idle)
        assert worker_process._waiting(threads) == waiting


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    outcomes = launch("fail", jobs(0, 1, 2), tmp_path)
    assert results(outcomes) == {"0": 0, "2": 2}
    (failed,) = [o for o in outcomes if o.error]
    assert "one is not allowed" in (failed.error or "")


@pytest.mark.parametrize("always", [False, True])
def test_a_killed_worker_is_replaced_once(always: bool, tmp_path: Path) -> None:
    work = [Job(str(n), {"mark": str(tmp_path / f"mark{n}"), "always": always and n == 0}, 1.0) for n in range(2)]
    outcomes = {outcome.name: outcome for outcome in launch("die_once", work, tmp_path)}
    assert outcomes["1"].result_json == "alive"
    assert ("died twice" in (outcomes["0"].error or "")) == always


def test_a_worker_that_cannot_start_is_told(tmp_path: Path) -> None:
    outcomes = LocalLauncher().launch("no_such_module:f", jobs(1, 2), workers=2, threads=1, log=tmp_path / "log")
    assert len(outcomes) == 2
    assert all("could not start" in (o.error or "") for o in outcomes)


def is_running(pid: int) -> bool:
    """Whether a process still works; one that has ended and waits for its parent does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_worker_serves_one_function_after_another(tmp_path: Path) -> None:
    launcher, events = LocalLauncher(), []
    for name in ("square", "fail", "square"):
        launcher.launch(
            f"jobs_for_tests:{name}", jobs(2), workers=1, threads=1, log=tmp_path / "log",
            on_event=lambda job, event: events.append(event),
        )  # fmt: skip
    (pid,) = {int(event.text.split()[0]) for event in events if isinstance(event, Note)}
    os.kill(pid, signal.SIGKILL)  # between two launches: another takes its place
    (outcome,) = launcher.launch("jobs_for_tests:square", jobs(3), workers=1, threads=1, log=tmp_path / "log")
    assert outcome.result_json == 9
    last = launcher.idle[0].process
    launcher.close()
    assert last.returncode is not None


DRIVER = """
import sys
from pathlib import Path
from foretoken.launchers import Job, LocalLauncher
folder = Path(sys.argv[1])
jobs = [Job(str(n), {"mark": str(folder / f"saved{n}")}, 1.0) for n in range(2)]
on_event = lambda job, event: print(event, flush=True)
try:
    launch = LocalLauncher().launch
    launch("jobs_for_tests:wait_for_stop", jobs, workers=2, threads=1, log=folder / "log", on_event=on_event)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_driver(how: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C lets the jobs save and end; a killed driver's workers end at once."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        waiting = 0
        while waiting < 2:
            waiting += "waiting" in driver.stdout.readline()
        workers = [int(pid) for pid in subprocess.check_output(["ps", "--ppid", str(driver.pid), "-o", "pid="]).split()]
        assert len(workers) == 2
        driver.send_signal(how)
        rest = driver.stdout.read()
    assert ("interrupted" in rest) == (how is signal.SIGINT)
    assert len(list(tmp_path.glob("saved*"))) == (2 if how is signal.SIGINT else 0)
    for pid in workers:
        while is_running(pid):
            os.sched_yield()
