"""A worker that SLURM starts: it and its driver speak through files of a shared folder, and no connection is open.

    worker-0003/            made by the driver
        life-0/             made by the worker when it starts; one that was requeued begins the next life
            to_worker       what the driver says (launchers/messages.py, JSON lines)
            to_driver       what the worker says

`python -m foretoken.launchers.array_worker FOLDER LOG`. On SIGUSR1, SIGUSR2 (the time limit is near) and SIGTERM (the
place is wanted for somebody else) the job saves and ends, and the worker leaves; near its time limit it is requeued.
When nothing shows that the driver lives, the worker finishes the job that it has, and ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from foretoken.launchers.mailbox import Mailbox
from foretoken.launchers.messages import Assign, Done, End, Failed, Halt, Left, Message, Ready, Serve
from foretoken.launchers.worker import Tasks, beat, do_jobs, print_into

LOOK_SECONDS = 0.5
"""Time between two looks for what the driver says."""
BEAT_SECONDS = 10.0
"""Time between two signs of life, of the worker and of its driver."""
ALONE_SECONDS = 300.0
"""Time without a sign of the driver's after which the worker takes itself to be alone."""
PULSE, OVER = "pulse", "over"
"""File of a launch's folder that its driver writes anew now and then, and what it holds when the launch is over."""
LEAVING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
REQUEUED_AFTER = (signal.SIGUSR1, signal.SIGUSR2)


class ArrayWorker:
    """One life of a worker."""

    def __init__(self, folder: Path) -> None:
        life = _begin_life(folder)
        self.pulse = folder.parent / PULSE
        self.driver, self.outbox = Mailbox(life / "to_worker"), Mailbox(life / "to_driver")
        self.tasks: Tasks = SimpleQueue()
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.signal: signal.Signals | None = None
        """What told it to leave."""
        self.is_alone = False
        self.is_busy = False

    def run(self) -> None:
        """Do jobs until the driver has no more, or the place is lost."""
        for number in LEAVING:
            signal.signal(number, self._leave)
        threading.Thread(target=beat, args=(self.say, BEAT_SECONDS), daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()
        do_jobs(self.tasks, self.answer, self.stop.is_set)
        self.say(Left(self.signal.name if self.signal else "the driver had no more for it"))
        if self.signal in REQUEUED_AFTER and not self.is_alone:
            requeue()

    def say(self, message: Message) -> None:
        """Tell the driver; on a full disk it hears nothing, and will take the worker for lost."""
        with self.lock, contextlib.suppress(Exception):
            self.outbox.write(message)

    def answer(self, message: Message) -> None:
        """Tell the driver what came of a task, unless the job was ended so that this worker can leave."""
        ended = isinstance(message, Done | Failed)
        if ended:
            self.is_busy = False
        # How far the job came nobody knows here: whoever gets it next finds it finished, or goes on with it.
        if not (ended and self.signal):
            self.say(message)
        if self.signal or (self.is_alone and isinstance(message, Done | Failed | Ready)):
            self.tasks.put(None)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number)
        self.stop.set()
        if not self.is_busy:
            self.tasks.put(None)

    def _listen(self) -> None:
        try:
            newest, since = b"", time.monotonic()
            while True:
                for message in self.driver.read():
                    self._take(message)
                pulse = _read(self.pulse)
                if pulse != newest:
                    newest, since = pulse, time.monotonic()
                if pulse == OVER.encode():
                    self._end()
                elif time.monotonic() - since > ALONE_SECONDS:
                    self.is_alone = True
                    if not self.is_busy:
                        self.tasks.put(None)
                time.sleep(LOOK_SECONDS)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _take(self, message: Message) -> None:
        match message:
            case Halt():
                self.stop.set()
            case End():
                self._end()
            case Serve() | Assign() as task:
                self.is_busy = isinstance(task, Assign) or self.is_busy
                self.tasks.put(task)

    def _end(self) -> None:
        self.stop.set()
        self.tasks.put(None)


def requeue() -> None:
    """Put the job of SLURM that this process is part of back into the queue; elsewhere, do nothing."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return
    job, array, task = (os.environ.get(f"SLURM_{name}") for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID"))
    if job:
        subprocess.run(["scontrol", "requeue", f"{array}_{task}" if array else job], check=False, timeout=60)


def _begin_life(folder: Path) -> Path:
    for number in itertools.count():
        with contextlib.suppress(FileExistsError):
            life = folder / f"life-{number}"
            life.mkdir()
            return life
    raise AssertionError  # itertools.count() has no end


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(100)
    except OSError:
        return b""


def main() -> None:
    """Serve the driver of a folder."""
    folder, log = Path(sys.argv[1]), Path(sys.argv[2])
    print_into(log)
    try:
        ArrayWorker(folder).run()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # not sys.exit, which would wait for whatever threads a job has left


if __name__ == "__main__":
    main()
