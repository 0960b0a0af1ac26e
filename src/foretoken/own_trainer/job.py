"""One run of an own trainer: its command is started, tried again where it fails, read, and recorded."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foretoken._version import __version__
from foretoken.compute.hardware import processor_name
from foretoken.errors import ForetokenError
from foretoken.launchers.launcher import Ended, Note, Report, Step, Stop
from foretoken.own_trainer.process import Exit, end_group, run_command
from foretoken.own_trainer.result import CommandResult, read_result
from foretoken.runs.command import fill
from foretoken.runs.command_fields import values
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import KeepWeights, RunSpec
from foretoken.runs.trainer_section import TrainerSection
from foretoken.store import clock
from foretoken.store.atomic import delete_file, delete_folder, guarded, writing
from foretoken.store.store import Store
from foretoken.store.weights import is_kept

RUN = "foretoken.own_trainer.job:run_job"
LOOK_SECONDS = 0.1
"""Time between two looks for a result that has not come yet."""
OTHER_LENGTH = 0.01
"""Share by which the tokens that a command says it has trained may differ from those that were planned."""


class Stopped(Exception):
    """The user asked to stop; what the command has saved is there."""


@dataclass(frozen=True, kw_only=True)
class CommandJob:
    """A run, and where its command runs."""

    run: RunSpec
    trainer: TrainerSection
    folder: Path
    """The study's folder."""
    home: Path
    """The study file's folder."""
    environment: Mapping[str, str | None]
    """Variables that the command has otherwise than the worker: as its user has them, None where they are not set."""
    attempt: int | None = None
    gpus: float = 0.0
    """That the launcher gives to a run."""
    keep_weights: KeepWeights = "none"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run": self.run.to_json(),
            "trainer": self.trainer.model_dump(),
            "folder": str(self.folder),
            "home": str(self.home),
            "environment": dict(self.environment),
            "attempt": self.attempt,
            "gpus": self.gpus,
            "keep_weights": self.keep_weights,
        }

    @classmethod
    def from_json(cls, job_json: Mapping[str, Any]) -> CommandJob:
        """The inverse of `to_json`."""
        return cls(
            run=RunSpec.from_json(job_json["run"]),
            trainer=TrainerSection.model_validate(job_json["trainer"]),
            folder=Path(job_json["folder"]),
            home=Path(job_json["home"]),
            environment=dict(job_json["environment"]),
            attempt=job_json["attempt"],
            gpus=job_json["gpus"],
            keep_weights=job_json["keep_weights"],
        )


def run_job(argument_json: dict[str, Any], report: Report, stop: Stop) -> dict[str, str]:
    """Run the command of a `CommandJob` to a record; gives the run's status by its key."""
    job = CommandJob.from_json(argument_json)
    store = Store(job.folder, job.attempt)
    with guarded(store.check_owner):
        record = store.record(job.run.key)
        if record is None or record.has_failed:
            record = _OwnRun(job, store, report, stop).record()
            report(Ended(job.run.key, record.status, store.put_record(record)))
    return {job.run.key: record.status}


def words(trainer: TrainerSection, run: RunSpec, folder: Path, gpus: float = 0, goes_on: bool = False) -> list[str]:
    """The words of a run's command; `goes_on` fills {resume}. Raises ValueError for a field without a value."""
    known = values(run, folder, gpus)
    resume = fill(trainer.resume, known) if goes_on and trainer.resume else []
    return fill(trainer.command, known, {"resume": resume})


