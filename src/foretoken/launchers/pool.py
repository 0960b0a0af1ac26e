"""What launchers with workers have in common: workers do the jobs of a queue, and wait for the next launch.

Processes here, actors of Ray and jobs of SLURM are workers alike (launchers/worker_state.py). A queue knows which
worker has which job, what they say and who is replaced: longest first, one retry after a death, a fatal error ends the
rest, and no wait is without a bound.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from foretoken.errors import ForetokenError
from foretoken.launchers.launcher import (
    Admit,
    Job,
    Machine,
    Note,
    OnEvent,
    Outcome,
    Released,
    Silent,
    Started,
    always,
    go_on,
    ignore,
)
from foretoken.launchers.messages import Assign, Dead, Done, Failed, Halt, Left, Message, Ready, Reported
from foretoken.launchers.worker_state import Inbox, Patience, StartWorkers, Worker, end_all

ATTEMPTS = 2
"""How often a job is given to a worker before its death is taken for the job's fault, and how often one is started in
vain before none is started any more."""
CHECK_SECONDS = 1.0
"""Time after which `check` is called at the latest."""
TELL_SECONDS, TELL_AGAIN_SECONDS = 5.0, 60.0
"""Time that no worker has had a place after which that is told, and told again."""
SILENT_TIMES = 10
"""A job is called silent when it has reported nothing for so many times the longest time between two of its reports."""


class JobQueue:
    """One call of `launch`: the jobs that wait, the workers, and how the jobs ended."""

    def __init__(
        self,
        function: str,
        jobs: Sequence[Job],
        workers: int,
        threads: int,
        log: Path,
        on_event: OnEvent,
        check: Callable[[], None],
        admit: Admit,
        patience: Patience,
        start: StartWorkers,
    ) -> None:
        self.admit = admit
        self.function, self.threads, self.log, self.on_event, self.check = function, threads, log, on_event, check
        self.patience, self.start, self.looked = patience, start, time.monotonic()
        self.tell_at = self.looked + TELL_SECONDS
        # Taken from the end: the longest first. That keeps the total time within 4/3 of the best order's (Graham 1969).
        self.waiting = sorted(jobs, key=lambda job: job.seconds)
        self.count = min(workers, len(jobs))
        self.attempts: dict[str, int] = {}
        self.vain_starts, self.lost = 0, "there is no room for it"
        """How many workers in a row could not start, and why the last one was lost."""
        # One queue for all readers, so that messages are handled in one thread and in the order in which they came.
        self.inbox: Inbox = SimpleQueue()
        self.workers: list[Worker] = []
        """Those that may be given jobs."""
        self.started: list[Worker] = []
        """All processes, to be waited for at the end."""
        self.outcomes: list[Outcome] = []

    def run(self, idle: list[Worker]) -> list[Outcome]:
        """Do the jobs, with workers that wait for some before new ones; those that are left wait in `workers`."""
        done = False
        try:
            for worker in idle:
                self._take(worker)
            self._fill()
            self._serve()
            done = True
        except (KeyboardInterrupt, ForetokenError):
            self._stop()
            raise
        finally:
            left = [worker for worker in self.started if not (done and worker in self.workers and worker.ready)]
            # What was to be saved is saved by now, or will not be.
            end_all(left, self.patience.ending if done else 0.0)
        return self.outcomes

    def wanted(self) -> Counter[float]:
        """How many workers with so many GPUs each the jobs that wait would have; those of the longest come first."""
        room = self.count - len(self.workers)
        coming = Counter(worker.gpus for worker in self.workers if not worker.ready)
        wanted: Counter[float] = Counter()
        for _, job in self._admitted() if room > 0 else ():
            if coming[job.gpus]:
                coming[job.gpus] -= 1
                continue
            wanted[job.gpus] += 1
            if wanted.total() == room:
                break
        return wanted

    def _serve(self) -> None:
        while self.workers and (any(worker.job for worker in self.workers) or any(self._admitted())):
            self.check()
            self._watch()
            with contextlib.suppress(Empty):
                self._handle(*self.inbox.get(timeout=min(CHECK_SECONDS, self.patience.stopped)))
        if not self.workers:
            text = f"a worker could not start ({self.lost}); its output is in {self.log}"
            self.outcomes += [Outcome(job.name, error=text) for _, job in self._admitted()]
            self.waiting.clear()

    def _watch(self) -> None:
        """Replace the workers of which nothing is to be expected, and tell which jobs are silent."""
        now, before = time.monotonic(), self.looked
        self.looked = now
        self._tell_queue(now)
        for worker in list(self.workers):
            if now - before > 3 * CHECK_SECONDS:
                worker.excuse()
            elif why := worker.trouble(self.patience):
                worker.kill()
                worker.end(self.patience.ending)  # only then is its place free
                self._replace_dead(worker, why)
            elif worker.job and now - worker.told > max(self.patience.without_report, SILENT_TIMES * worker.usual):
                self.on_event(worker.job.name, Silent(now - worker.told))

    def _tell_queue(self, now: float) -> None:
        """Say now and then why nothing is done, while no worker has a place."""
        reasons = [why for worker in self.workers if (why := worker.waits_for())]
        if not (self.waiting and reasons) or len(reasons) < len(self.workers):
            self.tell_at = now + TELL_SECONDS
        elif now > self.tell_at:
            text = f"nothing is trained yet: {reasons[0]}; Ctrl-C or `foretoken pause` ends the wait"
            self.on_event(self.waiting[-1].name, Note(text))
            self.tell_at = now + TELL_AGAIN_SECONDS

    def _handle(self, worker: Worker, message: Message | Dead) -> None:
        match message:
            case Ready():
                worker.ready, self.vain_starts = True, 0
                self._fill()
            case Reported(job, event):
                now = time.monotonic()
                worker.usual, worker.told = max(worker.usual, now - worker.told), now
                self.on_event(job, event)
            case Done(job, result):
                self.outcomes.append(Outcome(job, result_json=result))
                self._release(worker)
                self._fill()
            case Failed():
                self._replace_after_failure(worker, message)
            case Left(why):
                self._take_back(worker, why)
            case Dead():
                self._replace_dead(worker, message.told, blameless=message.blameless)

    def _fill(self) -> None:
        """Give a job to each worker that is free, and start workers for jobs that have none, the longest first."""
        for worker in [one for one in self.workers if one.ready and not one.job]:
            self._give(worker)
        if self.vain_starts < ATTEMPTS:
            for gpus, count in self.wanted().items():
                started = self.start(count, self.threads, gpus, self.log, self.inbox)
                for worker in started:
                    worker.gpus = gpus
                    self._take(worker)
                # Where there is no room for a job, shorter ones that would fit must not keep it from ever having it.
                if len(started) < count:
                    break

    def _take(self, worker: Worker) -> None:
        self.workers.append(worker)
        self.started.append(worker)
        worker.serve(self.function, self.inbox)

    def _give(self, worker: Worker) -> None:
        """Give the longest job that it can do to a worker; end the worker where others wait for its place."""
        chosen = None
        for index, job in self._admitted():
            if job.gpus == worker.gpus:
                chosen = index
                break
            # The longest of all, and nobody who could ever do it: this one gives way, and so does each that follows.
            if not any(one.gpus == job.gpus for one in self.workers):
                break
        else:
            if not any(self._admitted()):
                return  # it may be needed when the others have ended
        # What it holds (a GPU, a place in a partition) is what the next one waits for.
        if chosen is None:
            self.workers.remove(worker)
            end_all([worker], self.patience.ending)
            return
        job = self.waiting.pop(chosen)
        worker.send(Assign(job.name, job.argument_json))
        worker.job, worker.usual, worker.told = job, 0.0, time.monotonic()
        self.on_event(job.name, Started())

    def _admitted(self) -> Iterator[tuple[int, Job]]:
        """The jobs that wait and may start now, with their places in the queue, the longest first."""
        for index in range(len(self.waiting) - 1, -1, -1):
            if self.admit(self.waiting[index]):
                yield index, self.waiting[index]

    def _release(self, worker: Worker) -> None:
        if worker.job:
            self.on_event(worker.job.name, Released())
        worker.job = None

    def _replace_after_failure(self, worker: Worker, failed: Failed) -> None:
        """A process in which something was raised may hold anything (memory, half a network): use a fresh one."""
        self.outcomes.append(Outcome(failed.job, error=failed.error, fatal=failed.fatal))
        self._release(worker)
        self.workers.remove(worker)
        end_all([worker], self.patience.ending)
        if failed.fatal:
            self.waiting.clear()
            self._stop()
        else:
            self._fill()

    def _take_back(self, worker: Worker, why: str) -> None:
        """Give the job of a worker that must leave its place to another; it may come back itself, and be ready."""
        worker.ready = False
        if worker.job and worker in self.workers:
            self.waiting.append(worker.job)
            self.on_event(worker.job.name, Note(f"a worker had to leave ({why}): its runs go on elsewhere, or later"))
            self._release(worker)
            self._fill()

    def _replace_dead(self, worker: Worker, why: str, blameless: bool = False) -> None:
        # One that was replaced after a failure ends too, and its end is no news.
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        self.lost, job = why, worker.job
        self._release(worker)
        if job is not None:
            self.attempts[job.name] = self.attempts.get(job.name, 0) + (not blameless)
            if self.attempts[job.name] < ATTEMPTS:
                self.waiting.append(job)
                self.on_event(job.name, Note(f"a worker was lost ({why}): another one tries its runs again"))
            else:
                text = f"the worker died twice ({why}); its output is in {self.log}"
                self.outcomes.append(Outcome(job.name, error=text))
        elif not (worker.was_idle or blameless):
            self.vain_starts += 1
        self._fill()

    def _stop(self) -> None:
        """Ask the busy workers to save and end, and wait until they have, but not for ever."""
        busy = [worker for worker in self.workers if worker.job]
        for worker in busy:
            worker.send(Halt())
        seconds = self.patience.saving
        last = time.monotonic() + seconds
        self._tell(busy, f"waiting at most {seconds:.0f} s until the workers have saved; Ctrl-C ends them now")
        while any(worker.job for worker in busy) and (left := last - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                worker, message = self.inbox.get(timeout=min(left, CHECK_SECONDS, self.patience.stopped))
                if isinstance(message, Done | Failed | Dead):
                    worker.job = None
                if isinstance(message, Failed):
                    self.outcomes.append(Outcome(message.job, error=message.error, fatal=message.fatal))
            for worker in busy:
                if worker.job and (why := worker.trouble(self.patience)):
                    self._tell([worker], f"a worker could not save: {why}")
                    worker.job = None
                    self.workers.remove(worker)
        late = [worker for worker in busy if worker.job]
        self._tell(late, f"not saved within {seconds:.0f} s; what is not in a checkpoint is trained again")
        self.workers = [worker for worker in self.workers if worker not in late]

    def _tell(self, workers: list[Worker], text: str) -> None:
        """Something about the jobs of some workers, once; that it cannot be told, on a full disk, is no matter now."""
        job = next((worker.job for worker in workers if worker.job), None)
        with contextlib.suppress(ForetokenError):
            if job:
                self.on_event(job.name, Note(text))


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
        admit: Admit = always,
    ) -> list[Outcome]:
        """See `Launcher.launch`. What the workers print goes into `log`.

        A worker that dies, or is killed because it stands still, gets its job tried once more, by a fresh one; one
        whose job raised is not used again.
        """
        if jobs:
            self.prepare(jobs, workers, threads)
        queue = JobQueue(function, jobs, workers, threads, log, on_event, check, admit, self.patience, self.start)
        usable = [worker for worker in self.idle if worker.fits(threads, log)]
        wanted = queue.wanted()
        chosen = [worker for worker in usable if _is_one_of(wanted, worker.gpus)]
        # A GPU that an idle worker holds may be what a job waits for.
        kept = [worker for worker in usable if worker not in chosen and not worker.gpus]
        end_all([worker for worker in self.idle if worker not in [*chosen, *kept]], self.patience.ending)
        self.idle[:] = kept
        outcomes = queue.run(chosen)
        self.idle += [worker for worker in queue.workers if worker.ready]
        for worker in self.idle:
            worker.was_idle = True
        return outcomes

    def close(self) -> None:
        """End the workers that wait for another launch."""
        end_all(self.idle, self.patience.ending)

    def prepare(self, jobs: Sequence[Job], workers: int, threads: int) -> None:  # noqa: B027
        """Called before jobs are given out, and may raise; by default nothing is to be prepared."""

    @abstractmethod
    def start(self, count: int, threads: int, gpus: float, log: Path, inbox: Inbox) -> Sequence[Worker]:
        """Start workers, see `StartWorkers`."""

    @abstractmethod
    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        """See `Launcher.measure`."""


def _is_one_of(wanted: Counter[float], gpus: float) -> bool:
    """Whether another worker with so many GPUs is wanted, which is counted then."""
    is_wanted = wanted[gpus] > 0
    wanted[gpus] -= is_wanted
    return is_wanted
