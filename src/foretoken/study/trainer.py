"""Training a study's runs through its launcher: what waits, in which process, how long it takes, and what failed."""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from inspect import signature
from math import ceil
from pathlib import Path
from typing import Any

from foretoken import fits
from foretoken._version import __version__
from foretoken.data import TokenizedCorpus, check_corpus
from foretoken.designs import group_by_trunk, own_steps
from foretoken.errors import ForetokenError, LimitReachedError, MissingExtraError, StoreError
from foretoken.launchers.calibration import Calibration, work
from foretoken.launchers.jobs import TRAIN, TRAIN_AND_SCORE, TrainingJob, WorkerContext
from foretoken.launchers.launcher import Event, Job, Launcher, Machine, Outcome
from foretoken.runs.record import RunRecord
from foretoken.runs.schema import LaunchSection
from foretoken.runs.spec import RunSpec
from foretoken.store.checkpoints import delete_all
from foretoken.store.scores import evaluation_path, keep_evaluation
from foretoken.store.store import Store
from foretoken.study.design_checks import check_threads
from foretoken.study.design_file import ThreadChoice
from foretoken.study.limit_checks import limit_reached
from foretoken.study.progress import Progress, ProgressListener, notes_to
from foretoken.study.scoring_work import ScoringWork
from foretoken.study.spending import Meter, Spending
from foretoken.tasks.evaluation import Evaluation


