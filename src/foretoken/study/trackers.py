"""What a study's training says as it goes, for trackers: JSON lines always, TensorBoard, W&B and MLflow where asked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from foretoken.errors import MissingExtraError
from foretoken.runs.record import RunRecord
from foretoken.runs.schema import TrackerName
from foretoken.runs.spec import RunSpec
from foretoken.study.progress import ProgressListener

CURVES = "log/curves.jsonl"
"""The file of JSON lines, in the study's folder."""
PACKAGES: dict[TrackerName, str] = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


class Tracker(Protocol):
    """Where numbers of runs go as they are trained."""

    def begin(self, run: RunSpec) -> None:
        """A run is about to be trained."""

    def step(self, run: RunSpec, step: int, loss: float) -> None:
        """A run is at this step, with this training loss, nats per token."""

    def end(self, record: RunRecord) -> None:
        """A run has its record."""

    def close(self) -> None:
        """Nothing more will come."""


class TrackedListener(ProgressListener):
    """Passes all on to another listener, and what concerns runs to trackers."""

    def __init__(self, listener: ProgressListener, trackers: Sequence[Tracker]) -> None:
        self.listener, self.trackers = listener, list(trackers)
        self.runs: dict[str, RunSpec] = {}

    def phase(self, text: str) -> None:
        self.listener.phase(text)

    def note(self, text: str) -> None:
        self.listener.note(text)

    def training(self, runs: list[RunSpec], seconds: dict[str, float]) -> None:
        self.runs |= {run.key: run for run in runs}
        self._tell(lambda tracker: _begin(tracker, runs))
        self.listener.training(runs, seconds)

    def progress(self, key: str, step: int, steps: int, loss: float | None) -> None:
        if loss is not None and key in self.runs:
            run, value = self.runs[key], loss
            self._tell(lambda tracker: tracker.step(run, step, value))
        self.listener.progress(key, step, steps, loss)

    def silent(self, key: str, seconds: float) -> None:
        self.listener.silent(key, seconds)

    def ended(self, record: RunRecord) -> None:
        self._tell(lambda tracker: tracker.end(record))
        self.listener.ended(record)

    def close(self) -> None:
        self._tell(lambda tracker: tracker.close())
        self.listener.close()

    def _tell(self, tell: Callable[[Tracker], None]) -> None:
        """Call every tracker; one that fails is told once and left, as no study ends because of a tracker."""
        for tracker in list(self.trackers):
            try:
                tell(tracker)
            except Exception as error:
                self.trackers.remove(tracker)
                self.listener.note(f"the tracker {type(tracker).__name__} failed and is left: {error}")


def _begin(tracker: Tracker, runs: Sequence[RunSpec]) -> None:
    for run in runs:
        tracker.begin(run)


class JsonLines:
    """One line per point and per end, appended to log/curves.jsonl."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, run: RunSpec) -> None:
        """Nothing is known yet."""

    def step(self, run: RunSpec, step: int, loss: float) -> None:
        self._write({"run": run.key, "step": step, "tokens": step * run.batch_tokens, "train_loss": loss})

    def end(self, record: RunRecord) -> None:
        self._write({"run": record.spec.key, "status": record.status, "loss": record.loss, "seconds": record.seconds})

    def close(self) -> None:
        """Each line is written when it comes."""

    def _write(self, row_json: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({**row_json, "time": round(time.time(), 3)}) + "\n")


class TensorBoard:
    """One folder of events per run, below log/tensorboard."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.writers = folder, dict[str, Any]()

    def begin(self, run: RunSpec) -> None:
        """A run without a point has no folder."""

    def step(self, run: RunSpec, step: int, loss: float) -> None:
        self._write(run, step, "train/loss", loss)

    def end(self, record: RunRecord) -> None:
        if record.loss is not None:
            self._write(record.spec, record.spec.steps, "validation/loss", record.loss)
        if writer := self.writers.pop(record.spec.key, None):
            writer.close()

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()

    def _write(self, run: RunSpec, step: int, tag: str, value: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if run.key not in self.writers:
            self.writers[run.key] = EventFileWriter(str(self.folder / run.key))
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self.writers[run.key].add_event(Event(step=step, summary=summary, wall_time=time.time()))


class Wandb:
    """One run of W&B per run, in the project of the study's name; WANDB_MODE=offline keeps them here."""

    def __init__(self, folder: Path, study: str) -> None:
        self.folder, self.study, self.open = folder, study, dict[str, Any]()

    def begin(self, run: RunSpec) -> None:
        """A run without a point is none."""

    def step(self, run: RunSpec, step: int, loss: float) -> None:
        self._run(run).log({"train/loss": loss, "tokens": step * run.batch_tokens}, step=step)

    def end(self, record: RunRecord) -> None:
        own = self._run(record.spec)
        if record.loss is not None:
            own.summary["validation/loss"] = record.loss
        own.finish(exit_code=0 if record.is_finished else 1)
        del self.open[record.spec.key]

    def close(self) -> None:
        for own in self.open.values():
            own.finish(exit_code=255)

    def _run(self, run: RunSpec) -> Any:
        import wandb

        if run.key not in self.open:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.open[run.key] = wandb.init(
                project=self.study,
                name=run.key,
                group=run.group,
                dir=str(self.folder),
                config=run.to_json(),
                reinit="create_new",
            )
        return self.open[run.key]


class Mlflow:
    """One run of MLflow per run, in the experiment of the study's name; in log/mlflow, or at MLFLOW_TRACKING_URI."""

    def __init__(self, folder: Path, study: str) -> None:
        import mlflow

        if "MLFLOW_TRACKING_URI" not in os.environ:
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{folder.absolute() / 'mlflow.db'}")
        self.client = mlflow.MlflowClient()
        known = self.client.get_experiment_by_name(study)
        self.experiment = known.experiment_id if known else self.client.create_experiment(study)
        self.open: dict[str, str] = {}

    def begin(self, run: RunSpec) -> None:
        own = self.client.create_run(self.experiment, run_name=run.key)
        self.open[run.key] = own.info.run_id
        for name, value in (("params", run.parameters.total), ("tokens", run.tokens), ("group", run.group)):
            self.client.log_param(own.info.run_id, name, value)

    def step(self, run: RunSpec, step: int, loss: float) -> None:
        self.client.log_metric(self.open[run.key], "train_loss", loss, step=step)

    def end(self, record: RunRecord) -> None:
        own = self.open.pop(record.spec.key, None)
        if own is not None and record.loss is not None:
            self.client.log_metric(own, "validation_loss", record.loss, step=record.spec.steps)
        if own is not None:
            self.client.set_terminated(own, "FINISHED" if record.is_finished else "FAILED")

    def close(self) -> None:
        for own in self.open.values():
            self.client.set_terminated(own, "KILLED")


def tracked(listener: ProgressListener, folder: Path, study: str, names: Sequence[TrackerName]) -> TrackedListener:
    """A listener whose runs go to JSON lines, and to the trackers that are named.

    Raises MissingExtraError for one whose package is not installed.
    """
    for name in names:
        if find_spec(PACKAGES[name]) is None:
            raise MissingExtraError(PACKAGES[name], "trackers", f"the tracker {name!r}")
    log, trackers = folder / "log", list[Tracker]([JsonLines(folder / CURVES)])
    for name in names:
        match name:
            case "tensorboard":
                trackers.append(TensorBoard(log / "tensorboard"))
            case "wandb":
                trackers.append(Wandb(log / "wandb", study))
            case "mlflow":
                trackers.append(Mlflow(log / "mlflow", study))
    return TrackedListener(listener, trackers)
