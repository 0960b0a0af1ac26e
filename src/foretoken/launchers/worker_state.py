"""A worker as a launch sees it, wherever it runs: the job that it has, when it was heard of, how to speak to it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from foretoken.launchers.launcher import Job
from foretoken.launchers.messages import Beat, Dead, Message, Serve


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


class Worker(ABC):
    """Something that does one job after another elsewhere, and the job that it has."""

    def __init__(self, threads: int, log: Path, inbox: Inbox) -> None:
        self.threads, self.log, self.inbox = threads, log, inbox
        self.gpus = 0.0
        """Those that its jobs have."""
        self.ready, self.was_idle = False, False
        """Whether it has imported what it serves, and whether it has waited between two launches."""
        self.job: Job | None = None
        self.heard = self.told = time.monotonic()
        """When it last gave a sign of life, and last reported of its job."""
        self.usual = 0.0
        """The longest time between two reports of its job, seconds."""

    def fits(self, threads: int, log: Path) -> bool:
        """Whether it can take the jobs of a launch: it lives, with so many threads, and prints to this log."""
        return self.dead() is None and (self.threads, self.log) == (threads, log)

    def serve(self, function: str, inbox: Inbox) -> None:
        """Ask it to import the function that the next jobs are for; it answers into this inbox."""
        self.ready, self.inbox = False, inbox
        self.excuse()
        self.send(Serve(function))
        # One that died while it waited told that to nobody who listens now.
        if dead := self.dead():
            inbox.put((self, dead))

    def hear(self, message: Message) -> None:
        """Take what it says; called by the thread that listens to it."""
        self.heard = time.monotonic()
        if not isinstance(message, Beat):
            self.inbox.put((self, message))

    def trouble(self, patience: Patience) -> str | None:
        """Why nothing is to be expected of it any more; None while it is well."""
        quiet = time.monotonic() - self.heard
        return f"it gave no sign of life for {quiet:.0f} s" if quiet >= patience.without_beat else None

    def waits_for(self) -> str | None:
        """What keeps it from beginning, where it is in a queue; None where it has a place."""
        return None

    def excuse(self) -> None:
        """Begin anew to count seconds: the driver itself stood still meanwhile, and could not listen."""
        self.heard = self.told = time.monotonic()

    @abstractmethod
    def dead(self) -> Dead | None:
        """How it has ended; None while it lives, or waits for a place."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Have something said to it, without waiting; that it is dead is noticed by whoever listens to it."""

    @abstractmethod
    def close(self) -> None:
        """Ask it to end, without waiting."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""

    @abstractmethod
    def end(self, patience: float) -> None:
        """Wait until it has ended; end it by force after so many seconds."""


Inbox = SimpleQueue[tuple[Worker, Message | Dead]]
StartWorkers = Callable[[int, int, float, Path, Inbox], Sequence[Worker]]
"""Starts so many workers, with so many threads and GPUs each, which print to a log and answer into an inbox; fewer
where there is no room for all of them now."""


def end_all(workers: list[Worker], patience: float = Patience.ending) -> None:
    """End workers, within so many seconds all together, and empty the list."""
    for worker in workers:
        worker.close()
    last = time.monotonic() + patience
    while workers:
        workers.pop().end(max(0.0, last - time.monotonic()))
