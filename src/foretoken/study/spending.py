"""What a study has taken over all attempts at it: counted while jobs run, kept in its folder, held against limits.

    spent.json      hours in which runs were trained; for each job the seconds, GPU-seconds and core-seconds that it
                    had with a worker

The driver counts every job that a worker has, whatever becomes of it, and writes the file every other second: a driver
that is killed loses no more than that. What its workers did without it counts when they leave a record.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foretoken.errors import LimitReachedError, StoreError
from foretoken.launchers.launcher import Ended, Event, Job, Released, Started
from foretoken.runs.launch_values import Limit
from foretoken.runs.schema import LaunchSection
from foretoken.store.atomic import read_json, write_json
from foretoken.store.store import Store

SPENT = "spent.json"
WRITE_SECONDS = 2.0
"""Time between two writes of the file."""
LEAST_AHEAD = 0.05
"""Share of its estimate that a job which goes on from a checkpoint still takes, at the least."""
ROUNDING = 1 + 1e-9


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a study has taken over all attempts at it, and what it may take."""

    gpu_hours: float = 0.0
    """Hours of jobs with a worker, times their GPUs."""
    core_hours: float = 0.0
    """The same times their cores."""
    hours: float = 0.0
    """Hours in which runs were trained."""
    usd: float | None = None
    """None where no price is known."""
    limit: list[str] = field(default_factory=list)
    """launch.limit, as the study file has it."""
    told: list[str] = field(default_factory=list)
    """Of each limit how much is spent, in words."""
    reached: str = ""
    """Why the last `foretoken run` ended at a limit; empty where it did not."""


@dataclass
class JobCount:
    """What one job has taken."""

    seconds: float = 0.0
    gpu_seconds: float = 0.0
    core_seconds: float = 0.0
    runs: list[str] = field(default_factory=list)
    """Keys of its runs that have had a record."""

    @classmethod
    def from_json(cls, count_json: dict[str, Any]) -> JobCount:
        """The inverse of `dataclasses.asdict`; ValueError, TypeError or KeyError for what is none."""
        numbers = [float(count_json[name]) for name in ("seconds", "gpu_seconds", "core_seconds")]
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(f"no seconds: {numbers}")
        seconds, gpu_seconds, core_seconds = numbers
        return cls(seconds, gpu_seconds, core_seconds, [str(key) for key in count_json["runs"]])


