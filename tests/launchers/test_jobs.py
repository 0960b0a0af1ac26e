"""What is sent to a job and what comes back: through JSON and equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foretoken.launchers.jobs import (
    CALIBRATE,
    COMPARE_THREADS,
    PROFILE,
    TRAIN,
    CalibrationJob,
    Operation,
    ProfilingJob,
    Speed,
    StepTimes,
    TrainingJob,
    WorkerContext,
)
from foretoken.launchers.worker import job_function

from ..runs.test_spec import SPEC

CONTEXT = WorkerContext(folder=Path("runs/a"), corpus=Path("runs/corpora/b"), peak_flops=1e9, attempt=3)
SPEED = Speed(1e-6, 1e9)
TIMES = StepTimes(
    tokens_per_second=1e5,
    seconds_per_step=0.01,
    peak_flops=1e10,
    share_of_peak=0.5,
    phases={"data": 0.001, "forward": 0.004},
    operations=[Operation("mm", 0.7, 12.0)],
)


@pytest.mark.parametrize(
    "value",
    [
        CONTEXT,
        TrainingJob([SPEC], CONTEXT),
        CalibrationJob(SPEC),
        ProfilingJob(SPEC, Path("c")),
        SPEED,
        TIMES,
    ],
    ids=lambda value: type(value).__name__,
)
def test_through_json_and_equal(value: Any) -> None:
    assert type(value).from_json(json.loads(json.dumps(value.to_json()))) == value


def test_an_unknown_key_is_no_job() -> None:
    with pytest.raises(TypeError):
        WorkerContext.from_json({**CONTEXT.to_json(), "busy": 1})


@pytest.mark.parametrize("name", [TRAIN, CALIBRATE, COMPARE_THREADS, PROFILE])
def test_the_functions_are_there(name: str) -> None:
    assert callable(job_function(name))
