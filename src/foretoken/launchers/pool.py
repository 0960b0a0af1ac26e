"""What launchers with workers have in common: workers do the jobs of a queue, and wait for the next launch."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from foretoken.launchers.job_queue import JobQueue
from foretoken.launchers.launcher import Job, Machine, OnEvent, Outcome, go_on, ignore
from foretoken.launchers.worker_state import Inbox, Patience, Worker, end_all


class PoolLauncher(ABC):
    """A launcher whose workers are kept between launches; what they are, a subclass says."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self.idle: list[Worker] = []
        # A launcher that nobody closed ends its workers when it goes, and at the end of this process.
        weakref.finalize(self, end_all, self.idle)

    def launch(
        self,
        function: str,
        jobs: Sequence[Job],
        *,
        workers: int,
        threads: int,
        log: Path,
        on_event: OnEvent = ignore,
        check: Callable[[], None] = go_on,
    ) -> list[Outcome]:
        """See `Launcher.launch`. What the workers print goes into `log`.

        A worker that dies, or is killed because it stands still, gets its job tried once more, by a fresh one; one
        whose job raised is not used again.
        """
        queue = JobQueue(function, jobs, workers, threads, log, on_event, check, self.patience, self.start)
        usable = [worker for worker in self.idle if worker.fits(threads, log)]
        end_all([worker for worker in self.idle if worker not in usable], self.patience.ending)
        self.idle[:] = usable[queue.count :]
        outcomes = queue.run(usable[: queue.count])
        self.idle += [worker for worker in queue.workers if worker.ready]
        for worker in self.idle:
            worker.was_idle = True
        return outcomes

    def close(self) -> None:
        """End the workers that wait for another launch."""
        end_all(self.idle, self.patience.ending)

    @abstractmethod
    def start(self, count: int, threads: int, log: Path, inbox: Inbox) -> Sequence[Worker]:
        """Start so many workers, with so many threads each, which print to a log and answer into an inbox."""

    @abstractmethod
    def measure(self, log: Path) -> Machine:
        """See `Launcher.measure`."""
