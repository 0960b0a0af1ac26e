"""How a study stands, from its files alone: what `foretoken status` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foretoken.arguments import named_arguments
from foretoken.errors import StoreError
from foretoken.forecasts import Entry, Outcome
from foretoken.results import Result
from foretoken.runs.record import RunCounts, RunStatus
from foretoken.runs.schema import LaunchSection
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.store.atomic import read_json
from foretoken.store.bucket import as_url
from foretoken.store.diff import Change, changes, nearest_change
from foretoken.store.fetch import study_folder_at
from foretoken.store.lease import is_owned
from foretoken.store.store import Store
from foretoken.study.agreement import doubts
from foretoken.study.design_file import read_design_file
from foretoken.study.frozen import current_forecast
from foretoken.study.own_code import code_changes
from foretoken.study.progress import PROGRESS
from foretoken.study.spending import Spending, Spent

LEASE_SECONDS = LaunchSection().lease_seconds


@dataclass(frozen=True, kw_only=True)
class FrozenForecast:
    """The newest forecast of the study's target."""

    loss: float
    """Nats per token."""
    low: float
    high: float
    level: float
    """Probability of the interval from `low` to `high`."""
    flops: float
    """Of the target."""
    compute_factor: float
    """FLOP of the target over those of the largest run behind the forecast."""
    frozen_at: str
    """UTC, ISO 8601."""
    data_sha256: str
    """Of the run table behind the forecast."""

    @classmethod
    def of(cls, entry: Entry) -> FrozenForecast:
        """What a status shows of an entry of the ledger."""
        forecast = entry.forecast
        return cls(
            loss=forecast.loss,
            low=forecast.low,
            high=forecast.high,
            level=forecast.level,
            flops=forecast.flops,
            compute_factor=entry.compute_factor,
            frozen_at=entry.frozen_at,
            data_sha256=entry.data_sha256,
        )


@dataclass(frozen=True, kw_only=True)
class ScoredOutcome:
    """What the target reached, held against the forecast."""

    loss: float
    """Nats per token."""
    error: float
    """(forecast - outcome) / outcome."""
    inside: bool
    """Whether the forecast's interval holds the loss."""
    started_at: str | None
    finished_at: str | None
    rivals: dict[str, float]
    """The same error of each plain rival, by name."""
    order: str
    """What is known of what came first, the forecast or the run."""

    @classmethod
    def of(cls, outcome: Outcome) -> ScoredOutcome:
        """What a status shows of an outcome in the ledger."""
        return cls(
            loss=outcome.loss,
            error=outcome.error,
            inside=outcome.inside,
            started_at=outcome.started_at,
            finished_at=outcome.finished_at,
            rivals=outcome.rivals,
            order=outcome.order,
        )


@dataclass(frozen=True)
class NewRun:
    """A planned run that has no record yet."""

    id: str
    """Its key."""
    group: str
    because: Change | None
    """The fields that tell it from the most similar run of other settings; None where the folder holds no such run."""


@dataclass(frozen=True, kw_only=True)
class StudyStatus(Result):
    """How a study stands. `status["outcome"]` gives what `status.to_json()["outcome"]` gives, and so for every key."""

    study: str
    folder: Path
    counts: RunCounts
    forecast: FrozenForecast | None = None
    outcome: ScoredOutcome | None = None
    new: list[NewRun] = field(default_factory=list)
    """Runs without a record."""
    report: Path | None = None
    """Its page; None where none is written, or the study is read from a URL."""
    edited: Change = field(default_factory=dict)
    """Keys of the study file that have changed since the study was run: {key: (old, new)}."""

    spent: Spent = field(default_factory=Spent)
    """What its runs have taken, over all attempts, and of which limit."""
    told: list[str] = field(default_factory=list)
    """What is doubtful about its files, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """The keys of `foretoken status --json`."""
        return {**asdict(self), "folder": str(self.folder), "report": self.report and str(self.report)}

    def __getitem__(self, key: str) -> Any:
        return self.to_json()[key]


@named_arguments
def status(folder: str | Path, study: Study | None = None) -> StudyStatus:
    """How a study stands, from its files alone.

    `folder` may be a URL (`launch.bucket`). With `study`, the file as it is now, `edited` tells which of its keys have
    changed since the study was run, and `told` says so where files that [trainer] names as code have.
    """
    is_here, folder = as_url(folder) is None, study_folder_at(folder)
    store, kept = Store(folder), read_design_file(folder)
    runs = [] if kept is None else kept.design.all_runs if kept.study.target.train else kept.design.runs
    statuses = {run.key: summary.status for run in runs if (summary := store.summary(run.key, run))}
    owned = is_owned(folder, kept.study.launch.lease_seconds if kept else LEASE_SECONDS)
    line = current_forecast(folder, kept.design if kept else None)
    settings = study or (kept.study if kept else None)
    page = folder / "report" / "index.html"
    return StudyStatus(
        study=folder.name,
        folder=folder,
        counts=count_runs(len(runs), statuses.values(), running=_running(folder / PROGRESS) if owned else 0),
        forecast=FrozenForecast.of(line.entry) if line else None,
        outcome=ScoredOutcome.of(line.outcome) if line and line.outcome else None,
        new=new_runs(store, runs, statuses),
        report=page if is_here and page.is_file() else None,
        edited=changes(kept.study.model_dump(), study.model_dump()) if study and kept else {},
        spent=Spending(folder).spent(settings.launch) if settings else Spent(),
        told=[*doubts(folder, kept), *(code_changes(study, kept.design, len(statuses)) if study and kept else [])],
    )


def count_runs(planned: int, statuses: Iterable[RunStatus], running: int = 0) -> RunCounts:
    """Counts of planned runs by the status of their records."""
    of_status = Counter(statuses)
    return RunCounts(
        planned=planned,
        running=running,
        finished=of_status["finished"],
        diverged=of_status["diverged"],
        failed=of_status["failed"],
    )


def new_runs(store: Store, runs: list[RunSpec], recorded: Container[str]) -> list[NewRun]:
    """The runs whose key is not among the recorded ones, each with what is new about it."""
    waiting = [run for run in runs if run.key not in recorded]
    planned = {run.key for run in runs}
    others = [record.spec for record in store.records(without=planned)] if waiting else []
    return [NewRun(run.key, run.group, because(run, others)) for run in waiting]


def because(run: RunSpec, others: list[RunSpec]) -> Change | None:
    """What tells a run from the most similar of others; None where there is none."""
    same_shape = [other for other in others if other.shape == run.shape]
    return nearest_change(run, same_shape or others)


def _running(progress: Path) -> int:
    try:
        return len(read_json(progress))
    except StoreError:  # it comes and goes with the runs
        return 0
