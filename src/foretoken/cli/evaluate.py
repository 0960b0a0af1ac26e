"""`foretoken evaluate`: how well a model predicts a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.model_options import (
    ColumnOption,
    ContextOption,
    EncodingOption,
    ObjectiveOption,
    RunOption,
    SourceArgument,
    TextArgument,
    print_positions,
)
from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_table, print_text
from foretoken.errors import needing
from foretoken.units import parse_count

if TYPE_CHECKING:
    from foretoken.evals import DomainLoss, TextLoss


def evaluate(
    source: SourceArgument,
    text: TextArgument,
    tokens: Annotated[str, typer.Option(help="Read at most this many tokens, from the start of the text.")] = "1M",
    context: ContextOption = None,
    objective: ObjectiveOption = "",
    column: ColumnOption = "text",
    encoding: EncodingOption = "utf-8",
    stride: Annotated[
        int | None, typer.Option(help="Read each document by itself, in windows that begin so many tokens apart.")
    ] = None,
    by: Annotated[str, typer.Option(help="Also each domain: the column that names it, or folder for subfolders.")] = "",
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Measure how well a model predicts a text: loss, perplexity, bits per byte, and loss by position.

    Example: foretoken evaluate my_model my_texts/ --context 32
    """
    with needing("evaluating a model"):
        from foretoken import evals

    text_loss = evals.evaluate(
        source,
        text,
        tokens=parse_count(tokens),
        context=context,
        objective=objective or None,
        column=column,
        encoding=encoding,
        stride=stride,
        by=by,
        run=run,
    )
    if json:
        print_json(text_loss.to_json())
    else:
        show(text_loss)


def show(text_loss: TextLoss) -> None:
    """Print a loss on a text."""
    low, high = text_loss.perplexity_range
    separator = "no token" if text_loss.separator is None else f"token {text_loss.separator}"
    if text_loss.stride is None:
        how = f"{text_loss.sequences} sequences of {text_loss.context}, objective {text_loss.objective},"
        print_text(f"{how} {separator} between documents")
    else:
        how = f"{text_loss.documents} documents in {text_loss.sequences} windows of {text_loss.context} at most,"
        print_text(f"{how} {text_loss.stride} tokens apart, {separator} before each document")
    print_text(f"  loss            {text_loss.loss:.4f} ± {text_loss.loss_se:.4f} nats per prediction")
    print_text(f"  perplexity      {text_loss.perplexity:.4g} (95 %: {low:.4g} to {high:.4g})")
    if text_loss.word_perplexity is not None:
        print_text(f"  by word         {text_loss.word_perplexity:.4g}")
    if text_loss.bits_per_byte is not None:
        print_text(f"  bits per byte   {text_loss.bits_per_byte:.4f}")
    if text_loss.label_loss is not None:
        print_text(f"  loss of labels  {text_loss.label_loss:.4f}")
    if text_loss.domains:
        headings = ["domain", "documents", "tokens", "loss", "±", "perplexity", "by word", "bits per byte"]
        print_table(headings, [_cells(domain) for domain in text_loss.domains])
    print_positions({"loss": text_loss.by_position})


def _cells(domain: DomainLoss) -> list[str]:
    def number(value: float | None, digits: str = ".4g") -> str:
        return "" if value is None else format(value, digits)

    return [
        domain.domain,
        str(domain.documents),
        str(domain.tokens),
        number(domain.loss, ".4f"),
        number(domain.loss_se, ".4f"),
        number(domain.perplexity),
        number(domain.word_perplexity),
        number(domain.bits_per_byte, ".4f"),
    ]
