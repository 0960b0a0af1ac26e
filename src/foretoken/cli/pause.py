"""`foretoken pause`: ask whoever runs a study to save and stop."""

from __future__ import annotations

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, started_folder
from foretoken.cli.printing import print_json, print_text


def pause(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Ask whoever runs a study to save and stop, from any machine that sees its folder; `run` goes on.

    Example: foretoken pause runs/quickstart
    """
    from foretoken.study.maintenance import pause as ask

    asked = ask(started_folder(study, seed, folder))
    if json:
        print_json({"asked": asked})
    else:
        print_text("asked: it saves and stops within seconds" if asked else "nobody runs this study")
