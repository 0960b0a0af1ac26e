"""A worker of SLURM's as its driver sees it: submitted, listened to through files, cancelled."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from foretoken.errors import ForetokenError
from foretoken.launchers.array_worker import LEAVING
from foretoken.launchers.mailbox import Mailbox
from foretoken.launchers.messages import Dead, End, Left, Message, Serve
from foretoken.launchers.slurm_commands import BLAMELESS, ENDED, WAITING, State
from foretoken.launchers.worker_process import thread_environment
from foretoken.launchers.worker_state import Inbox, Patience, Worker

LOOK_SECONDS = 0.5
"""Time between two looks for what a worker says."""
UNSEEN_SECONDS = 180.0
"""Time that a worker may run before the driver sees anything of it: then they do not share their folder."""


class SubmittedJob(Protocol):
    """A job of submitit's, as far as it is needed here."""

    job_id: str

    def cancel(self, check: bool = True) -> None:
        """Ask that it be ended."""


def become_worker(started_in: str, folder: str, log: str, threads: int) -> None:
    """Make of this process a worker with so many threads. What submitit calls where the job runs.

    Its own process, not a child: SLURM's signals then reach it, and submitit's handlers and pickles are gone.
    """
    for number in LEAVING:
        signal.signal(number, signal.SIG_IGN)  # until the worker can take them
    os.chdir(started_in)
    command = [sys.executable, "-m", "foretoken.launchers.array_worker", folder, log]
    os.execve(sys.executable, command, {**os.environ, **thread_environment(threads)})


class SlurmWorker(Worker):
    """A job of SLURM's that takes jobs of ours; it may be requeued, and then lives again in the same folder."""

    def __init__(
        self,
        folder: Path,
        job: SubmittedJob,
        state: Callable[[str, float], State],
        minutes: float,
        threads: int,
        log: Path,
        inbox: Inbox,
    ) -> None:
        super().__init__(threads, log, inbox)
        self.folder, self.submitted, self.state_of, self.minutes = folder, job, state, minutes
        self.since = self.began = time.monotonic()
        """When it was submitted (or last seen to wait), and when its newest life was seen to begin."""
        self.state = State("PENDING", 0.0)
        self.life, self.has_left = -1, False
        """Number of its newest life, and whether it has left its place in that."""
        self.death: Dead | None = None
        self.function: str | None = None
        self.lock = threading.Lock()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def dead(self) -> Dead | None:
        """How it has ended; None while it lives, or waits in the queue."""
        return self.death

    def trouble(self, patience: Patience) -> str | None:
        """See `Worker.trouble`; one that waits in the queue may do so for ever."""
        waits = self.life < 0 or self.has_left or self.state.name in WAITING
        return None if waits else super().trouble(patience)

    def waits_for(self) -> str | None:
        """Its place in SLURM's queue."""
        if not (self.life < 0 or self.has_left) or self.state.name not in WAITING:
            return None
        why = f" ({self.state.reason})" if self.state.reason else ""
        return f"SLURM's job {self.submitted.job_id} is {self.state.name}{why}"

    def send(self, message: Message) -> None:
        """Write it where the worker looks; what it is to serve also to each later life."""
        with self.lock:
            if isinstance(message, Serve):
                self.function = message.function
            if self.life >= 0 and not self.has_left:
                self._mailbox("to_worker").write(message)

    def close(self) -> None:
        """Ask it to end."""
        try:
            self.send(End())
        except ForetokenError:  # a full disk: it is cancelled then
            self.kill()

    def kill(self) -> None:
        """Cancel it."""
        self.submitted.cancel(check=False)

    def end(self, patience: float) -> None:
        """Wait until it has said that it leaves; cancel it after so many seconds, at once where it has not begun."""
        last = time.monotonic() + patience
        while self.life >= 0 and not self.has_left and self.listener.is_alive() and time.monotonic() < last:
            self.listener.join(min(0.1, patience))
        if not self.death and not (self.has_left and self.state.name not in WAITING):
            self.kill()

    def _mailbox(self, name: str) -> Mailbox:
        return Mailbox(self.folder / f"life-{self.life}" / name)

    def _listen(self) -> None:
        box = self._mailbox("to_driver")
        while self.death is None:
            self.state = self.state_of(self.submitted.job_id, self.since)
            ended = self.state.name in ENDED
            for message in box.read():
                self._hear(message)
            if (self.folder / f"life-{self.life + 1}").is_dir():
                box = self._begin_life()
            elif ended:
                self.death = self._death()
            elif self._is_unseen():
                self.kill()
                self.death = Dead(1, f"it runs, and nothing of it is seen in {self.folder}: is that folder shared?")
            else:
                self._notice_requeued()
                time.sleep(LOOK_SECONDS)
        self.inbox.put((self, self.death))

    def _hear(self, message: Message) -> None:
        if isinstance(message, Left):
            self.has_left = True
        self.hear(message)

    def _begin_life(self) -> Mailbox:
        if self.life >= 0 and not self.has_left:
            self._hear(Left("its job was requeued"))
        with self.lock:
            self.life, self.has_left, self.began = self.life + 1, False, time.monotonic()
            self.excuse()
            if self.function:
                self._mailbox("to_worker").write(Serve(self.function))
        return self._mailbox("to_driver")

    def _notice_requeued(self) -> None:
        # What SLURM said before this life began is no news of it.
        if self.state.name in WAITING and self.state.asked > self.began:
            if self.life >= 0 and not self.has_left:
                self._hear(Left("its job was requeued"))
            self.since = time.monotonic()

    def _is_unseen(self) -> bool:
        quiet = time.monotonic() - self.since > UNSEEN_SECONDS
        return quiet and self.life < 0 and self.state.name not in WAITING

    def _death(self) -> Dead:
        name = self.state.name
        blameless = name in BLAMELESS or self.has_left
        if name in BLAMELESS:
            self.kill()  # SLURM might requeue it yet, and nobody would speak with it
        return Dead(1, f"its job {self.submitted.job_id} has ended: {name}", blameless)
