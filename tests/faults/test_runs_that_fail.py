"""Runs that fail for reasons of their own: the others are done, and nothing is tried for ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner, Result

from foretoken.cli import app
from foretoken.launchers import LAUNCHERS, Job, Outcome
from foretoken.launchers.jobs import CALIBRATE, TrainingJob
from foretoken.runs.record import RunRecord
from foretoken.store.checkpoints import in_folder
from foretoken.store.store import Store
from foretoken.study.maintenance import prune, verify
from foretoken.study.progress import ProgressListener
from foretoken.study.run_study import run
from foretoken.training import train

from . import tiny
from .sweep import Undisturbed

pytestmark = [pytest.mark.usefixtures("in_process")]
UNLUCKY = 28
"""Width of the models whose runs fail."""


def command(home: Path) -> Result:
    (home / "tiny.toml").write_text(tiny.TINY)
    return CliRunner().invoke(app, ["run", str(home / "tiny.toml"), "--folder", str(home / "tiny"), "--json"])


def failed(home: Path) -> list[RunRecord]:
    return [record for record in Store(home / "tiny").records() if record.has_failed]


def test_a_worker_that_always_dies_costs_its_runs_alone(tmp_path: Path, expected: Undisturbed) -> None:
    given: list[str] = []

    class Unlucky(tiny.InProcess):
        def launch(self, function: str, jobs: Sequence[Job], **settings: Any) -> list[Outcome]:
            if function == CALIBRATE:
                return super().launch(function, jobs, **settings)
            unlucky = [job for job in jobs if TrainingJob.from_json(job.argument_json).runs[0].shape.width == UNLUCKY]
            given.extend(job.name for job in unlucky)
            fine = super().launch(function, [job for job in jobs if job not in unlucky], **settings)
            return fine + [Outcome(job.name, error="the worker died twice (exit code -9)") for job in unlucky]

    with patch.dict(LAUNCHERS, {"local": lambda launch: Unlucky()}):
        ended = command(tmp_path)
    counts = json.loads(ended.stdout)["counts"]
    assert ended.exit_code == 1
    assert counts["failed"] == len(failed(tmp_path)) > 0
    assert counts["finished"] == counts["planned"] - counts["failed"]
    assert {record.spec.shape.width for record in failed(tmp_path)} == {UNLUCKY}
    assert all("died twice" in str(record.error) for record in failed(tmp_path))
    assert len(given) == len(set(given)), "a failed job was given to a worker again in the same run"
    assert not (tmp_path / "tiny" / "finished.json").exists()


def test_out_of_memory_is_told_and_not_tried_again_at_once(tmp_path: Path, expected: Undisturbed) -> None:
    tried: list[int] = []
    advance = train.advance

    def greedy(state: Any, spec: Any, *arguments: Any) -> None:
        if spec.shape.width == UNLUCKY:
            tried.append(spec.tokens)
            raise MemoryError
        advance(state, spec, *arguments)

    with patch.object(train, "advance", greedy):
        assert command(tmp_path).exit_code == 1
    assert all(str(record.error).startswith("out of memory: give the run") for record in failed(tmp_path))
    assert sorted(tried) == sorted(record.spec.tokens for record in failed(tmp_path))
    assert command(tmp_path).exit_code == 0
    assert Store(tmp_path / "tiny").table().digest == expected.digest
    assert verify(tmp_path / "tiny") == []


@pytest.mark.parametrize("how", ["lost", "pruned"])
def test_a_trunk_serves_its_other_branches(how: str, tmp_path: Path, expected: Undisturbed) -> None:
    """Stopped after one branch has its record; then the trunk's checkpoints are lost, or what is not needed pruned."""
    folder = tmp_path / "tiny"

    class Stopping(ProgressListener):
        def ended(self, record: RunRecord) -> None:
            raise SystemExit

    with pytest.raises(SystemExit):
        run(tiny.tiny_study(), folder, Stopping())
    (done,) = Store(folder).records()
    assert in_folder(Store(folder).trunk_folder(done.spec.trajectory))
    if how == "lost":
        shutil.rmtree(folder / "trunks")
    else:
        prune(folder)
    tiny.run(folder)
    siblings = [record for record in Store(folder).records() if record.parent == done.parent and record != done]
    assert siblings
    resumed = any("resumed at step" in event for record in siblings for event in record.events)
    assert resumed == (how == "pruned")
    assert Store(folder).table().digest == expected.digest
    assert verify(folder) == []