class Spending:
    """What stands in spent.json. A file that is missing or damaged counts as empty: the records are there yet."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SPENT
        self.hours, self.reached, self.jobs = _read(self.path)
        self.gpu_hours = sum(job.gpu_seconds for job in self.jobs.values()) / 3600
        self.core_hours = sum(job.core_seconds for job in self.jobs.values()) / 3600

    def add(self, name: str, seconds: float, gpus: float, cores: float) -> None:
        """Count seconds that a worker with so many GPUs and cores has had a job."""
        job = self.jobs.setdefault(name, JobCount())
        job.seconds += seconds
        job.gpu_seconds += seconds * gpus
        job.core_seconds += seconds * cores
        self.gpu_hours += seconds * gpus / 3600
        self.core_hours += seconds * cores / 3600

    def seconds(self, name: str) -> float:
        """What a job has taken by now."""
        return self.jobs[name].seconds if name in self.jobs else 0.0

    def has_record(self, name: str, run: str) -> None:
        """Note that a run of a job has its record."""
        runs = self.jobs.setdefault(name, JobCount()).runs
        if run not in runs:
            runs.append(run)

    def take_records(self, store: Store, launch: LaunchSection) -> None:
        """Count what records say that nobody counted: of an older version, or of workers left by their driver."""
        known = {run for job in self.jobs.values() for run in job.runs}
        by_job: dict[str, list[tuple[str, float, float, float]]] = {}
        # Only what is new is read: a study may have thousands of records, and this is asked at each start.
        for key in sorted(path.parent.name for path in (store.folder / "runs").glob("*/record.json")):
            if key not in known and (record := store.record(key)):
                spec = record.spec
                gpus = launch.gpus_of(spec.parameters.total)
                by_job.setdefault(spec.trajectory, []).append((key, record.seconds, gpus, float(spec.threads)))
        for name, found in by_job.items():
            counted = [record for run in self.jobs.get(name, JobCount()).runs if (record := store.record(run))]
            told = sum(record.seconds for record in counted) + sum(seconds for _, seconds, _, _ in found)
            self.add(name, max(0.0, told - self.seconds(name)), *found[0][2:])
            for key, *_ in found:
                self.has_record(name, key)

    def of(self, limit: Limit, price: float | None, has_gpus: bool) -> float:
        """How much of a limit is spent, in its unit; of a deadline the time now, in seconds since 1970."""
        match limit.kind:
            case "usd":
                return (price or 0.0) * (self.gpu_hours if has_gpus else self.core_hours)
            case "gpu_hours":
                return self.gpu_hours
            case "core_hours":
                return self.core_hours
            case "hours":
                return self.hours
            case "until":
                return time.time()

    def spent(self, launch: LaunchSection) -> Spent:
        """All of it, in hours and dollars."""
        hours = self.gpu_hours if launch.gpus else self.core_hours
        price, has_gpus = launch.price, bool(launch.gpus)
        return Spent(
            gpu_hours=self.gpu_hours,
            core_hours=self.core_hours,
            hours=self.hours,
            usd=None if price is None else price * hours,
            limit=launch.limit,
            told=[limit.told(self.of(limit, price, has_gpus)) for limit in launch.limits],
            reached=self.reached,
        )

    def write(self) -> None:
        """Keep it."""
        jobs_json = {name: asdict(job) for name, job in self.jobs.items()}
        write_json(self.path, {"hours": self.hours, "reached": self.reached, "jobs": jobs_json})


def _read(path: Path) -> tuple[float, str, dict[str, JobCount]]:
    try:
        values = read_json(path)
        hours = float(values["hours"])
        jobs = {str(name): JobCount.from_json(count_json) for name, count_json in values["jobs"].items()}
        if not 0 <= hours < math.inf:
            raise ValueError(f"no hours: {hours}")
        return hours, str(values["reached"]), jobs
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        return 0.0, "", {}


class Meter:
    """Counts what the jobs of one launch take, says which may start, and when a limit is reached."""

    def __init__(
        self,
        spending: Spending,
        launch: LaunchSection,
        jobs: Sequence[Job],
        *,
        cores: float,
        waiting: dict[str, set[str]],
        measured: bool,
        saves: bool,
        again: Container[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cores` are each job's; `waiting` has the keys of each job's runs that are to be trained.

        `measured`: whether the jobs' seconds are an estimate, and not only in proportion. `saves`: whether a job goes
        on from what it had; those named in `again` have been at their end, and begin anew.
        """
        self.spending, self.launch, self.cores, self.waiting, self.saves = spending, launch, cores, waiting, saves
        self.limits, self.now = launch.limits, now
        self.jobs = {job.name: job for job in jobs}
        self.earlier = {job.name: spending.seconds(job.name) if job.name in again else 0.0 for job in jobs}
        """Seconds that a job had before and does not go on from."""
        self.open: dict[str, float] = {}
        """The jobs that a worker has, and for how many seconds."""
        self.scale: float | None = 1.0 if measured else None
        """Seconds that jobs take, over their estimate; None where that is not known."""
        self.taken, self.guessed = 0.0, 0.0
        """Seconds of the jobs that have ended, and their estimate."""
        self.moment = self.written = now()

    def report(self, name: str, event: Event) -> None:
        """Take what a job reports."""
        self.tick()
        match event:
            case Started():
                self.open[name] = 0.0
            case Released():
                self.open.pop(name, None)
            case Ended(run):
                # A launcher that says nothing of `Released` has a job no longer when its last run has ended.
                self.spending.has_record(name, run)
                if self.waiting[name] == {run}:
                    self._end(name)
                self.waiting[name].discard(run)

    def tick(self) -> None:
        """Count the time since the last tick."""
        passed, self.moment = self.now() - self.moment, self.now()
        self.spending.hours += passed / 3600
        for name in self.open:
            self.open[name] += passed
            self.spending.add(name, passed, self.jobs[name].gpus, self.cores)

    def check(self) -> None:
        """Count; raise LimitReachedError when a limit is reached."""
        self.tick()
        if self.moment - self.written > WRITE_SECONDS:
            self.spending.write()
            self.written = self.moment
        if any(remaining(self.spending, self.launch, limit) <= 0 for limit in self.limits):
            raise LimitReachedError("limit reached")

    def admit(self, job: Job) -> bool:
        """Whether a job fits, by its estimate, into what its study may still take beside those under way."""
        self.tick()
        return all((self.need(limit, job) or 0.0) <= self.left(limit) * ROUNDING for limit in self.limits)

    def close(self) -> None:
        """No job is under way any more."""
        self.tick()
        self.open.clear()
        self.spending.write()

    def _end(self, name: str) -> None:
        self.open.pop(name, None)
        self.taken += self._done(name)
        self.guessed += self.jobs[name].seconds
        self.scale = self.taken / self.guessed if self.guessed > 0 else self.scale

    def _done(self, name: str) -> float:
        """Seconds that a job has taken of what it takes from its beginning to its end."""
        return self.spending.seconds(name) - self.earlier[name]

    def _ahead(self, job: Job) -> float | None:
        """Seconds that a job will still take; None where nobody can know."""
        if self.scale is None:
            return None
        done = self._done(job.name) if self.saves else self.open.get(job.name, 0.0)
        return max(self.scale * job.seconds - done, 0.0 if job.name in self.open else LEAST_AHEAD * job.seconds)

    def need(self, limit: Limit, job: Job) -> float | None:
        """How much of a limit a job still takes, in its unit (of a deadline in hours); None where nobody can know."""
        ahead = self._ahead(job)
        return None if ahead is None else ahead * rate(self.launch, limit, job.gpus, self.cores)

    def left(self, limit: Limit) -> float:
        """What is left of a limit beside what is under way, in its unit; of a deadline in hours."""
        left = remaining(self.spending, self.launch, limit)
        # What is under way takes the same hours.
        if limit.kind in ("hours", "until"):
            return left
        return left - sum(self.need(limit, self.jobs[name]) or 0.0 for name in self.open)


def rate(launch: LaunchSection, limit: Limit, gpus: float, cores: float) -> float:
    """How much of a limit a job with so many GPUs and cores takes in a second, in its unit; of a deadline in hours."""
    match limit.kind:
        case "usd":
            return (launch.price or 0.0) * (gpus if launch.gpus else cores) / 3600
        case "gpu_hours":
            return gpus / 3600
        case "core_hours":
            return cores / 3600
        case "hours" | "until":
            return 1 / 3600


def remaining(spending: Spending, launch: LaunchSection, limit: Limit) -> float:
    """What is not spent of a limit, in its unit; of a deadline in hours."""
    left = limit.amount - spending.of(limit, launch.price, bool(launch.gpus))
    return left / 3600 if limit.kind == "until" else left
