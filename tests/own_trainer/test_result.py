"""Results as trainers leave them: one number is read, or it is said why none is."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from foretoken.errors import TableError
from foretoken.own_trainer.result import read_result


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


LOG = [{"step": 10, "loss": 4.0}, {"step": 20, "loss": 3.0}, {"step": 20, "eval_loss": 3.2}]


@pytest.mark.parametrize(
    ("name", "content", "names", "loss"),
    [
        ("a.json", {"loss": 3.2, "loss_se": 0.01, "seconds": 12}, {}, 3.2),
        ("a.json", {"val_loss": 3.2, "loss": 2.9}, {}, 3.2),
        ("a.json", {"eval": {"loss": 3.2}, "loss": 2.9}, {}, 3.2),
        ("a.json", {"final": {"ce": 3.2}}, {"loss": "final.ce"}, 3.2),
        ("trainer_state.json", {"log_history": LOG, "global_step": 20}, {}, 3.2),
        ("log.jsonl", "\n".join(map(json.dumps, LOG)) + "\n", {}, 3.2),
        ("a.json", '{"loss": NaN}', {}, math.nan),
        ("a.json", {"loss": "nan"}, {}, math.nan),
        ("a.json", {"loss": "3.2"}, {}, 3.2),
        ("wandb/offline-run-1/files/wandb-summary.json", {"eval/loss": 3.2, "_step": 4}, {}, 3.2),
    ],
)
def test_a_result_is_read(tmp_path: Path, name: str, content: object, names: dict[str, str], loss: float) -> None:
    path = written(tmp_path, name, content)
    told = read_result(tmp_path / name.split("/")[0] if "/" in name else path, names, 100)
    assert told.loss == pytest.approx(loss, nan_ok=True)


def test_a_log_gives_its_curve_in_tokens(tmp_path: Path) -> None:
    told = read_result(written(tmp_path, "log.jsonl", "\n".join(map(json.dumps, LOG))), {}, 100)
    assert [tuple(point) for point in told.curve] == [(1000.0, 4.0), (2000.0, 3.0)]


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["tokens", "train_loss", "val_loss"])
        writer.writeheader()
        writer.writerows([{"tokens": 100 * n, "train_loss": 5 - n, "val_loss": 5.1 - n} for n in range(1, 4)])
    told = read_result(path, {}, 100)
    assert told.loss == pytest.approx(2.1)
    assert told.tokens == 300
    assert len(told.curve) == 3


@pytest.mark.parametrize(
    ("content", "names", "told"),
    [
        ({"accuracy": 0.5}, {}, "no loss"),
        ({}, {}, "no loss"),
        ([], {}, "no loss"),
        ("{", {}, "not JSON"),
        ("[1, 2]", {}, "no result"),
        ("3.2", {}, "no result"),
        ({"loss": "low"}, {}, "no number"),
        ({"loss": [1]}, {}, "no number"),
        ({"loss": 3.0}, {"loss": "ce"}, "no 'ce'"),
        ({"val_loss": 3.0, "test_loss": 3.1}, {}, "several losses"),
        ("[" * 100_000, {}, "not JSON"),
    ],
)
def test_what_has_no_loss_is_refused(tmp_path: Path, content: object, names: dict[str, str], told: str) -> None:
    with pytest.raises(TableError, match=told):
        read_result(written(tmp_path, "a.json", content), names, 100)


def test_a_loss_may_be_a_product(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", {"val/bpb": 0.9, "bytes_per_token": 4.5})
    assert read_result(path, {"loss": "val/bpb * bytes_per_token*0.5"}, 100).loss == pytest.approx(2.025)
    with pytest.raises(TableError, match="has no"):
        read_result(path, {"loss": "val/bpb*gone"}, 100)


def test_an_offline_run_of_wandb(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = """
import wandb
run = wandb.init(project="p", mode="offline", dir=".")
for step in range(600):
    run.log({"train/loss": 4 - step / 600, "step": step})
run.log({"val/loss": 3.5, "step": 600})
run.finish()
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    told = read_result(tmp_path / "wandb", {}, 100)
    assert told.loss == 3.5
    assert told.curve[0] == (0.0, 4.0)
    assert len(told.curve) == 600


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "tb"))
    for step, tag, value in [(1, "train/loss", 4.0), (2, "train/loss", 3.0), (2, "val/loss", 3.25)]:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(step=step, summary=summary, wall_time=step))
    writer.close()
    told = read_result(tmp_path / "tb", {}, 100)
    assert told.loss == 3.25
    assert [tuple(point) for point in told.curve] == [(100.0, 4.0), (200.0, 3.0)]