class Trainer(ABC):
    """Trains runs into a study's folder. `check` is called now and then, and may raise to stop."""

    function: str
    """What the launcher calls for each job."""
    saves = True
    """Whether a run that was stopped goes on from what it has saved."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        *,
        workers: int,
        launch: LaunchSection,
        listener: ProgressListener,
        check: Callable[[], None],
    ) -> None:
        self.store, self.launcher, self.listener, self.check = store, launcher, listener, check
        self.workers, self.launch, self.keep_weights = workers, launch, launch.keep_weights
        self.tried: set[str] = set()
        """Keys of the runs that this process has tried: what failed here is left to the next process."""

    @abstractmethod
    def estimate(self, runs: list[RunSpec]) -> dict[str, float]:
        """Seconds of each run by key, beyond what its trunk has trained; of no key what cannot be known."""

    @abstractmethod
    def known_seconds(self, runs: list[RunSpec]) -> dict[str, float]:
        """As `estimate`, by what is known already, nothing being measured; of no run where that does not suffice."""

    @property
    @abstractmethod
    def unmeasured(self) -> str:
        """Why runs have no estimated seconds, where they have none."""

    def gpus_of(self, run: RunSpec) -> float:
        """GPUs of a run; 0 where the study file does not say."""
        return self.launch.gpus_of(run.parameters.total)

    def cores_of(self, run: RunSpec) -> float:
        """Cores that a run has for itself."""
        return float(run.threads)

    @abstractmethod
    def _job(self, trunk: list[RunSpec], seconds: dict[str, float], workers: int) -> Job:
        """What the launcher is given for the runs of a trunk."""

    def _check_source(self) -> None:  # noqa: B027
        """Raise StoreError where what the runs are trained on has changed; by default nothing of ours can have."""

    def estimate_target(self, target: RunSpec | None, asked: int) -> tuple[dict[str, float], list[fits.Check]]:
        """Seconds of the target by its key, and doubts about the number of its threads that was `asked` for."""
        return (self.estimate([target]) if target else {}), []

    def choose_threads(self, target: RunSpec, asked: int) -> ThreadChoice | None:
        """The threads that train the target fastest; None where there is no choice."""
        return None

    def train(self, runs: list[RunSpec]) -> None:
        """Train the runs that have no record yet, or a failed one, or lack the weights that are to be kept.

        One process per trunk, the longest first.

        Raises StoreError for tokens that have changed, and for a failure that is not a run's own, as a full disk.
        """
        runs = [run for run in runs if not (run.key in self.tried and self._waits(run))]
        waiting = self.waiting(runs)
        # Marked before they are trained: what fails here is left to the next process, not tried for ever.
        self.tried |= {run.key for run in waiting}
        self._clear_checkpoints(runs, waiting)
        if not waiting:
            return
        self._check_source()
        # Trunks of all runs, not of those that wait: a branch that is left must still find where its trunk forks.
        trunks = [trunk for trunk in group_by_trunk(runs) if any(run in waiting for run in trunk)]
        seconds = self.estimate([run for trunk in trunks for run in trunk])
        jobs = [self._job(trunk, seconds, self._workers(trunks)) for trunk in trunks]
        meter = self._meter(jobs, trunks)
        self.listener.phase("training" if not runs[0].is_target else "training the target")
        self.listener.training(waiting, self.ahead(waiting, seconds))
        outcomes = self._launch(jobs, meter, self._workers(trunks), runs[0].threads)
        self._keep_failures(outcomes, {trunk[0].trajectory: trunk for trunk in trunks})
        ended = {outcome.name for outcome in outcomes}
        if left := [job for job in jobs if job.name not in ended]:
            raise limit_reached(self.store, meter, left)

    def _launch(self, jobs: list[Job], meter: Meter, workers: int, threads: int) -> list[Outcome]:
        progress = Progress(self.store, self.listener)

        def report(name: str, event: Event) -> None:
            meter.report(name, event)
            progress.report(name, event)

        def check() -> None:
            self.check()
            meter.check()

        try:
            # A limit that is reached already starts nothing, not even a worker.
            meter.check()
            outcomes = self.launcher.launch(
                self.function,
                jobs,
                workers=workers,
                threads=threads,
                log=self.store.folder / "log" / "workers.txt",
                on_event=report,
                check=check,
                **self._admitting(meter),
            )
        except LimitReachedError:
            meter.close()
            raise limit_reached(self.store, meter) from None
        finally:
            meter.close()
        progress.clear()
        return outcomes

    def _meter(self, jobs: list[Job], trunks: list[list[RunSpec]]) -> Meter:
        spending = Spending(self.store.folder)
        spending.take_records(self.store, self.launch)
        spending.reached = ""
        return Meter(
            spending,
            self.launch,
            jobs,
            cores=self.cores_of(trunks[0][0]),
            waiting={trunk[0].trajectory: {run.key for run in trunk if self._waits(run)} for trunk in trunks},
            measured=bool(self.known_seconds([run for trunk in trunks for run in trunk])),
            saves=self.saves,
            # What has its record and lacks weights or scores has no checkpoint any more.
            again={run.trajectory for trunk in trunks for run in trunk if self._lacks(run)},
        )

    def _admitting(self, meter: Meter) -> dict[str, Any]:
        """What a launcher needs to keep a limit; nothing where there is none, since not every launcher can."""
        if not self.launch.limit:
            return {}
        if "admit" not in signature(self.launcher.launch).parameters:
            raise ForetokenError(
                "this launcher cannot keep launch.limit",
                expected=f"an argument `admit` of {type(self.launcher).__name__}.launch",
                cure="take launch.limit out of the study file, or add the argument: see foretoken.launchers.Launcher",
            )
        return {"admit": meter.admit}

    def ahead(self, runs: list[RunSpec], seconds: Mapping[str, float]) -> dict[str, float]:
        """What each run that waits still takes, by its key, of its estimated seconds."""
        return {run.key: seconds[run.key] for run in runs if self._waits(run) and run.key in seconds}

    def waiting(self, runs: list[RunSpec]) -> list[RunSpec]:
        """The runs that `train` would train, or give what is to be kept of them."""
        return [run for run in runs if self._waits(run)]

    def _waits(self, run: RunSpec) -> bool:
        record = self.store.record(run.key)
        return record is None or record.has_failed or self._lacks(run)

    def _lacks(self, run: RunSpec) -> bool:
        """Whether a run has finished without something that is to be kept of it."""
        return self.store.lacks_weights(run, self.keep_weights)

    def _workers(self, trunks: list[list[RunSpec]]) -> int:
        """Processes side by side: one per core, unless a run has several threads for itself."""
        return min(self.workers, len(trunks)) if trunks[0][0].threads == 1 else 1

    def _clear_checkpoints(self, runs: list[RunSpec], waiting: list[RunSpec]) -> None:
        """Delete those of what has its record: whoever wrote that may have died before it came to it."""
        keys, trunks = ({run.key for run in waiting}, {run.trajectory for run in waiting})
        for run in runs:
            if run.key not in keys:
                delete_all(self.store.branch_folder(run.key))
            if run.trajectory not in trunks:
                delete_all(self.store.trunk_folder(run.trajectory))

    def _keep_failures(self, outcomes: list[Outcome], trunks: dict[str, list[RunSpec]]) -> None:
        fatal = None
        for outcome in outcomes:
            if outcome.error:
                fatal = outcome.error if outcome.fatal else fatal
                # On a full disk the failure itself cannot be written; that error is then raised as the fatal one.
                with suppress(StoreError):
                    self._record_failure(trunks[outcome.name], outcome.error)
        if fatal:
            raise StoreError(fatal)

    def _record_failure(self, runs: list[RunSpec], error: str) -> None:
        for run in runs:
            known = self.store.record(run.key)
            if known is None or known.has_failed:
                record = RunRecord(spec=run, status="failed", parent=run.trunk, version=__version__, error=error)
                self.store.put_record(record)
                self.listener.ended(record)


class LoopTrainer(Trainer):
    """Trains with foretoken's own loop, on a tokenised corpus."""

    def __init__(
        self,
        store: Store,
        corpus: TokenizedCorpus,
        launcher: Launcher,
        machine: Machine,
        *,
        workers: int,
        launch: LaunchSection,
        listener: ProgressListener,
        check: Callable[[], None],
        evaluation: Evaluation | None = None,
        examples: Path | None = None,
    ) -> None:
        super().__init__(store, launcher, workers=workers, launch=launch, listener=listener, check=check)
        self.evaluation, self.function = evaluation, TRAIN_AND_SCORE if evaluation else TRAIN
        self.corpus, self.examples, self.machines = corpus, examples, machine.count
        self.scoring = ScoringWork(evaluation, corpus, examples) if evaluation else None
        self.speeds: dict[RunSpec, float] = {}
        """Seconds per token that is trained on, of the runs whose scoring was estimated."""
        self.calibration = Calibration(store, launcher, machine.processor, self.gpus_of, notes_to(listener))

    @property
    def unmeasured(self) -> str:
        """Why runs have no estimated seconds, where they have none."""
        if torch_version() is None:
            return "not measured: torch is not installed; pip install 'foretoken[train]'"
        return "the speed has not been measured: foretoken design measures it"

    def estimate(self, runs: list[RunSpec]) -> dict[str, float]:
        """Seconds of each run by key, from a short calibration; a run counts what its trunk has not trained."""
        self.calibration.measure(runs, self._workers(group_by_trunk(runs)))
        return self.known_seconds(runs)

    def known_seconds(self, runs: list[RunSpec]) -> dict[str, float]:
        """By the calibration so far, scoring included."""
        if not all(map(self.calibration.knows, runs)):
            return {}
        scoring = self._scoring_seconds(runs)
        return {
            run.key: self.calibration.seconds(run, steps) + scoring[run.key]
            for trunk in group_by_trunk(runs)
            for run, steps in own_steps(trunk)
        }

    def _scoring_seconds(self, runs: list[RunSpec]) -> dict[str, float]:
        """Of scoring each run as often as it is: by the tokens that are read, and by what that has taken so far."""
        if self.scoring is None:
            return {run.key: 0.0 for run in runs}
        # Those of before are kept in mind: the target is estimated alone, by what the small runs took.
        self.speeds |= {run: self.calibration.seconds_per_token(run) for run in runs}
        factor = self.scoring.over_estimate(self.store, self.speeds)
        return {run.key: factor * self.speeds[run] * self.scoring.of_run(run) for run in runs}

    def ahead(self, runs: list[RunSpec], seconds: Mapping[str, float]) -> dict[str, float]:
        """As every trainer; of kept weights that are scored, the scoring alone."""
        kept = [run for run in runs if self._is_kept(run) and self.calibration.knows(run)]
        scoring = self._scoring_seconds(kept)
        once = {run.key: scoring[run.key] / len(self.evaluation.steps(run)) for run in kept if self.evaluation}
        return super().ahead(runs, seconds) | once

    def _is_kept(self, run: RunSpec) -> bool:
        """Whether nothing but the scoring of kept weights is left of a run."""
        return self.store.can_score_kept(run, self.evaluation, self.keep_weights)

    def estimate_target(self, target: RunSpec | None, asked: int) -> tuple[dict[str, float], list[fits.Check]]:
        """Seconds of the target by its key, as threads of its number train beside what else the machine does now.

        With the number that was `asked` for, and a doubt where one thread is faster; else (0) with the faster of both.
        """
        if target is None:
            return {}, []
        measured = self.calibration.compare_threads(target) if target.threads > 1 else []
        if not measured:
            return self.estimate([target]), []
        speed = max(one.tokens_per_second for one in measured if not asked or one.threads == asked)
        tokens = work(target, target.steps)
        if self.scoring:
            tokens += self.scoring.of_run(target) * self.scoring.over_estimate(self.store, self.speeds)
        return {target.key: tokens / speed}, check_threads(measured, asked) if asked else []

    def choose_threads(self, target: RunSpec, asked: int) -> ThreadChoice | None:
        """One thread or all that the target has, whichever trains it faster now, beside what else the machine does.

        None where it cannot be measured, and where a number was `asked` for: then it is told when one thread is faster.
        """
        measured = self.calibration.compare_threads(target)
        for check in check_threads(measured, asked) if asked else []:
            self.listener.note(f"{check.code}: {check.evidence}; {check.cure}")
        if asked or not measured:
            return None
        fastest = max(measured, key=lambda one: (one.tokens_per_second, one.threads))
        told = " and ".join(f"{one.tokens_per_second:,.0f} with {one.threads}" for one in measured)
        self.listener.note(f"threads of the target: {fastest.threads}, kept from now on; tokens per second: {told}")
        return ThreadChoice(fastest.threads, measured)

    def _lacks(self, run: RunSpec) -> bool:
        """Whether a run has finished without its weights or its scores."""
        return super()._lacks(run) or self.store.lacks_scores(run, self.evaluation)

    def train(self, runs: list[RunSpec]) -> None:
        """As every trainer does; the tasks are kept even where nothing waits, since they may be those of before."""
        if self.evaluation:
            keep_evaluation(self.store.folder, self.evaluation, self.examples)
            for run in runs:
                self.store.unsettle_scores(run, self.evaluation)
        super().train(runs)

    def _check_source(self) -> None:
        """Hash the corpus, once, before anything is trained on it."""
        _ = self._intact_corpus

    @cached_property
    def _intact_corpus(self) -> TokenizedCorpus:
        """The corpus as it was tokenised. Raises StoreError."""
        check_corpus(self.corpus.folder)
        return self.corpus

    def _job(self, trunk: list[RunSpec], seconds: dict[str, float], workers: int) -> Job:
        context = WorkerContext(
            folder=self.store.folder,
            corpus=self.corpus.folder,
            peak_flops=self.calibration.peak(trunk[0]),
            threads_in_use=ceil(workers / self.machines) * trunk[0].threads,
            attempt=self.store.attempt,
            keep_weights=self.keep_weights,
            evaluation=evaluation_path(self.store.folder, self.evaluation.digest) if self.evaluation else None,
        )
        job = TrainingJob(trunk, context)
        kept = [run for run in trunk if self._is_kept(run)]
        total = sum(self.ahead(kept, seconds).values())
        if any(self._waits(run) for run in trunk if run not in kept):
            total += sum(seconds[run.key] for run in trunk if run not in kept)
        return Job(trunk[0].trajectory, job.to_json(), total, self.gpus_of(trunk[0]))


def require_torch(purpose: str) -> None:
    """Raise MissingExtraError where torch is not installed, or what goes with it."""
    missing = ["torch"] if torch_version() is None else [name for name in ("safetensors",) if find_spec(name) is None]
    if missing:
        raise MissingExtraError(missing[0], "train", purpose)


def torch_version() -> str | None:
    """Of the torch that is installed; None where none is."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None
