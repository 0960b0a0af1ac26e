"""The runs of a study for those who start them by hand: as a table, or as a script for a shell, SLURM or SkyPilot."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foretoken._version import __version__
from foretoken.arguments import named_arguments
from foretoken.errors import DesignError, ForetokenError
from foretoken.escapes import for_csv, for_shell, in_one_line
from foretoken.own_trainer.job import words
from foretoken.results import Result
from foretoken.runs.command_fields import RECIPE, SHAPE
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.study.frozen import current_forecast
from foretoken.study.run_study import study_runner

Form = Literal["csv", "shell", "slurm", "skypilot"]
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
            **(run.trainer.fields if run.trainer else {}),
            "command": for_shell(*self.words) if self.words else "",
        }


@named_arguments
def planned_commands(study: Study, folder: str | Path | None = None) -> list[PlannedCommand]:
    """The runs of a study that have no record, the longest first, each with its command.

    The target is not among them before its forecast is frozen, which `foretoken run` does when the others have theirs.
    Nothing is trained or measured. Raises DesignError as `design` does.
    """
    runner = study_runner(study, folder)
    with runner.owned():
        design = runner.design()
        frozen = current_forecast(runner.folder, design) is not None
        runs = runner.to_train(design) if frozen else design.runs
        runs = [run for run in runs if not runner.store.is_done(run)]
    home, planned = study.home, []
    for run in sorted(runs, key=lambda run: -run.flops):
        place = runner.store.own_folder(run.key).absolute()
        seen = os.path.relpath(place, home) if place.is_relative_to(home) else str(place)
        own = words(study.trainer, run, Path(seen)) if study.trainer else []
        planned.append(PlannedCommand(run=run, folder=seen, words=own))
    return planned


@named_arguments
def to_start_by_hand(study: Study, form: Form, folder: str | Path | None = None) -> str:
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
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for row in rows for name in row)) or ["run"])
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
