"""Training losses on their way to trackers: JSON lines always, others where asked, and none of them harms a study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foretoken.errors import MissingExtraError
from foretoken.runs.record import RunRecord
from foretoken.study.progress import ProgressListener
from foretoken.study.trackers import CURVES, TrackedListener, Tracker, tracked

from ..runs.test_spec import SPEC


class Notes(ProgressListener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def told(listener: TrackedListener) -> None:
    """A run of two points."""
    listener.training([SPEC], {})
    listener.progress(SPEC.key, 5, SPEC.steps, 3.0)
    listener.progress(SPEC.key, 10, SPEC.steps, None)
    listener.progress(SPEC.key, 20, SPEC.steps, 2.5)
    listener.ended(RunRecord(spec=SPEC, status="finished", loss=2.6))
    listener.close()


def test_json_lines_are_always_written(tmp_path: Path) -> None:
    told(tracked(ProgressListener(), tmp_path, "study", []))
    rows = [json.loads(line) for line in (tmp_path / CURVES).read_text().splitlines()]
    assert [(row["step"], row["tokens"], row["train_loss"]) for row in rows[:2]] == [
        (5, 5 * SPEC.batch_tokens, 3.0),
        (20, 20 * SPEC.batch_tokens, 2.5),
    ]
    assert (rows[2]["status"], rows[2]["loss"]) == ("finished", 2.6)


def test_tensorboard_has_the_points(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told(tracked(ProgressListener(), tmp_path, "study", ["tensorboard"]))
    events = EventAccumulator(str(tmp_path / "log" / "tensorboard" / SPEC.key))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(5, 3.0), (20, 2.5)]
    assert events.Scalars("validation/loss")[0].value == pytest.approx(2.6)


def test_wandb_has_the_points_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from foretoken.own_trainer.result import read_result

    monkeypatch.setenv("WANDB_MODE", "offline")
    told(tracked(ProgressListener(), tmp_path, "study", ["wandb"]))
    result = read_result(tmp_path / "log" / "wandb", {"loss": "train/loss"}, SPEC.batch_tokens)
    assert (result.loss, result.tokens) == (2.5, 20 * SPEC.batch_tokens)


def test_mlflow_has_the_points(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    told(tracked(ProgressListener(), tmp_path, "study", ["mlflow"]))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'log' / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert run.data.metrics == {"train_loss": 2.5, "validation_loss": 2.6}
    assert run.info.status == "FINISHED"


def test_a_tracker_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretoken.study.trackers.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"foretoken\[trackers\]"):
        tracked(ProgressListener(), tmp_path, "study", ["wandb"])


def test_a_tracker_that_fails_is_told_once_and_left(tmp_path: Path) -> None:
    class Broken(Tracker):
        def step(self, *_: object) -> None:
            raise RuntimeError("quota exceeded")

    listener = Notes()
    told(TrackedListener(listener, [Broken()]))
    assert listener.notes == ["the tracker Broken failed and is left: quota exceeded"]
