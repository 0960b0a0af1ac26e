"""Answers to a text with blanks: sentinel, text, sentinel, text, ..., last sentinel; sampled, or searched for.

Shapes: B answers side by side, V vocabulary.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from foretoken.generation.cache import Cache
from foretoken.generation.model import Model, finite_logits
from foretoken.generation.sampler import RandomStreams, SamplingOptions, mask_logits

Answer = tuple[list[int], list[float]]
"""Tokens, and the log-probability of each."""


class AnswerGrammar:
    """What may come next in an answer: sentinel, one to `longest` tokens of text, sentinel, ..., last sentinel."""

    def __init__(self, model: Model, sentinels: list[int], longest: int) -> None:
        self.sentinels, self.longest = sentinels, longest
        self.ends = {sentinels[-1], model.separator} - {None}
        self.text_V = model.text_tokens.clone()
        if model.separator is not None:
            self.text_V[model.separator] = False

    def allowed(self, answer: list[int]) -> Tensor:
        """[V] the tokens that may follow an unfinished answer."""
        passed = [position for position, token in enumerate(answer) if token in self.sentinels]
        # Before the first sentinel the blank counts as full, so that nothing but this sentinel may come.
        length = len(answer) - passed[-1] - 1 if passed else self.longest
        allowed_V = self.text_V if length < self.longest else torch.zeros_like(self.text_V)
        if not passed or length:
            allowed_V = allowed_V.clone()
            allowed_V[self.sentinels[len(passed)]] = True
            if passed and len(passed) == len(self.sentinels) - 1:
                allowed_V[list(self.ends)] = True
        return allowed_V

    def is_complete(self, answer: list[int]) -> bool:
        """Whether an answer has ended."""
        return answer[-1] in self.ends

    def split(self, answer: list[int], logprobs: list[float]) -> list[Answer]:
        """Tokens and log-probabilities of each blank."""
        borders = [position for position, token in enumerate(answer) if token in self.sentinels or token in self.ends]
        return [(answer[a + 1 : b], logprobs[a + 1 : b]) for a, b in pairwise(borders)]


def sample_answer(
    grammar: AnswerGrammar, cache: Cache, logits_1V: Tensor, options: SamplingOptions, streams: RandomStreams
) -> Answer:
    """An answer whose tokens are sampled, from the logits of its first token."""
    answer: list[int] = []
    logprobs: list[float] = []
    while not answer or not grammar.is_complete(answer):
        if answer:
            logits_1V = finite_logits(cache.read(torch.tensor([answer[-1:]])))[:, -1]
        token = int(streams.draw(options.probabilities(mask_logits(logits_1V, grammar.allowed(answer)))))
        answer.append(token)
        logprobs.append(float(logits_1V.log_softmax(-1)[0, token]))
    return answer, logprobs


def beam_search(grammar: AnswerGrammar, cache: Cache, logits_BV: Tensor, beams: int) -> Answer:
    """The most probable answer that a search with this many answers side by side meets."""
    live: list[Answer] = [([], [])]
    best: Answer | None = None
    while live:
        logprobs_BV = logits_BV.log_softmax(-1)
        extended = []
        for row, (answer, logprobs) in enumerate(live):
            top = mask_logits(logprobs_BV[row], grammar.allowed(answer)).topk(min(beams, logprobs_BV.shape[1]))
            for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
                if value > float("-inf"):
                    extended.append((sum(logprobs) + value, row, [*answer, token], [*logprobs, value]))
        extended.sort(key=lambda beam: -beam[0])
        rows, live = [], []
        for score, row, answer, logprobs in extended[:beams]:
            if best is not None and score <= sum(best[1]):
                break
            if grammar.is_complete(answer):
                # Log-probabilities are at most 0: what comes later in the order, or grows longer, is less probable.
                best = answer, logprobs
                break
            rows.append(row)
            live.append((answer, logprobs))
        if live:
            cache.select(torch.tensor(rows))
            logits_BV = finite_logits(cache.read(torch.tensor([answer[-1:] for answer, _ in live])))[:, -1]
    assert best is not None
    return best
