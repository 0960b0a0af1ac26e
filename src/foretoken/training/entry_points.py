"""The functions that launchers call: plain values in, plain values out (see launchers/jobs.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foretoken.launchers.jobs import CalibrationJob, ProfilingJob, TrainingJob
from foretoken.launchers.launcher import Report, Stop
from foretoken.training.calibrate import calibrate
from foretoken.training.profile import profile
from foretoken.training.train import Stopped, train


def train_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> dict[str, str]:
    """Make a `TrainingJob`; gives the status of each run by its key, nothing when it was stopped."""
    job = TrainingJob.from_json(job_json)
    try:
        records = train(job.runs, job.context, report, stop)
    except Stopped:
        return {}
    return {record.spec.key: record.status for record in records}


def calibrate_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> dict[str, Any]:
    """Make a `CalibrationJob`; gives a `Speed`."""
    return calibrate(CalibrationJob.from_json(job_json).run).to_json()


def profile_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> dict[str, Any]:
    """Make a `ProfilingJob`; gives `StepTimes`."""
    job = ProfilingJob.from_json(job_json)
    return profile(job.run, job.corpus).to_json()
