"""`foretoken verify`: check every hash of a study."""

from __future__ import annotations

import typer

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, started_folder
from foretoken.cli.printing import print_json, print_text


def verify(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Check every hash of a study; list what is wrong, and what `foretoken run` would do about it. Writes nothing.

    Example: foretoken verify quickstart
    """
    from foretoken.store.integrity import REMEDIES
    from foretoken.study.agreement import doubts
    from foretoken.study.design_file import usable_design
    from foretoken.study.maintenance import verify as verify_study

    home = started_folder(study, seed, folder, whole=True)
    findings = verify_study(home)
    told = (
        [] if findings else doubts(home, usable_design(home))
    )  # of what is wrong nothing more can be said until it is mended
    if json:
        print_json({"folder": str(home), "findings": [finding.to_json() for finding in findings], "told": told})
    else:
        for finding in findings:
            print_text(f"{finding.path}: {finding.problem}\n  foretoken run {REMEDIES[finding.remedy]}")
        wrong = "1 thing is" if len(findings) == 1 else f"{len(findings)} things are"
        print_text(f"{wrong} wrong in {home}" if findings else f"every hash in {home} is right")
        for sentence in told:
            print_text(f"doubtful: {sentence}")
    if findings:
        raise typer.Exit(1)
