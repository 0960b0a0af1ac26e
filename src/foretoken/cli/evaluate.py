"""`foretoken evaluate`: how well a model predicts a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, needing_torch, print_json
from foretoken.cli.sample import RunOption, SourceArgument
from foretoken.units import parse_count

if TYPE_CHECKING:
    from collections.abc import Sequence

TextArgument = Annotated[
    Path, typer.Argument(metavar="TEXT", help="A file or folder: plain text, .jsonl (.gz, .zst), .parquet.")
]
ContextOption = Annotated[
    int | None, typer.Option(help="Tokens of a sequence; all that the model can read, unless given.")
]
ColumnOption = Annotated[str, typer.Option(help="What holds the text in .jsonl and .parquet.")]
ObjectiveOption = Annotated[
    str, typer.Option(help="causal, prefix, masked or span_corruption; the model's own unless given.")
]


def evaluate(
    source: SourceArgument,
    text: TextArgument,
    tokens: Annotated[str, typer.Option(help="Tokens that are read at most: the first of the text.")] = "1M",
    context: ContextOption = None,
    objective: ObjectiveOption = "",
    column: ColumnOption = "text",
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Say how well a model predicts a text: loss, perplexity, bits per byte, and loss by place in the sequence.

    Example: foretoken evaluate my_model my_texts/ --context 32
    """
    with needing_torch("evaluating a model"):
        from foretoken.evals import evaluate as judge

    aim = objective or None
    found = judge(source, text, tokens=parse_count(tokens), context=context, objective=aim, column=column, run=run)
    if json:
        print_json(found.to_json())
        return
    low, high = found.perplexity_range
    ended = "no token" if found.separator is None else f"token {found.separator}"
    typer.echo(
        f"{found.sequences} sequences of {found.context}, objective {found.objective}, {ended} between documents"
    )
    typer.echo(f"  loss            {found.loss:.4f} ± {found.loss_se:.4f} nats per prediction")
    typer.echo(f"  perplexity      {found.perplexity:.4g} (95 %: {low:.4g} to {high:.4g})")
    if found.bits_per_byte is not None:
        typer.echo(f"  bits per byte   {found.bits_per_byte:.4f}")
    if found.label_loss is not None:
        typer.echo(f"  loss of labels  {found.label_loss:.4f}")
    show_places({"loss": found.by_position})


def show_places(columns: dict[str, Sequence[Sequence[float]]]) -> None:
    """A table of losses by place in the sequence; nothing where there are none."""
    if not all(columns.values()):
        return
    typer.echo(f"  {'place':>14s}" + "".join(f"  {name:>8s}" for name in columns))
    for rows in zip(*columns.values(), strict=True):
        first, last, _ = rows[0]
        place = f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}"
        typer.echo(f"  {place:>14s}" + "".join(f"  {row[2]:8.4f}" for row in rows))
