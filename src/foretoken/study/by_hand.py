"""Runs that are started by hand: listed as a table or a script, and their results brought home as records."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foretoken._version import __version__
from foretoken.arguments import named_arguments
from foretoken.errors import DesignError, ForetokenError, RefusedError
from foretoken.escapes import for_csv, for_shell, in_one_line
from foretoken.forecasts import ledger
from foretoken.own_trainer.job import OTHER_LENGTH, words
from foretoken.own_trainer.result import CommandResult, read_result
from foretoken.results import Result
from foretoken.runs.command_fields import RECIPE, SHAPE
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.store import clock
from foretoken.store.store import is_key
from foretoken.study.frozen import current_forecast, has_begun
from foretoken.study.run_study import open_bucket, study_runner
from foretoken.study.runner import StudyRunner

Form = Literal["csv", "shell", "slurm", "skypilot"]
FEWEST = 4
"""Characters of a run's key that must be given."""
RECORD = "foretoken record STUDY RUN --result FILE brings a result home"


@dataclass(frozen=True, kw_only=True)
class PlannedCommand(Result):
    """A run and the command that trains it."""

    run: RunSpec
    folder: str
    """Where its result is to lie, as seen from the folder of the study file."""
    words: list[str]
    """Of the command; none where foretoken's own loop trains it."""

    def to_json(self) -> dict[str, Any]:
        """Plain values: one row of `foretoken design --csv`."""
        run = self.run
        return {
            "run": run.key,
            "group": run.group,
            "params": run.parameters.total,
            "tokens": run.tokens,
            "flops": run.flops,
            "steps": run.steps,
            **{name: getattr(run, name) for name in RECIPE if name not in ("tokens", "group")},
            **{name: getattr(run.shape, name) for name in SHAPE},
            **(run.trainer.given if run.trainer else {}),
            "command": for_shell(*self.words) if self.words else "",
        }


@named_arguments
def planned_commands(study: Study, folder: str | Path | None = None) -> list[PlannedCommand]:
    """The runs of a study that have no record, the longest first, each with its command.

    The target is not among them before its forecast is frozen, which `foretoken run` does when the others have theirs.
    Nothing is trained or measured. Raises DesignError as `design` does.
    """
    runner = open_bucket(study_runner(study, folder))
    with runner.owned():
        design = runner.design()
        frozen = current_forecast(runner.folder, design) is not None
        runs = runner.to_train(design) if frozen else design.runs
        runs = [run for run in runs if not runner.store.is_done(run)]
    home, planned = study.home, []
    for run in sorted(runs, key=lambda run: -run.flops):
        place = runner.store.own_folder(run.key).absolute()
        seen = os.path.relpath(place, home) if place.is_relative_to(home) else str(place)
        saved = study.trainer and study.trainer.checkpoint and any(place.glob(study.trainer.checkpoint))
        gpus = study.launch.gpus_of(run.parameters.total)
        own = words(study.trainer, run, Path(seen), gpus, bool(saved)) if study.trainer else []
        planned.append(PlannedCommand(run=run, folder=seen, words=own))
    return planned


@named_arguments
def start_script(study: Study, form: Form, folder: str | Path | None = None) -> str:
    """The runs without a record as a table (csv), or as a script that starts them.

    Raises DesignError for a script of a study that foretoken's own loop trains.
    """
    planned = planned_commands(study, folder)
    if form == "csv":
        return _csv(planned)
    if study.trainer is None:
        raise DesignError(
            "only the runs of your own trainer are commands", expected="[trainer] in the study file", cure="--csv"
        )
    if not planned:
        raise ForetokenError("every run has its record: there is nothing to start")
    return {"shell": _shell, "slurm": _slurm, "skypilot": _skypilot}[form](study, planned)


