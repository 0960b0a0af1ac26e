"""`foretoken sample`: let a trained model continue a text."""

from __future__ import annotations

from typing import Annotated

import typer

from foretoken.cli.model_options import (
    RunOption,
    SamplingSeedOption,
    SourceArgument,
    TopKOption,
    TopPOption,
    readable,
)
from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text
from foretoken.cli.telling import say
from foretoken.errors import needing


def sample(
    source: SourceArgument,
    prompt: Annotated[str, typer.Option(help="The text to continue; for an encoder-decoder, its source.")] = "",
    tokens: Annotated[int, typer.Option(help="Write at most this many tokens.")] = 100,
    temperature: Annotated[float, typer.Option(help="Below 1 favours likely tokens; 0 takes the likeliest.")] = 0.8,
    top_k: TopKOption = 40,
    top_p: TopPOption = 0.95,
    seed: SamplingSeedOption = 0,
    samples: Annotated[int, typer.Option(help="How many texts to write.")] = 1,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Let a trained model continue a text: a decoder, a prefix model, an LSTM, or an encoder-decoder.

    Example: foretoken sample my_model --prompt "7 bears met" --tokens 20 --samples 2
    """
    with needing("writing with a model"):
        from foretoken import generation

    result = generation.sample(
        source,
        prompt,
        tokens=tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        samples=samples,
        run=run,
    )
    if json:
        print_json(result.to_json())
        return
    for number, text in enumerate((sample.text for sample in result.samples), 1):
        if samples > 1:
            print_text(f"--- {number}")
        print_text(readable(prompt + text if result.continues else text))
    if result.prompt_perplexity is not None:
        say(f"perplexity of the prompt: {result.prompt_perplexity:.4g}")
    if result.forgotten:
        say(f"the first {result.forgotten} tokens of the prompt did not fit into the context")
