"""A study whose runs a command of the user's trains: no corpus, no calibration, no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from functools import cached_property
from statistics import median
from typing import Any

from foretoken import fits
from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design
from foretoken.designs.own_recipe import OwnRecipe, own_recipe
from foretoken.errors import DesignError, ForetokenError
from foretoken.launchers.launcher import Job
from foretoken.launchers.worker_process import ASLEEP, SPINNING, THREAD_VARIABLES
from foretoken.own_trainer.job import RUN, CommandJob, words
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.trainer_section import TrainerSection
from foretoken.study.own_code import code_digest
from foretoken.study.runner import StudyRunner
from foretoken.study.trainer import Trainer

FAR = 4.0
"""Times the usual tokens per parameter from which a target's are told."""
UNMEASURED = "not measured: the speed of your trainer is known when a run has ended"


class OwnStudyRunner(StudyRunner):
    """As StudyRunner, with the command of [trainer] in place of foretoken's loop."""

    unmeasured = UNMEASURED

    @property
    def section(self) -> TrainerSection:
        """[trainer] of the study file."""
        assert self.study.trainer
        return self.study.trainer

    @property
    def workers(self) -> int:
        """Commands side by side: one on this machine, unless the study file says how many it holds."""
        return self.study.launch.workers or (1 if self.study.launch.kind == "local" else self.machine.cores)

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
        if self.section.sizes and not self.study.target.size and not 1 / FAR < target / usual < FAR:
            told = f"the listed size nearest to the target's gets {target:.3g} tokens per parameter, others {usual:.3g}"
            checks.append(fits.Check("target_size", "doubt", told, "say target.size = { ... } in the study file"))
        return checks

    def check_room(self, runs: list[RunSpec]) -> None:
        """Raise DesignError for a run for which the command cannot be filled in."""
        for run in runs:
            try:
                first, *_ = words(
                    self.section, run, self.store.own_folder(run.key), self.study.launch.gpus, goes_on=True
                )
            except ValueError as error:
                name = f"{run.group}, {run.parameters.total} parameters"
                raise DesignError(f"the command cannot be filled in for a run ({name})", got=str(error)) from None
            if self.study.launch.kind == "local" and not self._is_there(first):
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
            self.store,
            self.launcher,
            workers=self.workers,
            keep_weights=self.study.launch.keep_weights,
            listener=self.listener,
            check=self._check_lease,
        )

    def estimate_seconds(self, design: Design) -> tuple[dict[str, float], list[fits.Check]]:
        """Seconds of each run by the pace of those that have ended; none before one has."""
        runs = self.to_train(design)
        return (self.trainer.estimate(runs) if CommandTrainer.pace(self.store.records()) else {}), []


class CommandTrainer(Trainer):
    """Trains each run by a command."""

    function = RUN

    def __init__(self, study: Study, section: TrainerSection, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.section, self.home, self.gpus = section, study.home, study.launch.gpus
        self.by_hand = study.launch.kind == "manual"

    def train(self, runs: list[RunSpec]) -> None:
        """As every trainer; where the commands are started by hand, say which runs wait. Raises ForetokenError."""
        waiting = [run for run in runs if self._waits(run)] if self.by_hand else []
        if waiting:
            raise ForetokenError(
                f"{len(waiting)} of {len(runs)} runs wait for their results",
                expected=f"a record of {', '.join(run.key[:8] for run in waiting[:5])}{', ...' * (len(waiting) > 5)}",
                cure="foretoken design STUDY --shell prints their commands, foretoken record STUDY RUN takes a result",
            )
        super().train(runs)

    @staticmethod
    def pace(records: Iterable[Any]) -> float | None:
        """Seconds per FLOP of the runs that have ended; None before one has."""
        paces = [record.seconds / record.spec.flops for record in records if record.is_finished and record.seconds > 0]
        return median(paces) if paces else None

    def estimate(self, runs: list[RunSpec]) -> dict[str, float]:
        """Seconds by the pace so far. Before any run has ended they are only in proportion to the FLOPs."""
        pace = self.pace(self.store.records()) or 1.0 / max(run.flops for run in runs)
        return {run.key: pace * run.flops for run in runs}

    def _job(self, trunk: list[RunSpec], seconds: dict[str, float], workers: int) -> Job:
        (run,) = trunk
        job = CommandJob(
            run=run,
            trainer=self.section,
            folder=self.store.folder.absolute(),
            home=self.home,
            environment={name: os.environ.get(name) for name in (*THREAD_VARIABLES, *ASLEEP, *SPINNING)},
            attempt=self.store.attempt,
            gpus=self.gpus,
            keep_weights=self.keep_weights,
        )
        return Job(run.trajectory, job.to_json(), seconds[run.key])
