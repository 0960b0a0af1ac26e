"""`foretoken report`: rebuild the page of a study."""

from __future__ import annotations

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, started_folder
from foretoken.cli.printing import print_json, print_text


def report(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Write report/index.html again from a study's files.

    Example: foretoken report quickstart
    """
    from foretoken.study.results import report as write_report

    path = write_report(started_folder(study, seed, folder))
    if json:
        print_json({"report": str(path)})
    else:
        print_text(f"wrote {path}")
