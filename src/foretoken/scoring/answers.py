"""Answers that a model writes freely: always the likeliest token, until the answer ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foretoken.generation.model import finite_logits
from foretoken.generation.sampler import mask_logits
from foretoken.scoring.gaps import Tokens
from foretoken.scoring.likelihood import Batch, Reader


@dataclass(frozen=True)
class Answer:
    """What a model wrote."""

    text: str
    """Up to what ends it."""
    tokens: Tokens
    """Of all that was written, with what ends it."""
    ended: bool
    """Whether the model ended it itself."""


@torch.no_grad()
def greedy_answers(reader: Reader, prompts: Sequence[Tokens], most: int, stops: Sequence[str]) -> list[Answer]:
    """What the model writes after each prompt, at most so many tokens, up to one of the stops.

    The token that ends a document ends every answer. Prompts after which there is no room get an empty answer.
    """
    framed = [reader.framed(prompt) for prompt in prompts]
    found = {prompt: Answer("", (), False) for prompt in framed}
    # one prompt may be asked twice; it is written once
    fitting = [prompt for prompt in framed if reader.room(len(prompt), 1) >= 0]
    for batch in reader.batches(fitting):
        length = min(most, reader.room(len(batch.prompts[0]), 1) + 1)
        found.update(zip(batch.prompts, _written(reader, batch, length, stops), strict=True))
    return [found[prompt] for prompt in framed]


def _written(reader: Reader, batch: Batch, most: int, stops: Sequence[str]) -> list[Answer]:
    cache, logits_BV, model = batch.cache, batch.logits, reader.model
    answers: list[Answer | None] = [None] * len(batch.prompts)
    tokens: list[list[int]] = [[] for _ in batch.prompts]
    active = list(range(len(batch.prompts)))
    for step in range(most):
        token_B = mask_logits(logits_BV, model.writable).argmax(-1)
        for row, token in zip(active, token_B.tolist(), strict=True):
            tokens[row].append(token)
            answers[row] = _ended(reader, tokens[row], stops)
        going = [place for place, row in enumerate(active) if answers[row] is None]
        if not going or step + 1 == most:
            break
        # what has ended is dropped, so that the longest answer does not hold up all others
        if len(going) < len(active):
            active = [active[place] for place in going]
            cache.select(torch.tensor(going))
        logits_BV = finite_logits(cache.read(token_B[going, None], last=True))[:, -1]
    return [answer or Answer(model.decode(row), tuple(row), False) for answer, row in zip(answers, tokens, strict=True)]


def _ended(reader: Reader, tokens: list[int], stops: Sequence[str]) -> Answer | None:
    """The answer, if its last token ends it."""
    model = reader.model
    if tokens[-1] == model.separator:
        return Answer(model.decode(tokens[:-1]), tuple(tokens), True)
    # all of it and not the last token: a stop may be spread over several
    text = model.decode(tokens)
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return Answer(text[: min(ends)], tuple(tokens), True) if ends else None
