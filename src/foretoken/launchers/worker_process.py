"""A worker's process as its driver sees it: started, listened to, watched and ended; no wait is without a bound."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue

from foretoken.compute.hardware import idle_cores
from foretoken.launchers.messages import Dead, Message, from_line, to_line
from foretoken.launchers.worker_state import Inbox, Patience, Worker
from foretoken.store.atomic import writing

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ASLEEP, SPINNING = {"OMP_WAIT_POLICY": "passive"}, {"GOMP_SPINCOUNT": "1000"}
"""How threads wait for one another. Where other work runs they sleep: spinning, they would burn the cores that it
needs, and each other's. Where cores are idle they spin for some microseconds first, without which two threads can be
slower than one (docs/journal.md)."""


class WorkerProcess(Worker):
    """A process and the job that it has. `more` is what it finds in its environment beside what this process has."""

    def __init__(self, threads: int, log: Path, inbox: Inbox, more: Mapping[str, str] | None = None) -> None:
        super().__init__(threads, log, inbox)
        environment = {**os.environ, **thread_environment(threads), **(more or {})}
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
        self.moved = time.monotonic()
        """When it was last seen not to stand still."""
        self.outbox: SimpleQueue[Message | None] = SimpleQueue()
        # A thread to read and one to write: the driver must not wait for a pipe that nobody empties.
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def dead(self) -> Dead | None:
        """Its exit code, once it has one."""
        code = self.process.poll()
        return None if code is None else Dead(code)

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
        return super().trouble(patience)

    def excuse(self) -> None:
        """Begin anew to count seconds: the driver itself stood still meanwhile, and could not listen."""
        super().excuse()
        self.moved = time.monotonic()

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
                self.hear(from_line(line))
        self.inbox.put((self, Dead(self.process.wait())))

    def _write(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError), self.process.stdin as tasks:
            while (message := self.outbox.get()) is not None:  # whoever ends the worker puts the None
                tasks.write(to_line(message))
                tasks.flush()


def thread_environment(threads: int) -> dict[str, str]:
    """What a process that trains with so many threads must find in its environment, wherever it runs."""
    return {**_waiting(threads), **dict.fromkeys(THREAD_VARIABLES, str(threads))}


def _waiting(threads: int) -> dict[str, str]:
    """How the threads of a worker that starts now wait for each other (no result depends on it), if the user says
    nothing.
    """
    if any(name in os.environ for name in (*ASLEEP, *SPINNING)):
        return {}
    return SPINNING if threads > 1 and idle_cores() > threads - 0.5 else ASLEEP
