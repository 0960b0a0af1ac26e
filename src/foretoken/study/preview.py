"""Before a study is run: what would be trained and what it would take, and where a training step's time goes."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from foretoken import fits
from foretoken.arguments import named_arguments
from foretoken.data import prepare_corpus
from foretoken.designs import RunEstimate
from foretoken.errors import ForetokenError
from foretoken.launchers import LAUNCHERS, Job, Launcher, SlurmLauncher
from foretoken.launchers.jobs import PROFILE, ProfilingJob, StepTimes
from foretoken.results import Result
from foretoken.runs.spec import KeepWeights, Precision, RunSpec
from foretoken.runs.study_file import Study
from foretoken.store import checkpoints
from foretoken.store.diff import Change
from foretoken.store.integrity import Finding, check_belongs
from foretoken.store.store import Store
from foretoken.study.bucket_copy import joined_folder
from foretoken.study.limit_checks import known_limit_checks, limit_checks
from foretoken.study.maintenance import look_over, usable_checkpoints
from foretoken.study.run_study import open_bucket, study_runner
from foretoken.study.runner import StudyRunner, study_folder
from foretoken.study.study_status import because
from foretoken.tasks.evaluation import Evaluation

Action = Literal["keep", "again", "resume", "retry", "train"]
"""What `run` does with a planned run; `again`: it has its record, but not the weights or scores that are to be kept."""


NOT_TRAINED = "not trained: target.train is false"
"""Why the target has no estimated seconds."""


@dataclass(frozen=True, kw_only=True)
class StudyDesign(Result, rows="runs"):
    """The runs that a study plans, and what they would take."""

    runs: list[RunEstimate]
    """The small runs."""
    target: RunEstimate
    total_flops: float
    """Of the small runs as they are trained: what branches share is counted once."""
    separate_flops: float
    """Of the small runs, were each trained alone."""
    compute_factor: float
    """FLOPs of the target over those of the largest small run."""
    share_of_target: float
    """`total_flops` over the FLOPs of the target."""
    workers: int
    """Processes side by side."""
    checks: list[fits.Check]
    """What is doubtful about a fit of these runs, before any is trained."""

    def to_json(self) -> dict[str, Any]:
        """The keys of `foretoken design --json`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunAction:
    """What `run` would do with a planned run."""

    id: str
    """Its key."""
    group: str
    action: Action
    step: int | None = None
    """The optimizer step from which it would go on."""
    because: Change | None = None
    """For a new run: the fields that tell it from the most similar run of other settings."""


@dataclass(frozen=True)
class DryRun(Result, rows="runs"):
    """What `run` would do with each run, and what it would repair first."""

    runs: list[RunAction]
    mend: list[Finding]
    checks: list[fits.Check] = field(default_factory=list)
    """Where the runs go beyond launch.limit, as far as their times are known without measuring."""

    def to_json(self) -> dict[str, Any]:
        """The keys of `foretoken run --dry-run --json`."""
        mend_json = [finding.to_json() for finding in self.mend]
        return {"runs": [asdict(run) for run in self.runs], "mend": mend_json, "checks": list(map(asdict, self.checks))}


@dataclass(frozen=True, kw_only=True)
class StepProfile(Result):
    """Where the time of a training step goes, for one size."""

    size: str
    """smallest, middle, largest, target."""
    params_total: int
    width: int
    layers: int
    threads: int
    precision: Precision
    batch_tokens: int
    times: StepTimes

    def to_json(self) -> dict[str, Any]:
        """Plain values: one size of `foretoken profile --json`."""
        own = asdict(self)
        times_json = own.pop("times")
        return {**own, **times_json}


@named_arguments
def design(study: Study, folder: str | Path | None = None, launcher: Launcher | None = None) -> StudyDesign:
    """The planned runs with their sizes, tokens, FLOPs and estimated seconds.

    Nothing is trained but a short calibration of the machine; without torch there is none, and the seconds are None
    with the reason beside them. Raises DesignError, with the code of the check, for runs to which the study's law
    cannot be fitted, CorpusError for too little text, and StoreError, before anything is written, for a `launch.bucket`
    that cannot hold the study.
    """
    runner = open_bucket(study_runner(study, folder, launcher=launcher))
    with runner.owned():
        planned = runner.design()
        seconds, doubts = runner.estimate_seconds(planned)
        *runs, target = planned.estimates(seconds, NOT_TRAINED if seconds else runner.trainer.unmeasured)
        return StudyDesign(
            runs=runs,
            target=target,
            total_flops=planned.total_flops,
            separate_flops=planned.separate_flops,
            compute_factor=planned.compute_factor,
            share_of_target=planned.share_of_target,
            workers=runner.workers,
            checks=[*runner.design_checks(planned), *doubts, *limit_checks(runner, planned, seconds)],
        )


