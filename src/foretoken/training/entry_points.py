"""The functions that launchers call: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foretoken.runs.spec import RunSpec
from foretoken.training.calibrate import calibrate
from foretoken.training.profile import profile
from foretoken.training.train import Report, Stopped, WorkerContext, train


def train_job(argument: dict[str, Any], report: Report, stop: Callable[[], bool]) -> dict[str, str]:
    """Train `argument["specs"]` at `argument["workplace"]`; gives the status of each run by its key."""
    specs = [RunSpec.from_json(values) for values in argument["specs"]]
    try:
        records = train(specs, WorkerContext(**argument["workplace"]), report, stop)
    except Stopped:
        return {}
    return {record.spec.key: record.status for record in records}


def calibrate_job(argument: dict[str, Any], report: Report, stop: Callable[[], bool]) -> dict[str, Any]:
    """Measure `argument["specs"]`."""
    return calibrate([RunSpec.from_json(values) for values in argument["specs"]], report, stop)


def profile_job(argument: dict[str, Any], report: Report, stop: Callable[[], bool]) -> dict[str, Any]:
    """Profile `argument["spec"]` on the tokenised corpus in `argument["corpus"]`."""
    return profile(RunSpec.from_json(argument["spec"]), argument["corpus"])
