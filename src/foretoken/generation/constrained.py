"""Answers to a text with blanks: sentinel, text, sentinel, text, ..., last sentinel; drawn, or searched for.

Shapes: B answers side by side, V vocabulary.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from foretoken.generation.cache import Cache
from foretoken.generation.model import Model, checked
from foretoken.generation.sampler import Chance, Choice, barred

Answer = tuple[list[int], list[float]]
"""Tokens, and the log-probability of each."""


class Form:
    """What may come next in an answer: sentinel, one to `most` tokens of text, sentinel, ..., last sentinel."""

    def __init__(self, model: Model, sentinels: list[int], most: int) -> None:
        self.sentinels, self.most = sentinels, most
        self.ends = {sentinels[-1], model.separator} - {None}
        self.text_V = model.nameless.clone()
        if model.separator is not None:
            self.text_V[model.separator] = False

    def allowed(self, answer: list[int]) -> Tensor:
        """[V] the tokens that may come behind an answer so far."""
        seen = [place for place, token in enumerate(answer) if token in self.sentinels]
        inside = len(answer) - seen[-1] - 1 if seen else self.most
        allowed = self.text_V if inside < self.most else torch.zeros_like(self.text_V)
        if not seen or inside:
            allowed = allowed.clone()
            allowed[self.sentinels[len(seen)]] = True
            if seen and len(seen) == len(self.sentinels) - 1:
                allowed[list(self.ends)] = True
        return allowed

    def ended(self, answer: list[int]) -> bool:
        """Whether an answer is whole."""
        return answer[-1] in self.ends

    def cut(self, answer: list[int], logprobs: list[float]) -> list[Answer]:
        """Tokens and log-probabilities of each blank."""
        borders = [place for place, token in enumerate(answer) if token in self.sentinels or token in self.ends]
        return [(answer[a + 1 : b], logprobs[a + 1 : b]) for a, b in pairwise(borders)]


def drawn(form: Form, cache: Cache, logits_1V: Tensor, choice: Choice, chance: Chance) -> Answer:
    """An answer whose tokens are drawn, from the logits of its first."""
    answer: list[int] = []
    logprobs: list[float] = []
    while not answer or not form.ended(answer):
        if answer:
            logits_1V = checked(cache.read(torch.tensor([answer[-1:]])))[:, -1]
        token = int(chance.draw(choice.probabilities(barred(logits_1V, form.allowed(answer)))))
        answer.append(token)
        logprobs.append(float(logits_1V.log_softmax(-1)[0, token]))
    return answer, logprobs


def searched(form: Form, cache: Cache, logits_BV: Tensor, beams: int) -> Answer:
    """The most probable answer that a search with so many answers side by side finds."""
    live: list[Answer] = [([], [])]
    best: Answer | None = None
    while live:
        logprobs_BV = logits_BV.log_softmax(-1)
        grown = []
        for row, (answer, logprobs) in enumerate(live):
            top = barred(logprobs_BV[row], form.allowed(answer)).topk(min(beams, logprobs_BV.shape[1]))
            for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
                if value > float("-inf"):
                    grown.append((sum(logprobs) + value, row, [*answer, token], [*logprobs, value]))
        grown.sort(key=lambda one: -one[0])
        kept, live = [], []
        for score, row, answer, logprobs in grown[:beams]:
            if best is not None and score <= sum(best[1]):
                break
            if form.ended(answer):
                best = answer, logprobs
                break  # all that follow are less probable, and longer answers are less probable still
            kept.append(row)
            live.append((answer, logprobs))
        if live:
            cache.take(torch.tensor(kept))
            logits_BV = checked(cache.read(torch.tensor([answer[-1:] for answer, _ in live])))[:, -1]
    assert best is not None
    return best
