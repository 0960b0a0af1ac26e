"""A worker's process as its driver sees it: started, listened to, watched and ended; no wait is without a bound."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from foretoken.compute.hardware import idle_cores
from foretoken.launchers.launcher import Job
from foretoken.launchers.messages import Beat, Dead, Message, Serve, from_line, to_line
from foretoken.store.atomic import writing

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ASLEEP, SPINNING = {"OMP_WAIT_POLICY": "passive"}, {"GOMP_SPINCOUNT": "1000"}
"""How threads wait for one another. Where other work runs they sleep: spinning, they would burn the cores that it
needs, and each other's. Where cores are idle they spin for some microseconds first, without which two threads can be
slower than one (docs/journal.md)."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds after which something is done about a worker; all by the driver's own clock."""

    stopped: float = 5.0
    """That it may stand still, stopped by a signal; one that was stopped with its driver goes on with it."""
    without_beat: float = 120.0
    """That it may give no sign of life, as when the machine is out of memory or a library holds all threads."""
    without_report: float = 20.0
    """That its job reports nothing before it is called silent, at the least."""
    saving: float = 30.0
    """That it is waited for when it was asked to save."""
    ending: float = 2.0
    """That it may take to end by itself; then it is killed."""


class WorkerProcess:
    """A process and the job that it has."""

    def __init__(self, threads: int, log: Path, inbox: Inbox) -> None:
        self.threads, self.log, self.inbox = threads, log, inbox
        self.ready, self.was_idle = False, False
        """Whether it has imported what it serves, and whether it has waited between two launches."""
        environment = {**_waiting(threads), **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        with writing(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            errors = open(log, "ab")  # noqa: SIM115
        with errors:
            # A session of its own: Ctrl-C reaches the driver alone, which then asks the workers to save.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "foretoken.launchers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self.job: Job | None = None
        self.heard = self.moved = self.told = time.monotonic()
        """When it last gave a sign of life, was last seen not to stand still, and last reported of its job."""
        self.usual = 0.0
        """The longest time between two reports of its job, seconds."""
        self.outbox: SimpleQueue[Message | None] = SimpleQueue()
        # A thread to read and one to write: the driver must not wait for a pipe that nobody empties.
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def fits(self, threads: int, log: Path) -> bool:
        """Whether it can take the jobs of a launch: it lives, with so many threads, and prints to this log."""
        return self.process.poll() is None and (self.threads, self.log) == (threads, log)

    def serve(self, function: str, inbox: Inbox) -> None:
        """Ask it to import the function that the next jobs are for; it answers into this inbox."""
        self.ready, self.inbox = False, inbox
        self.excuse()
        self.send(Serve(function))
        # One that died while it waited told that to nobody who listens now.
        if self.process.poll() is not None:
            inbox.put((self, Dead(self.process.returncode)))

    def send(self, message: Message) -> None:
        """Have one line written to the worker; a dead worker is noticed by its reader."""
        self.outbox.put(message)

    def trouble(self, patience: Patience) -> str | None:
        """Why nothing is to be expected of it any more; None while it is well."""
        now = time.monotonic()
        if not self._stands_still():
            self.moved = now
        if now - self.moved >= patience.stopped:
            return f"it stood still for {now - self.moved:.0f} s, stopped by a signal"
        if now - self.heard >= patience.without_beat:
            return f"it gave no sign of life for {now - self.heard:.0f} s"
        return None

    def excuse(self) -> None:
        """Begin anew to count seconds: the driver itself stood still meanwhile, and could not listen."""
        self.heard = self.moved = self.told = time.monotonic()

    def _stands_still(self) -> bool:
        """Whether a signal has stopped it, as the kernel says to its parent; False where there is no such question."""
        if not hasattr(os, "waitid"):
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        return False

    def close(self) -> None:
        """Close the worker's input, which ends it."""
        self.outbox.put(None)

    def kill(self) -> None:
        """End it at once, also where it stands still."""
        self.process.kill()

    def end(self, patience: float) -> None:
        """Wait until it has ended; kill it after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0 if self._stands_still() else patience)
            return
        self.kill()
        # A process that waits for a dead disk outlives even that, until the disk answers.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(Patience.ending)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as answers, contextlib.suppress(ValueError):  # half a line: it died while writing
            for line in answers:
                message, self.heard = from_line(line), time.monotonic()
                if not isinstance(message, Beat):
                    self.inbox.put((self, message))
        self.inbox.put((self, Dead(self.process.wait())))

    def _write(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError), self.process.stdin as tasks:
            while (message := self.outbox.get()) is not None:  # whoever ends the worker puts the None
                tasks.write(to_line(message))
                tasks.flush()


Inbox = SimpleQueue[tuple[WorkerProcess, Message | Dead]]


def end_all(workers: list[WorkerProcess], patience: float = Patience.ending) -> None:
    """End workers, within so many seconds all together, and empty the list."""
    for worker in workers:
        worker.close()
    last = time.monotonic() + patience
    while workers:
        workers.pop().end(max(0.0, last - time.monotonic()))


def _waiting(threads: int) -> dict[str, str]:
    """How the threads of a worker that starts now wait for each other (no result depends on it), if the user says
    nothing.
    """
    if any(name in os.environ for name in (*ASLEEP, *SPINNING)):
        return {}
    return SPINNING if threads > 1 and idle_cores() > threads - 0.5 else ASLEEP
