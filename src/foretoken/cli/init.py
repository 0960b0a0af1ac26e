"""`foretoken init`: a commented study file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text
from foretoken.cli.telling import wrote


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name; NAME.toml is written.")],
    family: Annotated[
        str, typer.Option(help="What is trained: decoder, prefix, encoder, encoder_decoder or lstm.")
    ] = "decoder",
    text: Annotated[
        Path | None, typer.Option(help="The text to read, a file or folder; Python's own library unless given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a study file that runs as it is, with every key explained.

    Example: foretoken init mine
    """
    from foretoken.study.new_study import init as write_study

    made = write_study(name, family=family, text=text, force=force)
    wrote(made.path)
    if json:
        print_json(made.to_json())
    else:
        print_text(f"next: {made.next_command}")
