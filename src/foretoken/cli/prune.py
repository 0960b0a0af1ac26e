"""`foretoken prune`: delete what a study no longer needs."""

from __future__ import annotations

from typing import Annotated

import typer

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, started_folder
from foretoken.cli.printing import print_json, print_text


def prune(
    study: FolderArgument,
    seed: SeedOption = None,
    folder: FolderOption = None,
    old_runs: Annotated[bool, typer.Option("--old-runs", help="Also runs that are no longer planned.")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Also weights of runs that were kept.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be deleted.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete leftovers, damaged files that were set aside, and checkpoints from which no planned run will resume.

    Example: foretoken prune quickstart --dry-run
    """
    from foretoken.study.maintenance import prune as prune_study

    home = started_folder(study, seed, folder)
    things = prune_study(home, old_runs=old_runs, weights=weights, dry_run=dry_run)
    if json:
        rows = [thing.to_json() for thing in things]
        print_json({"folder": str(home), "deleted": not dry_run, "things": rows})
        return
    for thing in things:
        print_text(f"{thing.path}: {thing.why} ({thing.bytes / 1e6:.1f} MB)")
    total = sum(thing.bytes for thing in things) / 1e6
    print_text(f"{'would delete' if dry_run else 'deleted'} {len(things)} things, {total:.1f} MB")