def _csv(planned: Sequence[PlannedCommand]) -> str:
    rows = [one.to_json() for one in planned]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, lineterminator="\n", fieldnames=list(dict.fromkeys(name for row in rows for name in row)) or ["run"]
    )
    writer.writeheader()
    writer.writerows({name: for_csv(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def _shell(study: Study, planned: Sequence[PlannedCommand]) -> str:
    lines = ["#!/bin/sh", *_about(study, planned), "set -e", f"cd {for_shell(str(study.home))}"]
    for one in planned:
        lines += ["", f"# {_name(one)}", _making(one), _starting(one)]
    return "\n".join(lines) + "\n"


def _slurm(study: Study, planned: Sequence[PlannedCommand]) -> str:
    head = [
        "#!/bin/bash",
        f"#SBATCH --job-name=foretoken-{study.name}",
        f"#SBATCH --array=0-{len(planned) - 1}",
        "#SBATCH --output=%x-%A_%a.log",
        "#SBATCH --requeue",
        "# add what your cluster needs: --partition, --account, --gres=gpu:8, --time",
        *_about(study, planned),
        "set -e",
        f"cd {for_shell(str(study.home))}",
    ]
    return "\n".join([*head, *_cases(planned, "SLURM_ARRAY_TASK_ID")]) + "\n"


def _skypilot(study: Study, planned: Sequence[PlannedCommand]) -> str:
    last = len(planned) - 1
    head = [
        *_about(study, planned),
        f"# for i in $(seq 0 {last}); do sky jobs launch -y -d task.yaml --env RUN_NUMBER=$i; done",
        f"name: foretoken-{study.name}",
        "workdir: .",
        "# add what your runs need: resources: {accelerators: H100:8}",
        "envs:",
        '  RUN_NUMBER: "0"',
        "run: |",
        "  set -e",
    ]
    return "\n".join([*head, *(f"  {line}" for line in _cases(planned, "RUN_NUMBER"))]) + "\n"


def _about(study: Study, planned: Sequence[PlannedCommand]) -> list[str]:
    return [f"# foretoken {__version__}: {len(planned)} runs of the study {study.name}; {RECORD}"]


def _cases(planned: Sequence[PlannedCommand], variable: str) -> list[str]:
    lines = [f'case "${variable}" in']
    for number, one in enumerate(planned):
        lines += [f"{number})  # {_name(one)}", f"  {_making(one)}", f"  {_starting(one)}", "  ;;"]
    return [*lines, "esac"]


def _name(one: PlannedCommand) -> str:
    return in_one_line(
        f"{one.run.key}: {one.run.group}, {one.run.parameters.total} parameters, {one.run.tokens} tokens"
    )


def _making(one: PlannedCommand) -> str:
    return f"mkdir -p {for_shell(one.folder)}"


def _starting(one: PlannedCommand) -> str:
    return for_shell(*one.words)


@named_arguments
def record(
    study: Study,
    run: str,
    *,
    loss: float | None = None,
    loss_se: float | None = None,
    result: str | Path | None = None,
    seconds: float | None = None,
    device: str = "",
    folder: str | Path | None = None,
) -> RunRecord:
    """Record a run that was started by hand: it then counts as any other run of the study.

    Args:
        study: a study with an own trainer.
        run: the key of the run, or its first characters.
        loss: nats per token at the end of the run; NaN for one that diverged.
        loss_se: the standard error of the loss.
        result: the file or folder that the command left, in place of `loss`.
        seconds: what the run took.
        device: what it ran on.
        folder: the study's folder.

    Raises ForetokenError for a run that is not planned or has its record, RefusedError for the target before its
    forecast is frozen, TableError for a result that has no loss.

    """
    if study.trainer is None:
        raise ForetokenError("only results of your own trainer can be recorded", cure="foretoken fit reads tables")
    if (loss is None) == (result is None):
        raise ForetokenError("a result is a loss, or the file that has it", expected="loss, or result")
    runner = open_bucket(study_runner(study, folder))
    with runner.owned():
        design = runner.planned_design()
        planned = _named(run, runner.to_train(design))
        if runner.store.is_done(planned):
            raise ForetokenError(
                f"run {planned.key} has its record",
                cure="records are never replaced: to give another, delete the run's folder first",
            )
        told = CommandResult(loss=float(loss or 0.0), loss_se=loss_se, seconds=seconds, device=device)
        told = read_result(Path(result), study.trainer.map, planned.batch_tokens) if result is not None else told
        _check(told, planned)
        if planned.is_target:
            _begin_target(runner, planned)
        new = _record_of(planned, told)
        runner.store.put_record(new)
        runner.store.seal_records([planned.key])
    return new


def _check(told: CommandResult, run: RunSpec) -> None:
    """Raise ForetokenError for numbers that no run has, and for another length than the run's."""
    if told.loss <= 0:
        raise ForetokenError(
            f"a loss of {told.loss:g}", expected="nats per token, above 0; nan for a run that diverged"
        )
    for name, value in (("loss_se", told.loss_se), ("seconds", told.seconds)):
        if value is not None and not 0 <= value < math.inf:
            raise ForetokenError(f"{name} of {value:g}", expected="a finite number, 0 or above")
    if told.tokens is not None and abs(told.tokens / run.tokens - 1) > OTHER_LENGTH:
        raise ForetokenError(
            "this is the result of a run of another length",
            expected=f"{run.tokens} tokens",
            got=f"{told.tokens:.0f}",
            cure="name the run whose result it is: foretoken design STUDY --csv lists them",
        )


def _named(run: str, planned: list[RunSpec]) -> RunSpec:
    found = [one for one in planned if one.key.startswith(run)] if len(run) >= FEWEST else []
    if len(found) == 1 and (is_key(run) or len(run) < len(found[0].key)):
        return found[0]
    keys = ", ".join(one.key for one in (found or planned)[:5])
    raise ForetokenError(
        f"no planned run is {run!r}" if not found else f"{len(found)} planned runs begin with {run!r}",
        expected=f"the key of a run, or its first {FEWEST} characters and more: {keys}, ...",
        cure="foretoken design STUDY --csv lists them",
    )


def _begin_target(runner: StudyRunner, target: RunSpec) -> None:
    """Say in the ledger that the target has begun. Raises RefusedError before a forecast of it is frozen."""
    line = current_forecast(runner.folder, runner.planned_design())
    if line is None:
        raise RefusedError(
            "no_forecast_yet",
            "the target's result would stand before any forecast of it is frozen",
            "record the small runs, then foretoken run STUDY, which freezes the forecast",
        )
    if not has_begun(runner.store, target):
        ledger.begin(runner.folder / "ledger" / line.entry.name, target.key)


def _record_of(run: RunSpec, told: CommandResult) -> RunRecord:
    finished = math.isfinite(told.loss)
    return RunRecord(
        spec=run,
        status="finished" if finished else "diverged",
        loss=told.loss if finished else None,
        loss_se=told.loss_se,
        curve=told.curve,
        tokens_trained=run.tokens,
        seconds=told.seconds or 0.0,
        tokens_per_second=run.tokens / told.seconds if told.seconds else None,
        device=told.device,
        finished_at=clock.now(),
        version=__version__,
        events=("started by hand, and recorded",),
    )
