"""A worker of a cluster, started as SLURM starts it, and its driver's side: files are all that they share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from foretoken.launchers import array_worker, slurm_worker
from foretoken.launchers.array_worker import OVER, PULSE, ArrayWorker
from foretoken.launchers.launcher import Job, Note
from foretoken.launchers.mailbox import Mailbox
from foretoken.launchers.messages import Assign, Beat, Dead, Done, Halt, Left, Message, Ready, Reported, Serve
from foretoken.launchers.slurm import Home, _newest_lives, end_leftovers
from foretoken.launchers.slurm_commands import State
from foretoken.launchers.slurm_worker import SlurmWorker
from foretoken.launchers.worker_state import Patience

HERE = Path(__file__).parent
SECONDS = 60.0


class Process:
    """A worker's process, and the driver's end of its files."""

    def __init__(self, folder: Path, life: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "foretoken.launchers.array_worker", str(folder), str(folder.parent / "log")]
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
        self.said: list[Message] = []
        self.life = folder / f"life-{life}"
        self.box = Mailbox(self.life / "to_driver")

    def tell(self, message: Message) -> None:
        Mailbox(self.life / "to_worker").write(message)

    def hear(self, kind: type[Message]) -> Message:
        last = time.monotonic() + SECONDS
        while not (found := [message for message in self.said if isinstance(message, kind)]):
            assert time.monotonic() < last, (self.folder_log, self.said)
            self.said += self.box.read()
            os.sched_yield()
        return found[-1]

    @property
    def folder_log(self) -> str:
        return (self.life.parent.parent / "log").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "worker-0000"


def test_jobs_come_and_answers_go_through_files_until_the_driver_has_no_more(folder: Path) -> None:
    worker = Process(folder)
    worker.hear(Beat)
    worker.tell(Serve("jobs_for_tests:square"))
    worker.hear(Ready)
    worker.tell(Assign("a", {"x": 3}))
    assert worker.hear(Done) == Done("a", 9)
    assert isinstance(worker.hear(Reported), Reported)
    (folder.parent / PULSE).write_text(OVER)
    assert worker.hear(Left)
    assert worker.process.wait(SECONDS) == 0
    assert "stray print" in worker.folder_log


@pytest.mark.parametrize("number", array_worker.LEAVING)
def test_a_signal_saves_the_job_and_the_next_life_begins_anew(number: signal.Signals, folder: Path) -> None:
    worker, mark = Process(folder), folder.parent / "mark"
    worker.hear(Beat)
    worker.tell(Serve("jobs_for_tests:wait_for_stop"))
    worker.hear(Ready)
    worker.tell(Assign("a", {"mark": str(mark)}))
    worker.hear(Reported)
    worker.process.send_signal(number)
    assert worker.hear(Left) == Left(number.name)
    assert worker.process.wait(SECONDS) == 0
    assert mark.exists()
    # What came of the job is not said: only another look at its folder can tell whether it was finished.
    assert not any(isinstance(message, Done) for message in worker.said)
    if number is signal.SIGTERM:
        again = Process(folder, life=1)
        again.hear(Beat)
        again.process.terminate()
        assert again.process.wait(SECONDS) == 0


def test_a_worker_that_is_alone_finishes_its_job_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_worker, "ALONE_SECONDS", -1.0)
    monkeypatch.setattr(array_worker, "LOOK_SECONDS", 0.0)
    handlers = {number: signal.getsignal(number) for number in array_worker.LEAVING}
    (tmp_path / "worker").mkdir()
    worker = ArrayWorker(tmp_path / "worker")
    monkeypatch.setattr(array_worker, "beat", lambda say, seconds: None)
    worker.run()
    (message,) = Mailbox(tmp_path / "worker" / "life-0" / "to_driver").read()
    assert isinstance(message, Left)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Submitted:
    """A job of submitit's: its state is what the test says."""

    job_id = "7"

    def __init__(self) -> None:
        self.state, self.cancelled = "PENDING", 0

    def cancel(self, check: bool = True) -> None:
        self.cancelled += 1

    def of(self, name: str, since: float) -> State:
        return State(self.state, time.monotonic())


@pytest.fixture
def submitted() -> Submitted:
    return Submitted()


@pytest.fixture
def worker(folder: Path, submitted: Submitted, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmWorker]:
    monkeypatch.setattr(slurm_worker, "LOOK_SECONDS", 0.001)
    folder.mkdir()
    worker = SlurmWorker(folder, submitted, submitted.of, 15, 1, folder.parent / "log", SimpleQueue())
    yield worker
    submitted.state = "CANCELLED"
    worker.listener.join(SECONDS)


def begin(worker: SlurmWorker, number: int) -> Mailbox:
    """A life of the worker, as its process would begin it; the driver's messages in it."""
    life = worker.folder / f"life-{number}"
    life.mkdir()
    Mailbox(life / "to_driver").write(Ready())
    assert next_said(worker) == Ready()
    return Mailbox(life / "to_worker")


def next_said(worker: SlurmWorker) -> Message | Dead:
    return worker.inbox.get(timeout=SECONDS)[1]


