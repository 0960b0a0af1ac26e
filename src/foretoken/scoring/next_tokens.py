"""The distribution of the next token after a prompt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from foretoken.arguments import named_arguments
from foretoken.errors import CorpusError, ForetokenError
from foretoken.generation import ModelSource, open_model
from foretoken.results import Result
from foretoken.scoring.likelihood import Reader


@dataclass(frozen=True, kw_only=True)
class NextToken:
    """A token that may follow."""

    text: str
    token: int
    probability: float
    logprob: float
    """In nats."""


@dataclass(frozen=True, kw_only=True)
class NextTokens(Result, rows="tokens"):
    """The likeliest tokens after a prompt."""

    model: str
    prompt: str
    prompt_tokens: int
    """Of the prompt, with what frames it."""
    entropy: float
    """Of the distribution over all tokens, in nats."""
    tokens: tuple[NextToken, ...]
    """The likeliest first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@named_arguments
def next_tokens(source: ModelSource, prompt: str, *, top: int = 10, run: str | None = None) -> NextTokens:
    """The likeliest tokens after a prompt and their probabilities, of any model that writes text.

    Args:
        source: a study with kept weights, or a folder of safetensors.
        prompt: the text before; of an encoder-decoder, what the encoder reads.
        top: how many tokens.
        run: of a study, the run whose key begins so, in place of its target.

    Raises DesignError for an encoder, CorpusError for a prompt that is longer than the context or missing where nothing
    else begins a text.

    """
    if top < 1:
        raise ForetokenError("top must be at least 1", expected="1 or more", got=str(top))
    model = open_model(source, run)
    reader = Reader(model)
    framed = reader.framed(model.encode(prompt))
    if reader.room(len(framed), 1) < 0:
        context = model.network.shape.context
        raise CorpusError(
            "the prompt is longer than the model's context",
            expected=f"at most {context} tokens",
            got=f"{len(framed)} tokens",
            cure="shorten it",
        )
    with torch.no_grad():
        (batch,) = reader.batches([framed])
        logprobs_V = batch.logits[0].log_softmax(-1)
        best = logprobs_V.masked_fill(~model.writable, float("-inf")).topk(min(top, int(model.writable.sum()))).indices
        entropy = -float((logprobs_V.exp() * logprobs_V).nan_to_num().sum())
    context_tokens = [] if reader.two_stacks else model.encode(prompt)
    listed = tuple(
        NextToken(
            text=model.decode([token], context_tokens),
            token=token,
            probability=float(logprobs_V[token].exp()),
            logprob=float(logprobs_V[token]),
        )
        for token in best.tolist()
    )
    return NextTokens(model=model.name, prompt=prompt, prompt_tokens=len(framed), entropy=entropy, tokens=listed)
