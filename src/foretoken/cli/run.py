"""`foretoken run`: the whole line."""

from __future__ import annotations

import shlex
import sys

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load, print_json

INTERRUPTED = 130


def run(study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False) -> None:
    """Design, train, fit, forecast, train the target, score, report; goes on where it was stopped.

    Example: foretoken run studies/quickstart.toml
    """
    from foretoken.cli.live import view_for_terminal
    from foretoken.cli.status import show
    from foretoken.errors import RefusedError
    from foretoken.folder import status
    from foretoken.study import run as run_study
    from foretoken.study import study_folder

    settings = load(study, seed)
    home, refused = folder or study_folder(settings), False
    try:
        result = run_study(settings, home, view_for_terminal(quiet=json), shlex.join(["foretoken", *sys.argv[1:]]))
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