class _OwnRun:
    """The attempts at one run."""

    def __init__(self, job: CommandJob, store: Store, report: Report, stop: Stop) -> None:
        self.job, self.run, self.trainer, self.report, self.stop = job, job.run, job.trainer, report, stop
        self.place = store.own_folder(job.run.key).absolute()
        self.result_path = self.place / job.trainer.result
        self.pattern = re.compile(job.trainer.progress) if job.trainer.progress else None
        self.events: list[str] = []
        self.began = time.monotonic()

    def record(self) -> RunRecord:
        """Run the command, again where it fails, and say how it went. Raises Stopped."""
        with writing(self.place):
            self.place.mkdir(parents=True, exist_ok=True)
        started_at, problem = clock.now(), ""
        self.report(Step(self.run.key, 0, self.run.steps, None))
        for attempt in range(1, 2 + self.trainer.retries):
            result, problem = self._try()
            if result is not None:
                record = self._of_result(result, started_at)
                self._clear_checkpoints()
                return record
            self.events.append(f"attempt {attempt}: {problem.splitlines()[0]}")
            if attempt <= self.trainer.retries:
                self.report(Note(f"run {self.run.key[:8]}: {problem.splitlines()[0]}: it is tried again"))
        return self._record(started_at, error=problem)

    def _try(self) -> tuple[CommandResult | None, str]:
        """What one start of the command gives, or what went wrong."""
        before, goes_on = self._mark(), bool(self._checkpoints())
        if goes_on:
            self.events.append("resumed from a checkpoint of its own")
        ended = run_command(
            words(self.trainer, self.run, self.place, self.job.gpus, goes_on),
            self.job.home,
            self.place.with_name("command.log"),
            environment=self._environment(),
            on_line=self._listen,
            stop=self.stop,
            most_seconds=3600 * self.trainer.most_hours,
        )
        try:
            return self._read(ended, before)
        finally:
            end_group(ended.group)

    def _read(self, ended: Exit, before: tuple[int, int] | None) -> tuple[CommandResult | None, str]:
        """The result of a command that has ended, which may come late."""
        if ended.stopped:
            raise Stopped
        if not ended.went_well:
            return None, _told(ended, self.trainer.most_hours)
        last = time.monotonic() + self.trainer.wait_seconds
        problem = f"its command ended with exit code 0 and left no {self.trainer.result}"
        while True:
            if self._mark() not in (None, before):
                try:
                    return read_result(self.result_path, self.trainer.map, self.run.batch_tokens), ""
                except ForetokenError as error:  # it may still be written
                    problem = str(error)
            if time.monotonic() > last:
                return None, f"{problem}\n{ended.last_lines}"
            if self.stop():
                raise Stopped
            time.sleep(LOOK_SECONDS)

    def _environment(self) -> dict[str, str]:
        # The worker's own, as a cluster sets there which devices are whose; but its threads are bounded for our loop.
        variables: dict[str, str | None] = {**os.environ, **self.job.environment}
        return {name: value for name, value in variables.items() if value is not None}

    def _mark(self) -> tuple[int, int] | None:
        """What tells one writing of the result from another; None where there is none."""
        files = [self.result_path, *(self.result_path.rglob("*") if self.result_path.is_dir() else [])]
        try:
            states = [file.stat() for file in files]
        except OSError:
            return None
        return max(state.st_mtime_ns for state in states), sum(state.st_size for state in states)

    def _listen(self, line: str) -> None:
        found = self.pattern.search(line) if self.pattern else None
        if not found:
            return
        told = {name: _plain(text) for name, text in found.groupdict().items()}
        step, steps = told.get("step"), told.get("steps") or self.run.steps
        if step is None and (tokens := told.get("tokens")) is not None:
            step = tokens / self.run.batch_tokens
        if step is not None:
            self.report(Step(self.run.key, int(step), max(1, int(steps)), told.get("loss")))

    def _of_result(self, result: CommandResult, started_at: str) -> RunRecord:
        planned = self.run.tokens
        if result.tokens is not None and abs(result.tokens / planned - 1) > OTHER_LENGTH:
            told = f"it says it has trained {result.tokens:.0f} tokens, where {planned} were planned"
            return self._record(started_at, error=told)
        if result.loss <= 0:
            return self._record(started_at, error=f"its loss is {result.loss:g}; nats per token are above 0")
        finished, seconds = math.isfinite(result.loss), result.seconds or time.monotonic() - self.began
        return replace(
            self._record(started_at),
            status="finished" if finished else "diverged",
            loss=result.loss if finished else None,
            loss_se=result.loss_se,
            curve=result.curve,
            seconds=seconds,
            tokens_per_second=planned / seconds if seconds > 0 else None,
            device=result.device or processor_name(),
        )

    def _record(self, started_at: str, error: str | None = None) -> RunRecord:
        """A failed run, until it is known better."""
        return RunRecord(
            spec=self.run,
            status="failed",
            tokens_trained=self.run.tokens,
            seconds=time.monotonic() - self.began,
            device=processor_name(),
            started_at=started_at,
            finished_at=clock.now(),
            version=__version__,
            events=tuple(self.events),
            error=error,
        )

    def _checkpoints(self) -> list[Path]:
        """What the command has saved to go on from."""
        if not self.trainer.checkpoint:
            return []
        return [path for path in sorted(self.place.glob(self.trainer.checkpoint)) if not path.is_symlink()]

    def _clear_checkpoints(self) -> None:
        if is_kept(self.run, self.job.keep_weights):
            return
        for path in self._checkpoints():
            delete_folder(path) if path.is_dir() else delete_file(path)


def _told(ended: Exit, most_hours: float) -> str:
    if ended.code is None:
        return ended.last_lines
    why = f"its command took more than {most_hours:g} hours" if ended.too_long else _code(ended.code)
    return f"{why}\n{ended.last_lines}" if ended.last_lines else why


def _code(code: int) -> str:
    return f"its command was ended by signal {-code}" if code < 0 else f"its command ended with exit code {code}"


def _plain(text: str | None) -> float | None:
    """A number as people print it: 1,000."""
    try:
        number = float((text or "").replace(",", "").replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
