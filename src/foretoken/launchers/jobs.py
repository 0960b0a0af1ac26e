"""What is sent to the functions that launchers call, and what comes back: typed on both sides of the pipe. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.runs.spec import KeepWeights, RunSpec

JsonObject = dict[str, Any]
"""Plain values that a function gives back to the process that asked for them."""
# As text, not as functions: importing them would load torch into the driver, which never trains.
TRAIN = "foretoken.training.train:train_job"
TRAIN_AND_SCORE = "foretoken.scoring.in_training:train_and_score_job"
CHECK_EXAMPLES = "foretoken.scoring.in_training:check_examples"
CALIBRATE = "foretoken.training.calibrate:calibrate_job"
COMPARE_THREADS = "foretoken.training.calibrate:compare_threads_job"
PROFILE = "foretoken.training.profile:profile_job"


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """Where and beside what a run is trained; nothing here changes its result."""

    folder: Path
    """The study's folder."""
    corpus: Path
    """The folder of the tokenised corpus."""
    peak_flops: float | None = None
    """Measured matmul peak of the run's threads, FLOP/s; None where it is not known, and then there is no MFU."""
    threads_in_use: int = 1
    """Threads that train on this machine at the same time, this run's included: they share its measured energy."""
    checkpoint_seconds: float = 20.0
    """Time between two checkpoints."""
    attempt: int | None = None
    """The attempt at the study that this training belongs to; None outside of a study."""
    keep_weights: KeepWeights = "none"
    """Whose final weights are kept: none, target, all."""
    evaluation: Path | None = None
    """The file of the tasks that networks are scored on (store/scores.py); None where they are not."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        evaluation = str(self.evaluation) if self.evaluation else None
        return {**asdict(self), "folder": str(self.folder), "corpus": str(self.corpus), "evaluation": evaluation}

    @classmethod
    def from_json(cls, context_json: Mapping[str, Any]) -> WorkerContext:
        """The inverse of `to_json`."""
        names = ("folder", "corpus", "evaluation")
        paths = {name: Path(context_json[name]) for name in names if context_json[name] is not None}
        return cls(**{**context_json, **paths})


@dataclass(frozen=True)
class TrainingJob:
    """Runs of one trunk, or one run alone, to be trained in one process; gives the status of each run by its key."""

    runs: list[RunSpec]
    context: WorkerContext

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"runs": [run.to_json() for run in self.runs], "context": self.context.to_json()}

    @classmethod
    def from_json(cls, job_json: Mapping[str, Any]) -> TrainingJob:
        """The inverse of `to_json`."""
        runs = [RunSpec.from_json(run_json) for run_json in job_json["runs"]]
        return cls(runs, WorkerContext.from_json(job_json["context"]))


@dataclass(frozen=True)
class CalibrationJob:
    """A run of which a few steps are timed on random tokens; gives a `Speed`."""

    run: RunSpec

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"run": self.run.to_json()}

    @classmethod
    def from_json(cls, job_json: Mapping[str, Any]) -> CalibrationJob:
        """The inverse of `to_json`."""
        return cls(RunSpec.from_json(job_json["run"]))


@dataclass(frozen=True)
class Speed:
    """How fast a process trains a shape."""

    seconds_per_token: float
    """Median over steps."""
    peak_flops: float
    """Best rate of a square matrix product with the run's threads and precision, FLOP/s."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, speed_json: Mapping[str, Any]) -> Speed:
        """The inverse of `to_json`."""
        return cls(**speed_json)


@dataclass(frozen=True)
class ThreadsJob:
    """A run that is trained for a second on random tokens with each of some numbers of threads, by turns."""

    run: RunSpec
    threads: list[int]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"run": self.run.to_json(), "threads": self.threads}

    @classmethod
    def from_json(cls, job_json: Mapping[str, Any]) -> ThreadsJob:
        """The inverse of `to_json`."""
        return cls(RunSpec.from_json(job_json["run"]), job_json["threads"])


@dataclass(frozen=True)
class ThreadSpeed:
    """How fast a run is trained with so many threads, beside whatever else the machine does."""

    threads: int
    tokens_per_second: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, speed_json: Mapping[str, Any]) -> ThreadSpeed:
        """The inverse of `to_json`."""
        return cls(**speed_json)


@dataclass(frozen=True)
class ProfilingJob:
    """A run of which the steps are measured phase by phase; gives `StepTimes`."""

    run: RunSpec
    corpus: Path
    """The folder of the tokenised corpus."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"run": self.run.to_json(), "corpus": str(self.corpus)}

    @classmethod
    def from_json(cls, job_json: Mapping[str, Any]) -> ProfilingJob:
        """The inverse of `to_json`."""
        return cls(RunSpec.from_json(job_json["run"]), Path(job_json["corpus"]))


@dataclass(frozen=True)
class Operation:
    """An operation of torch, itself alone."""

    name: str
    share: float
    """Of the time of all operations."""
    calls_per_step: float


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """Where the time of a training step goes."""

    tokens_per_second: float
    seconds_per_step: float
    """Median over steps."""
    peak_flops: float
    """Best rate of a square matrix product with the same threads and precision, FLOP/s."""
    share_of_peak: float
    """FLOPs of the model's matrix products over the time, as a share of the peak."""
    phases: dict[str, float]
    """Median seconds of each phase, by its name."""
    operations: list[Operation]
    """The costliest, the costliest first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, times_json: Mapping[str, Any]) -> StepTimes:
        """The inverse of `to_json`."""
        operations = [Operation(**operation_json) for operation_json in times_json["operations"]]
        return cls(**{**times_json, "operations": operations})