@named_arguments
def dry_run(study: Study, folder: str | Path | None = None, launcher: Launcher | None = None) -> DryRun:
    """What `run` would do with each run, and what it would repair first; nothing is written.

    A corpus that has not been tokenised yet is tokenised in a temporary folder. With `launch.bucket` what is done is
    what folder and bucket have together; StoreError for a bucket that cannot be read, or contradicts the folder.
    """
    runner = study_runner(study, folder, launcher=launcher)
    check_belongs(runner.folder, study.name)
    with tempfile.TemporaryDirectory(prefix="foretoken-") as elsewhere:
        home = joined_folder(study, runner.folder, Path(elsewhere)) if study.launch.bucket else runner.folder
        runner.store = Store(home, mended=True)
        if not runner.knows_its_source:
            runner.corpus = prepare_corpus(study.corpus, Path(elsewhere), study.seed)
        planned = runner.planned_design()
        checks, evaluation = known_limit_checks(runner, planned), runner.evaluation
        runs = actions(runner.store, runner.to_train(planned), study.launch.keep_weights, evaluation)
    return DryRun(runs, look_over(runner.folder), checks)


def batch_script(study: Study, folder: str | Path | None = None) -> str | None:
    """The script that sbatch would be given for the workers of a study; None where SLURM does not train it."""
    launcher = LAUNCHERS[study.launch.kind](study.launch)
    if not isinstance(launcher, SlurmLauncher):
        return None
    home = Path(folder or study_folder(study)) / "log" / "slurm"
    return launcher.batch_scripts(home, workers=study.launch.workers or 1)


def actions(
    store: Store, runs: list[RunSpec], keep_weights: KeepWeights = "none", evaluation: Evaluation | None = None
) -> list[RunAction]:
    """What `foretoken run` would do with each run."""
    others = [record.spec for record in store.records(without={run.key for run in runs})]
    rows = []
    for run in runs:
        record, step = store.summary(run.key, run), _resumed_step(store, run)
        action: Action
        if record is not None and record.status != "failed":
            lacking = store.lacks_weights(run, keep_weights) or store.lacks_scores(run, evaluation)
            action = "again" if lacking else "keep"
        else:
            action = "resume" if step else "retry" if record else "train"
        new = because(run, others) if record is None and not step else None
        rows.append(RunAction(id=run.key, group=run.group, action=action, step=step, because=new))
    return rows


def _resumed_step(store: Store, run: RunSpec) -> int | None:
    """The step of the newest checkpoint that the run can go on from."""
    own = [saved.step for saved in checkpoints.in_folder(store.branch_folder(run.key)) if saved.is_committed]
    shared = [saved.step for saved in usable_checkpoints(store, run)]
    return max([*own, *shared], default=None)


@named_arguments
def profile(study: Study, folder: str | Path | None = None, launcher: Launcher | None = None) -> list[StepProfile]:
    """A training step of the smallest, the middle and the largest size and of the target, phase by phase.

    Nothing of it is kept. Raises ForetokenError for a size that cannot be trained here, MissingExtraError where there
    is no torch.
    """
    if study.trainer:
        raise ForetokenError("a training step of your own trainer cannot be timed here", cure="profile it yourself")
    runner = open_bucket(study_runner(study, folder, launcher=launcher))
    runner.require("timing a training step")
    with runner.owned():
        planned = runner.design()
        return [measure(runner, name, run) for name, run in sizes_to_profile(planned.runs, planned.target).items()]


def sizes_to_profile(runs: list[RunSpec], target: RunSpec) -> dict[str, RunSpec]:
    """One run each of the smallest, the middle and the largest size, and the target; equal shapes once."""
    sizes = sorted({run.shape: run for run in runs}.values(), key=lambda run: run.parameters.total)
    named = {"smallest": sizes[0], "middle": sizes[len(sizes) // 2], "largest": sizes[-1]}
    by_shape = {run.shape: name for name, run in reversed(named.items())}
    return {name: named[name] for name in named if name in by_shape.values()} | {"target": target}


def measure(runner: StudyRunner, name: str, run: RunSpec) -> StepProfile:
    """Profile one run where nothing runs beside it, with its own number of threads."""
    log = runner.folder / "log" / "profile.txt"
    gpus = runner.study.launch.gpus_of(run.parameters.total)
    job = Job(name, ProfilingJob(run, runner.corpus.folder).to_json(), 0.0, gpus)
    (outcome,) = runner.launcher.launch(PROFILE, [job], workers=1, threads=run.threads, log=log)
    if outcome.error:
        raise ForetokenError(f"{name} could not be measured", got=outcome.error.strip().splitlines()[-1])
    return StepProfile(
        size=name,
        params_total=run.parameters.total,
        width=run.shape.width,
        layers=run.shape.layers,
        threads=run.threads,
        precision=run.precision,
        batch_tokens=run.batch_tokens,
        times=StepTimes.from_json(outcome.result_json),
    )
