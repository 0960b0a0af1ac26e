"""Before a study is run: what would be trained and what it would take, and where a training step's time goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foretoken.errors import ForetokenError
from foretoken.launchers import Job
from foretoken.launchers.jobs import PROFILE, ProfilingJob
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.study.runner import StudyRunner


def design(study: Study, folder: str | Path | None = None) -> dict[str, Any]:
    """The planned runs with their sizes, tokens, FLOPs and estimated seconds: the keys of `foretoken design --json`.

    Nothing is trained but a short calibration of this machine. Raises DesignError, and CorpusError for too little text.
    """
    runner = StudyRunner(study, folder)
    with runner.owned():
        return {**runner.design_summary(runner.design()), "workers": runner.workers}


def profile(study: Study, folder: str | Path | None = None) -> list[dict[str, Any]]:
    """A training step of the smallest, the middle and the largest size and of the target, phase by phase.

    Nothing of it is kept. Raises ForetokenError for a size that cannot be trained here.
    """
    runner = StudyRunner(study, folder)
    with runner.owned():
        plan = runner.design()
        return [measure(runner, name, run) for name, run in chosen(plan.runs, plan.target).items()]


def chosen(runs: list[RunSpec], target: RunSpec) -> dict[str, RunSpec]:
    """One run each of the smallest, the middle and the largest size, and the target; equal shapes once."""
    sizes = sorted({run.shape: run for run in runs}.values(), key=lambda run: run.parameters.total)
    named = {"smallest": sizes[0], "middle": sizes[len(sizes) // 2], "largest": sizes[-1]}
    by_shape = {run.shape: name for name, run in reversed(named.items())}
    return {name: named[name] for name in named if name in by_shape.values()} | {"target": target}


def measure(runner: StudyRunner, name: str, run: RunSpec) -> dict[str, Any]:
    """Profile one run in a process of its own, with its own number of threads."""
    log = runner.folder / "log" / "profile.txt"
    job = Job(name, ProfilingJob(run, runner.corpus.folder).to_json(), 0.0)
    (outcome,) = runner.launcher.launch(PROFILE, [job], workers=1, threads=run.threads, log=log)
    if outcome.error:
        raise ForetokenError(f"{name} could not be measured", got=outcome.error.strip().splitlines()[-1])
    shape = {"params_total": run.parameters.total, "width": run.shape.width, "layers": run.shape.layers}
    place = {"threads": run.threads, "precision": run.precision, "batch_tokens": run.batch_tokens}
    return {"size": name, **shape, **place, **outcome.result_json}
