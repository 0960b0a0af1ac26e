"""Arguments that the verbs for trained models share, and how their texts and losses are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from foretoken.cli.printing import print_text
from foretoken.escapes import for_terminal

SourceArgument = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="A study file, a study's folder, or a folder of safetensors weights.")
]
RunOption = Annotated[str | None, typer.Option("--run", metavar="KEY", help="A study's run, not its target.")]
TopKOption = Annotated[int, typer.Option("--top-k", help="Sample from this many of the likeliest tokens; 0 for all.")]
TopPOption = Annotated[float, typer.Option("--top-p", help="Sample from the likeliest tokens with this share in all.")]
SamplingSeedOption = Annotated[int, typer.Option("--seed", help="Seed of the sampling.")]
TextArgument = Annotated[
    Path, typer.Argument(metavar="TEXT", help="A file or folder: plain text, .jsonl (.gz, .zst), .parquet.")
]
ContextOption = Annotated[
    int | None, typer.Option(help="Tokens of a sequence; the most that the model can read unless given.")
]
ColumnOption = Annotated[
    str,
    typer.Option(help="Column of .json, .jsonl, .csv, .tsv and .parquet that holds the text: text, messages.content."),
]
EncodingOption = Annotated[str, typer.Option(help="What the text is encoded in: gb18030, shift_jis, latin-1, ...")]
ObjectiveOption = Annotated[
    str, typer.Option(help="causal, prefix, masked or span_corruption; the model's own unless given.")
]


def readable(text: str) -> str:
    """All of a text, with control characters escaped."""
    return for_terminal(text)


def print_positions(columns: dict[str, Sequence[Sequence[float]]]) -> None:
    """A table of losses by position in the sequence; nothing where there are none."""
    if not all(columns.values()):
        return
    print_text(f"  {'position':>14s}" + "".join(f"  {name:>8s}" for name in columns))
    for rows in zip(*columns.values(), strict=True):
        first, last, _ = rows[0]
        positions = f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}"
        print_text(f"  {positions:>14s}" + "".join(f"  {row[2]:8.4f}" for row in rows))
