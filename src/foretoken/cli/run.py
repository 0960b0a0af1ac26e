"""`foretoken run`: a whole study."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load
from foretoken.cli.printing import print_json, print_new_runs, print_status, print_text
from foretoken.cli.telling import is_quiet, say
from foretoken.errors import ForetokenError, LimitReachedError, PausedError
from foretoken.interrupts import INTERRUPTED, saving

if TYPE_CHECKING:
    from foretoken.runs.study_file import Study
    from foretoken.study.preview import Action, DryRun

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done with each run; write nothing.")]
ACTIONS: dict[Action, str] = {
    "keep": "kept",
    "resume": "resumed",
    "retry": "tried again",
    "train": "trained",
    "again": "trained again, for their weights or scores",
}


def run(
    study: StudyArgument,
    seed: SeedOption = None,
    folder: FolderOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Design, train, fit, forecast, train the target, score, report. Rerun the same command to resume.

    Example: foretoken run quickstart
    """
    from foretoken.cli.live import listener_for_terminal
    from foretoken.errors import RefusedError
    from foretoken.escapes import for_terminal
    from foretoken.study.run_study import run as run_study
    from foretoken.study.runner import study_folder
    from foretoken.study.study_status import status

    settings = load(study, seed)
    if dry_run:
        return _show_dry_run(settings, folder, json)
    home, refused = folder or study_folder(settings), False
    try:
        command = shlex.join(["foretoken", *sys.argv[1:]])
        with saving():
            result = run_study(settings, home, listener_for_terminal(quiet=json or is_quiet()), command)
    except RefusedError as refusal:
        typer.echo(for_terminal(f"no forecast: {refusal}"), err=True)
        result, refused = status(home), True
    except (PausedError, KeyboardInterrupt) as stop:
        say(str(stop) or "stopped; rerun the same command to go on from what is saved")
        if json and isinstance(stop, LimitReachedError):
            print_json(status(home).to_json())
        raise typer.Exit(INTERRUPTED) from None
    finally:
        tell_if_edited(study, seed, settings)
    if json:
        print_json(result.to_json())
    else:
        print_status(result)
    unscored = settings.target.train and result.outcome is None
    if refused or unscored or result.counts.failed:
        raise typer.Exit(1)


def _show_dry_run(settings: Study, folder: Path | None, json: bool) -> None:
    from foretoken.study.preview import batch_script, dry_run

    plan, script = dry_run(settings, folder), batch_script(settings, folder)
    print_json(plan.to_json()) if json else show_plan(plan)
    if script and not json:
        print_text(script)


def tell_if_edited(study: Path, seed: int | None, settings: Study) -> None:
    """Say so where the study file was edited while its study ran: it is read once, at the start."""
    from foretoken.store.diff import changes

    try:
        edited = ", ".join(changes(settings.model_dump(), load(study, seed).model_dump()))
    except (ForetokenError, OSError):
        edited = "it can no longer be read"
    if edited:
        say(f"{study} was edited meanwhile ({edited}): what ran is the file of the start; run again for the new one")


def show_plan(plan: DryRun) -> None:
    """Print what a run would do, for people."""
    for finding in plan.mend:
        print_text(f"first: {finding.path}: {finding.problem}: {finding.remedy}")
    for action, done in ACTIONS.items():
        runs = [run for run in plan.runs if run.action == action]
        if runs:
            groups = ", ".join(f"{group} ({count})" for group, count in Counter(run.group for run in runs).items())
            print_text(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} would be {done}: {groups}")
        for run in runs:
            if run.action == "resume":
                print_text(f"  {run.id} from step {run.step}")
    print_new_runs([run.because for run in plan.runs])
    for check in plan.checks:
        print_text(f"{check.code}: {check.evidence}; {check.cure}")