def test_a_requeued_worker_leaves_and_comes_back(worker: SlurmWorker, submitted: Submitted) -> None:
    never = Patience(without_beat=-1.0)
    worker.serve("m:f", worker.inbox)
    assert worker.trouble(never) is None  # it may wait in the queue for days
    submitted.state = "RUNNING"
    assert begin(worker, 0).read() == [Serve("m:f")]
    assert worker.trouble(never)
    submitted.state = "PENDING"
    assert isinstance(next_said(worker), Left)
    worker.send(Assign("a", {}))  # nobody is there: nothing is written
    submitted.state = "RUNNING"
    assert begin(worker, 1).read() == [Serve("m:f")]
    worker.send(Halt())
    assert Mailbox(worker.folder / "life-1" / "to_worker").read() == [Serve("m:f"), Halt()]


@pytest.mark.parametrize(("state", "blameless"), [("FAILED", False), ("OUT_OF_MEMORY", False), ("NODE_FAIL", True)])
def test_how_it_ended_says_whether_the_job_may_be_to_blame(
    state: str, blameless: bool, worker: SlurmWorker, submitted: Submitted
) -> None:
    submitted.state = "RUNNING"
    begin(worker, 0)
    submitted.state = state
    dead = next_said(worker)
    assert dead == worker.dead()
    assert dead == Dead(1, f"its job 7 has ended: {state}", blameless)


def test_a_folder_that_two_machines_see_differently_is_told(
    worker: SlurmWorker, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_worker, "UNSEEN_SECONDS", 0.0)
    submitted.state = "RUNNING"
    dead = next_said(worker)
    assert isinstance(dead, Dead)
    assert "is that folder shared?" in dead.told
    assert submitted.cancelled


def test_what_a_killed_driver_has_left_is_told_to_end(tmp_path: Path) -> None:
    home = Home(tmp_path / "slurm")
    home.close.detach()  # as when its process is killed
    (home.new_worker() / "life-0").mkdir()
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert (home.folder / PULSE).read_text() == OVER
    again = Home(tmp_path / "slurm")
    assert (again.folder / PULSE).read_text() != OVER
    again.close()
    assert (again.folder / PULSE).read_text() == OVER


def test_the_tenth_life_of_a_worker_comes_after_the_ninth(tmp_path: Path) -> None:
    home = Home(tmp_path / "slurm")
    home.close()
    worker = home.new_worker()
    for number in (2, 9, 10):
        (worker / f"life-{number}").mkdir()
        Mailbox(worker / f"life-{number}" / "to_driver").write(Ready())
    assert _newest_lives(home.folder) == [worker / "life-10" / "to_driver"]
    Mailbox(worker / "life-10" / "to_driver").write(Left("over"))
    assert _newest_lives(home.folder) == []


def test_small_files_go_when_the_workers_have_left_and_what_the_others_printed_stays(tmp_path: Path) -> None:
    home = Home(tmp_path / "slurm")
    home.close()
    folder = home.folder
    lives = [home.new_worker() / "life-0" for _ in range(2)]
    home.new_worker()  # one that never began
    for life in lives:
        life.mkdir()
    (folder / "7_0_submitted.pkl").touch()
    (folder / "7_0_log.err").write_text("out of memory")
    Mailbox(lives[0] / "to_driver").write(Left("over"))
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert all(life.is_dir() for life in lives)  # the second may live yet
    os.utime(folder / PULSE, (0, 0))
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert sorted(path.name for path in folder.iterdir()) == ["7_0_log.err", PULSE]
    lives[1].mkdir(parents=True)
    Mailbox(lives[1] / "to_driver").write(Left("over"))
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert not folder.exists()


def test_a_worker_that_left_and_was_requeued_is_not_swept(tmp_path: Path) -> None:
    home = Home(tmp_path / "slurm")
    home.close()
    worker = home.new_worker()
    for number, said in enumerate((Left("over"), Beat())):
        life = worker / f"life-{number}"
        life.mkdir()
        Mailbox(life / "to_driver").write(said)
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert (worker / "life-1").is_dir()
    (worker / "life-1" / "to_driver").rename(tmp_path / "to_driver")  # as it is when a life begins
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert (worker / "life-1").is_dir()
    (tmp_path / "to_driver").rename(worker / "life-1" / "to_driver")
    Mailbox(worker / "life-1" / "to_driver").write(Left("over"))
    end_leftovers(tmp_path / "slurm", in_queue=False)
    assert not worker.exists()


def test_half_a_line_is_left_for_the_next_look(tmp_path: Path) -> None:
    writer, reader = Mailbox(tmp_path / "box"), Mailbox(tmp_path / "box")
    assert reader.read() == []
    writer.write(Reported("a", Note("b")))
    with open(tmp_path / "box", "ab") as file:
        file.write(b'{"kind": "re')
    assert reader.read() == [Reported("a", Note("b"))]
    assert reader.read() == []
    with open(tmp_path / "box", "ab") as file:
        file.write(b'ady"}\n')
    assert reader.read() == [Ready()]


def test_the_job_of_a_worker_is_its_driver_s_affair(worker: SlurmWorker) -> None:
    worker.job = Job("a", {}, 1.0)
    assert worker.fits(1, worker.log)
    assert not worker.fits(2, worker.log)
