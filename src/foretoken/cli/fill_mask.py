"""`foretoken fill-mask` and `foretoken infill`: what a trained model puts into the gaps of a text."""

from __future__ import annotations

from typing import Annotated

import typer

from foretoken.cli.options import JsonOption, needing_torch, print_json
from foretoken.cli.sample import ChanceOption, RunOption, SourceArgument, TopKOption, TopPOption, readable


def fill_mask(
    source: SourceArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="With one or more [MASK] in it.")],
    top: Annotated[int, typer.Option(help="Candidates of each mask.")] = 5,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Show what an encoder expects behind each [MASK] of a text, with probabilities.

    Example: foretoken fill-mask my_encoder "7 bears met [MASK] foxes" --top 3
    """
    with needing_torch("filling gaps"):
        from foretoken.generation import fill_mask as fill

    found = fill(source, text, top=top, run=run)
    if json:
        print_json(found.to_json())
        return
    for number, candidates in enumerate(found.masks, 1):
        typer.echo(f"mask {number}")
        for one in candidates:
            typer.echo(f"  {one.probability:7.2%}  {readable(repr(one.text))}")
    typer.echo(readable(found.text))


def infill(
    source: SourceArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="With blanks <X> <Y> <Z> or <extra_id_0> ...")],
    tokens: Annotated[int | None, typer.Option(help="Tokens of a blank at most; 32 unless given.")] = None,
    beams: Annotated[int, typer.Option(help="Answers that the search keeps side by side; 1 is greedy.")] = 1,
    temperature: Annotated[float, typer.Option(help="Above 0 the answer is drawn.")] = 0.0,
    top_k: TopKOption = 40,
    top_p: TopPOption = 0.95,
    seed: ChanceOption = 0,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Fill the blanks of a text by a model that was trained with span corruption.

    Example: foretoken infill my_t5 "7 bears <X> 49 <Y>." --beams 4
    """
    with needing_torch("filling gaps"):
        from foretoken.generation import infill as fill

    found = fill(
        source, text, tokens=tokens, beams=beams, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, run=run
    )
    if json:
        print_json(found.to_json())
        return
    typer.echo(readable(found.text))
    for blank in found.blanks:
        typer.echo(f"{blank.name}: {readable(blank.text)!r}", err=True)
