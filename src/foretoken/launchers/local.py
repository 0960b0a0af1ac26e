"""Jobs on this machine: one process per worker, longest jobs first, nothing shared but pipes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from foretoken.errors import ForetokenError
from foretoken.store.atomic import writing

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ATTEMPTS = 2
"""How often a job is given to a worker before its death is taken for the job's fault."""
CHECK_SECONDS = 1.0
"""Time after which `check` is called at the latest."""


@dataclass(frozen=True)
class Job:
    """One call of the launched function."""

    name: str
    argument: dict[str, Any]
    """Plain values: they travel as JSON."""
    seconds: float
    """Estimate; longer jobs start first."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with a result, with an error's text, or stopped (both None)."""

    name: str
    result: Any = None
    error: str | None = None
    fatal: bool = False
    """Whether the error is not the job's own (a full disk, say), so that the other jobs were stopped."""


class _Worker:
    """A process and the job that it has."""

    def __init__(self, function: str, threads: int, log: Path, inbox: SimpleQueue[tuple[_Worker, Any]]) -> None:
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        with writing(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            errors = open(log, "ab")  # noqa: SIM115
        with errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "foretoken.launchers.worker", function],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self.job: Job | None = None
        self.reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
        self.reader.start()

    def send(self, message: dict[str, Any]) -> None:
        """Write one line to the worker; a dead worker is noticed by its reader."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """Close the worker's input, which ends it, and wait."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.reader.join()

    def _read(self, inbox: SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self.process.stdout
        with self.process.stdout as answers, contextlib.suppress(ValueError):  # half a line: it died while writing
            for line in answers:
                inbox.put((self, json.loads(line)))
        inbox.put((self, {"kind": "dead", "code": self.process.wait()}))


def launch(
    function: str,
    jobs: Sequence[Job],
    *,
    workers: int,
    threads: int,
    log: Path,
    on_event: Callable[[str, dict[str, Any]], None] = lambda job, event: None,
    check: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Call `function` ("package.module:name", taking argument, report, stop) for each job; see `Outcome`.

    `on_event(job, event)` is called in this thread with what the jobs report, and with `{"started": True}` first.
    A worker that dies gets its job tried once more, by a fresh one; one whose job raised is not used again.
    `check` is called now and then and may raise. On KeyboardInterrupt, and on any ForetokenError, the jobs are asked to
    stop and save; what was raised here is raised again when they have.
    """
    return _Launch(function, jobs, workers, threads, log, on_event, check).run()


class _Launch:
    def __init__(
        self,
        function: str,
        jobs: Sequence[Job],
        workers: int,
        threads: int,
        log: Path,
        on_event: Callable[[str, dict[str, Any]], None],
        check: Callable[[], None],
    ) -> None:
        self.function, self.threads, self.log, self.on_event, self.check = function, threads, log, on_event, check
        self.waiting = sorted(jobs, key=lambda job: job.seconds)
        self.count = min(workers, len(jobs))
        self.attempts: dict[str, int] = {}
        self.inbox: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()
        self.workers: list[_Worker] = []
        self.started: list[_Worker] = []
        self.outcomes: list[Outcome] = []

    def run(self) -> list[Outcome]:
        try:
            for _ in range(self.count):
                self._start_worker()
            self._serve()
        except (KeyboardInterrupt, ForetokenError):
            self._stop()
            raise
        finally:
            self._end()
        return self.outcomes

    def _serve(self) -> None:
        while self.workers and (self.waiting or any(worker.job for worker in self.workers)):
            self.check()
            try:
                worker, message = self.inbox.get(timeout=CHECK_SECONDS)
            except Empty:
                continue
            getattr(self, f"_on_{message['kind']}")(worker, message)

    def _start_worker(self) -> None:
        worker = _Worker(self.function, self.threads, self.log, self.inbox)
        self.workers.append(worker)
        self.started.append(worker)

    def _give(self, worker: _Worker) -> None:
        if self.waiting:
            job = self.waiting.pop()
            worker.send({"name": job.name, "argument": job.argument})
            worker.job = job
            self.on_event(job.name, {"started": True})

    def _on_ready(self, worker: _Worker, message: dict[str, Any]) -> None:
        self._give(worker)

    def _on_event(self, worker: _Worker, message: dict[str, Any]) -> None:
        self.on_event(message["job"], message["event"])

    def _on_done(self, worker: _Worker, message: dict[str, Any]) -> None:
        self._finish(worker, Outcome(message["job"], result=message["result"]))

    def _on_error(self, worker: _Worker, message: dict[str, Any]) -> None:
        self.outcomes.append(Outcome(message["job"], error=message["error"], fatal=message["fatal"]))
        worker.job = None
        self.workers.remove(worker)
        worker.end()
        if message["fatal"]:
            self.waiting.clear()
            self._stop()
        elif self.waiting:
            self._start_worker()

    def _finish(self, worker: _Worker, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        worker.job = None
        self._give(worker)

    def _on_dead(self, worker: _Worker, message: dict[str, Any]) -> None:
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        job = worker.job
        if job is not None:
            self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
            if self.attempts[job.name] < ATTEMPTS:
                self.waiting.append(job)
            else:
                text = f"the worker died twice (exit code {message['code']}); its output is in {self.log}"
                self.outcomes.append(Outcome(job.name, error=text))
        elif message["code"]:
            text = f"a worker could not start (exit code {message['code']}); its output is in {self.log}"
            self.outcomes += [Outcome(waiting.name, error=text) for waiting in self.waiting]
            self.waiting.clear()
        if self.waiting:
            self._start_worker()

    def _stop(self) -> None:
        busy = [worker for worker in self.workers if worker.job]
        for worker in busy:
            worker.send({"stop": True})
        while any(worker.job for worker in busy):
            worker, message = self.inbox.get()
            if message["kind"] in ("done", "error", "dead"):
                worker.job = None
            if message["kind"] == "error":
                self.outcomes.append(Outcome(message["job"], error=message["error"], fatal=message["fatal"]))

    def _end(self) -> None:
        for worker in self.started:
            worker.end()
