"""`foretoken run`: the whole line."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load, print_json

INTERRUPTED = 130


DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done with each run; write nothing.")]
ACTIONS = {"keep": "kept", "resume": "resumed", "retry": "tried again", "train": "trained",
           "again": "trained again, for their weights"}  # fmt: skip


def run(
    study: StudyArgument,
    seed: SeedOption = None,
    folder: FolderOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Design, train, fit, forecast, train the target, score, report; goes on where it was stopped.

    Example: foretoken run studies/quickstart.toml
    """
    from foretoken.cli.live import listener_for_terminal
    from foretoken.cli.status import show
    from foretoken.errors import RefusedError
    from foretoken.study.results import status
    from foretoken.study.runner import run as run_study
    from foretoken.study.runner import study_folder

    settings = load(study, seed)
    if dry_run:
        from foretoken.study.runner import dry_run as plan_study

        plan = plan_study(settings, folder)
        print_json(plan) if json else _show_plan(plan)
        return
    home, refused = folder or study_folder(settings), False
    try:
        result = run_study(settings, home, listener_for_terminal(quiet=json), shlex.join(["foretoken", *sys.argv[1:]]))
    except RefusedError as refusal:
        typer.echo(f"no forecast: {refusal}\nthe report says more: {home / 'report' / 'index.html'}", err=True)
        result, refused = status(home), True
    except KeyboardInterrupt:
        typer.echo("stopped, and saved; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if json:
        print_json(result)
    else:
        show(result)
    unscored = settings.target.train and result["outcome"] is None
    if refused or unscored or result["counts"]["failed"]:
        raise typer.Exit(1)


def _show_plan(plan: dict[str, Any]) -> None:
    """Print what a run would do, for people."""
    from foretoken.cli.status import show_new

    for finding in plan["mend"]:
        typer.echo(f"first: {finding['path']}: {finding['problem']}: {finding['remedy']}")
    for action, told in ACTIONS.items():
        mine = [row for row in plan["runs"] if row["action"] == action]
        if mine:
            groups = ", ".join(f"{group} ({count})" for group, count in _counted(row["group"] for row in mine))
            typer.echo(f"{len(mine)} runs would be {told}: {groups}")
        for row in mine if action == "resume" else []:
            typer.echo(f"  {row['id']} from step {row['step']}")
    show_new([row for row in plan["runs"] if row["action"] == "train"])


def _counted(names: Any) -> list[tuple[str, int]]:
    from collections import Counter

    return list(Counter(names).items())
