"""A study whose runs a command of the user's trains: no corpus, no calibration, no torch."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from statistics import median
from typing import Any

from foretoken import fits
from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design
from foretoken.designs.own_recipe import OwnRecipe, own_recipe
from foretoken.errors import DesignError, ForetokenError
from foretoken.launchers.launcher import Job, Machine
from foretoken.launchers.worker_process import ASLEEP, SPINNING, THREAD_VARIABLES
from foretoken.own_trainer.job import RUN, CommandJob, words
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.trainer_section import TrainerSection
from foretoken.study.design_checks import check_gpu_memory, check_gpus, workers_of
from foretoken.study.own_code import code_digest
from foretoken.study.runner import StudyRunner
from foretoken.study.trainer import Trainer

FAR = 4.0
"""Times the usual tokens per parameter from which a target's are told."""
UNMEASURED = "not measured: the speed of your trainer is known when a run has ended"


class OwnStudyRunner(StudyRunner):
    """As StudyRunner, with the command of [trainer] in place of foretoken's loop."""

    @property
    def section(self) -> TrainerSection:
        """[trainer] of the study file."""
        assert self.study.trainer
        return self.study.trainer

    @property
    def workers(self) -> int:
        """Commands side by side: one on this machine, unless the study file says how many it holds, or GPUs."""
        launch = self.study.launch
        return workers_of(launch, self.machine, 1 if launch.kind == "local" else self.machine.cores)

    @property
    def target_threads(self) -> int:
        """What the command does with threads is its own affair."""
        return 1

    @property
    def knows_its_source(self) -> bool:
        """Nothing but the code is needed, and it is there or refused."""
        return True

    @cached_property
    def code(self) -> str:
        """Hash of the files that are named as code; empty where none are. Raises StudyFileError."""
        return code_digest(self.study.home, self.section.code)

    def source_json(self) -> list[Any]:
        """The code: the command itself is in the study file."""
        return [self.code]

    def corpus_summary(self) -> CorpusSummary | None:
        """Nothing is known of what the command reads."""
        return None

    def require(self, purpose: str) -> None:
        """Nothing of ours is needed."""

    @cached_property
    def recipe(self) -> OwnRecipe:
        """The study's rules."""
        return own_recipe(self.study, self.code)

    def design_checks(self, design: Design) -> list[fits.Check]:
        """The doubts about planned runs, and one where no listed size suits the target."""
        usual = median(run.tokens / run.parameters.total for run in design.runs)
        target = design.target.tokens / design.target.parameters.total
        checks = super().design_checks(design)
        checks += check_gpu_memory(self.to_train(design), self.study.launch, self.machine)
        if self.section.sizes and not self.study.target.size and not 1 / FAR < target / usual < FAR:
            told = f"the listed size nearest to the target's gets {target:.3g} tokens per parameter, others {usual:.3g}"
            checks.append(fits.Check("target_size", "doubt", told, "say target.size = { ... } in the study file"))
        return checks

    def check_room(self, runs: list[RunSpec]) -> None:
        """Raise DesignError for a run for which the command cannot be filled in, or no machine has the GPUs."""
        launch = self.study.launch
        if launch.kind != "manual":
            check_gpus(runs, launch, self.machine)
        for run in runs:
            gpus = launch.gpus_of(run.parameters.total)
            try:
                first, *_ = words(self.section, run, self.store.own_folder(run.key), gpus, goes_on=True)
            except ValueError as error:
                name = f"{run.group}, {run.parameters.total} parameters"
                raise DesignError(f"the command cannot be filled in for a run ({name})", got=str(error)) from None
            if launch.kind == "local" and not self._is_there(first):
                raise DesignError(f"the command {first!r} is not there", cure="install it, or give its path")

    def _is_there(self, program: str) -> bool:
        """Whether a program can be started; one with a slash is below the study file's folder, or a whole path."""
        if os.sep in program:
            return os.access(self.study.home / program, os.X_OK)
        return shutil.which(program) is not None

    @cached_property
    def trainer(self) -> Trainer:
        """What starts the commands."""
        return CommandTrainer(
            self.study,
            self.section,
            self.machine,
            self.store,
            self.launcher,
            workers=self.workers,
            launch=self.study.launch,
            listener=self.listener,
            check=self._check_lease,
        )

    def estimate_seconds(self, design: Design) -> tuple[dict[str, float], list[fits.Check]]:
        """Seconds of each run by the pace of those that have ended; none before one has."""
        return self.trainer.known_seconds(self.to_train(design)), []


class CommandTrainer(Trainer):
    """Trains each run by a command."""

    function = RUN
    unmeasured = UNMEASURED

    def __init__(
        self, study: Study, section: TrainerSection, machine: Machine, *arguments: Any, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.section, self.home, self.machine = section, study.home, machine
        self.by_hand, self.saves = study.launch.kind == "manual", bool(section.checkpoint)

    def train(self, runs: list[RunSpec]) -> None:
        """As every trainer; where the commands are started by hand, say which runs wait. Raises ForetokenError."""
        waiting = self.waiting(runs) if self.by_hand else []
        if waiting:
            raise ForetokenError(
                f"{len(waiting)} of {len(runs)} runs wait for their results",
                expected=f"a record of {', '.join(run.key[:8] for run in waiting[:5])}{', ...' * (len(waiting) > 5)}",
                cure="foretoken design STUDY --shell prints their commands, foretoken record STUDY RUN takes a result",
            )
        super().train(runs)

    def _pace(self) -> float | None:
        """Seconds of one GPU per FLOP, by the runs that have ended; None before one has."""
        # As if GPUs made a run faster in proportion: sizes with more of them would else be thought to take as long.
        paces = [
            record.seconds * (self.gpus_of(record.spec) or 1.0) / record.spec.flops
            for record in self.store.records()
            if record.is_finished and record.seconds > 0
        ]
        return median(paces) if paces else None

    def estimate(self, runs: list[RunSpec]) -> dict[str, float]:
        """Seconds by the pace so far. Before any run has ended they are only in proportion."""
        return self._seconds(runs, self._pace() or 1.0 / max(run.flops for run in runs))

    def known_seconds(self, runs: list[RunSpec]) -> dict[str, float]:
        """Seconds by the pace so far; of no run before one has ended."""
        pace = self._pace()
        return self._seconds(runs, pace) if pace else {}

    def _seconds(self, runs: list[RunSpec], pace: float) -> dict[str, float]:
        return {run.key: pace * run.flops / (self.gpus_of(run) or 1.0) for run in runs}

    def cores_of(self, run: RunSpec) -> float:
        """A cluster gives a command one core; on this machine those side by side share all that there are."""
        return self.machine.cores / self.workers if self.launch.kind == "local" else 1.0

    def _job(self, trunk: list[RunSpec], seconds: dict[str, float], workers: int) -> Job:
        (run,) = trunk
        job = CommandJob(
            run=run,
            trainer=self.section,
            folder=self.store.folder.absolute(),
            home=self.home,
            environment={name: os.environ.get(name) for name in (*THREAD_VARIABLES, *ASLEEP, *SPINNING)},
            attempt=self.store.attempt,
            gpus=self.gpus_of(run),
            keep_weights=self.keep_weights,
        )
        return Job(run.trajectory, job.to_json(), seconds[run.key], self.gpus_of(run))
