"""`foretoken fill-mask` and `foretoken infill`: let a trained model fill the gaps of a text."""

from __future__ import annotations

from typing import Annotated

import typer

from foretoken.cli.model_options import RunOption, SamplingSeedOption, SourceArgument, TopKOption, TopPOption, readable
from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text
from foretoken.cli.telling import say
from foretoken.errors import needing


def fill_mask(
    source: SourceArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A text with one or more [MASK].")],
    top: Annotated[int, typer.Option(help="Candidates to show for each mask.")] = 5,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Show the tokens that an encoder expects at each [MASK] of a text, with probabilities.

    Example: foretoken fill-mask my_encoder "7 bears met [MASK] foxes" --top 3
    """
    with needing("filling gaps"):
        from foretoken import generation

    result = generation.fill_mask(source, text, top=top, run=run)
    if json:
        print_json(result.to_json())
        return
    for number, candidates in enumerate(result.masks, 1):
        print_text(f"mask {number}")
        for candidate in candidates:
            print_text(f"  {candidate.probability:7.2%}  {readable(repr(candidate.text))}")
    print_text(readable(result.text))


def infill(
    source: SourceArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A text with blanks <X> <Y> <Z> or <extra_id_0> ...")],
    tokens: Annotated[int | None, typer.Option(help="At most this many tokens for a blank; 32 unless given.")] = None,
    beams: Annotated[int, typer.Option(help="Answers that the search follows side by side; 1 is greedy.")] = 1,
    temperature: Annotated[float, typer.Option(help="Above 0 the answer is sampled.")] = 0.0,
    top_k: TopKOption = 40,
    top_p: TopPOption = 0.95,
    seed: SamplingSeedOption = 0,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Fill the blanks of a text with a model that was trained by span corruption.

    Example: foretoken infill my_t5 "7 bears <X> 49 <Y>." --beams 4
    """
    with needing("filling gaps"):
        from foretoken import generation

    result = generation.infill(
        source, text, tokens=tokens, beams=beams, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, run=run
    )
    if json:
        print_json(result.to_json())
        return
    print_text(readable(result.text))
    for blank in result.blanks:
        say(f"{blank.name}: {readable(blank.text)!r}")
