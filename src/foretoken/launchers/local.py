"""Jobs on this machine: one process per worker, kept between launches, longest jobs first, nothing shared but pipes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from foretoken.compute.hardware import available_cores, available_memory, has_bfloat16, processor_name
from foretoken.errors import ForetokenError
from foretoken.launchers.launcher import Job, Machine, OnEvent, Outcome, Started, go_on, ignore
from foretoken.launchers.messages import (
    Assign,
    Dead,
    Done,
    Failed,
    Halt,
    Message,
    Ready,
    Reported,
    Serve,
    from_line,
    to_line,
)
from foretoken.store.atomic import writing

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
WAITING = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait for one another sleep: spinning, they would burn the cores that other work needs, and on a busy
machine each other's (docs/journal.md). What the user has set stays."""
ATTEMPTS = 2
"""How often a job is given to a worker before its death is taken for the job's fault."""
CHECK_SECONDS = 1.0
"""Time after which `check` is called at the latest."""


class LocalLauncher:
    """Worker processes on this machine. They wait for the next launch, since starting one takes seconds (torch)."""

    def __init__(self) -> None:
        self.idle: list[_Worker] = []
        # A launcher that nobody closed ends its workers when it goes, and at the end of this process.
        weakref.finalize(self, _end, self.idle)

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

        A worker that dies gets its job tried once more, by a fresh one; one whose job raised is not used again.
        """
        launch = _Launch(function, jobs, workers, threads, log, on_event, check)
        usable = [worker for worker in self.idle if worker.fits(threads, log)]
        _end([worker for worker in self.idle if worker not in usable])
        self.idle[:] = usable[launch.count :]
        outcomes = launch.run(usable[: launch.count])
        self.idle += [worker for worker in launch.workers if worker.ready]
        for worker in self.idle:
            worker.was_idle = True
        return outcomes

    def close(self) -> None:
        """End the workers that wait for another launch."""
        _end(self.idle)

    def measure(self, log: Path) -> Machine:
        """The cores and the memory that this process and its children may use."""
        return Machine(
            cores=available_cores(),
            memory_bytes=available_memory(),
            processor=processor_name(),
            bfloat16=has_bfloat16(),
        )


def _end(workers: list[_Worker]) -> None:
    """End idle workers, and empty the list."""
    while workers:
        workers.pop().end()


class _Worker:
    """A process and the job that it has."""

    def __init__(self, threads: int, log: Path, inbox: _Inbox) -> None:
        self.threads, self.log, self.inbox = threads, log, inbox
        self.ready, self.was_idle = False, False
        """Whether it has imported what it serves, and whether it has waited between two launches."""
        environment = {**WAITING, **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
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
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def fits(self, threads: int, log: Path) -> bool:
        """Whether it can take the jobs of a launch: it lives, with so many threads, and prints to this log."""
        return self.process.poll() is None and (self.threads, self.log) == (threads, log)

    def serve(self, function: str, inbox: _Inbox) -> None:
        """Ask it to import the function that the next jobs are for; it answers into this inbox."""
        self.ready, self.inbox = False, inbox
        self.send(Serve(function))
        # One that died while it waited told that to nobody who listens now.
        if self.process.poll() is not None:
            inbox.put((self, Dead(self.process.returncode)))

    def send(self, message: Message) -> None:
        """Write one line to the worker; a dead worker is noticed by its reader."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(to_line(message))
            self.process.stdin.flush()

    def end(self) -> None:
        """Close the worker's input, which ends it, and wait."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as answers, contextlib.suppress(ValueError):  # half a line: it died while writing
            for line in answers:
                self.inbox.put((self, from_line(line)))
        self.inbox.put((self, Dead(self.process.wait())))


_Inbox = SimpleQueue[tuple[_Worker, Message | Dead]]


class _Launch:
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
    ) -> None:
        self.function, self.threads, self.log, self.on_event, self.check = function, threads, log, on_event, check
        # Taken from the end: the longest first. That keeps the total time within 4/3 of the best order's (Graham 1969).
        self.waiting = sorted(jobs, key=lambda job: job.seconds)
        self.count = min(workers, len(jobs))
        self.attempts: dict[str, int] = {}
        # One queue for all readers, so that messages are handled in one thread and in the order in which they came.
        self.inbox: _Inbox = SimpleQueue()
        self.workers: list[_Worker] = []
        """Those that may be given jobs."""
        self.started: list[_Worker] = []
        """All processes, to be waited for at the end."""
        self.outcomes: list[Outcome] = []

    def run(self, idle: list[_Worker]) -> list[Outcome]:
        """Do the jobs, with workers that wait for some before new ones; those that are left wait in `workers`."""
        done = False
        try:
            for worker in idle:
                self._take(worker)
            for _ in range(len(idle), self.count):
                self._start_worker()
            self._serve()
            done = True
        except (KeyboardInterrupt, ForetokenError):
            self._stop()
            raise
        finally:
            for worker in self.started:
                if not (done and worker in self.workers and worker.ready):
                    worker.end()
        return self.outcomes

    def _serve(self) -> None:
        while self.workers and (self.waiting or any(worker.job for worker in self.workers)):
            self.check()
            try:
                worker, message = self.inbox.get(timeout=CHECK_SECONDS)
            except Empty:
                continue
            self._handle(worker, message)

    def _handle(self, worker: _Worker, message: Message | Dead) -> None:
        match message:
            case Ready():
                worker.ready = True
                self._give(worker)
            case Reported(job, event):
                self.on_event(job, event)
            case Done(job, result):
                self.outcomes.append(Outcome(job, result_json=result))
                worker.job = None
                self._give(worker)
            case Failed():
                self._replace_after_failure(worker, message)
            case Dead(code):
                self._replace_dead(worker, code)

    def _start_worker(self) -> None:
        self._take(_Worker(self.threads, self.log, self.inbox))

    def _take(self, worker: _Worker) -> None:
        self.workers.append(worker)
        self.started.append(worker)
        worker.serve(self.function, self.inbox)

    def _give(self, worker: _Worker) -> None:
        if self.waiting:
            job = self.waiting.pop()
            worker.send(Assign(job.name, job.argument_json))
            worker.job = job
            self.on_event(job.name, Started())

    def _replace_after_failure(self, worker: _Worker, failed: Failed) -> None:
        """A process in which something was raised may hold anything (memory, half a network): use a fresh one."""
        self.outcomes.append(Outcome(failed.job, error=failed.error, fatal=failed.fatal))
        worker.job = None
        self.workers.remove(worker)
        worker.end()
        if failed.fatal:
            self.waiting.clear()
            self._stop()
        elif self.waiting:
            self._start_worker()

    def _replace_dead(self, worker: _Worker, code: int) -> None:
        # One that was replaced after a failure ends too, and its end is no news.
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        job = worker.job
        if job is not None:
            self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
            if self.attempts[job.name] < ATTEMPTS:
                self.waiting.append(job)
            else:
                text = f"the worker died twice (exit code {code}); its output is in {self.log}"
                self.outcomes.append(Outcome(job.name, error=text))
        elif code and not worker.was_idle:
            text = f"a worker could not start (exit code {code}); its output is in {self.log}"
            self.outcomes += [Outcome(waiting.name, error=text) for waiting in self.waiting]
            self.waiting.clear()
        if self.waiting:
            self._start_worker()

    def _stop(self) -> None:
        """Ask the busy workers to save and end, and wait until they have, however long a checkpoint takes."""
        busy = [worker for worker in self.workers if worker.job]
        for worker in busy:
            worker.send(Halt())
        while any(worker.job for worker in busy):
            worker, message = self.inbox.get()
            if isinstance(message, Done | Failed | Dead):
                worker.job = None
            if isinstance(message, Failed):
                self.outcomes.append(Outcome(message.job, error=message.error, fatal=message.fatal))
