"""Answers to a text with blanks keep their form, and a wide search finds the most probable one."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.generation.cache import start_cache
from foretoken.generation.infill import AnswerGrammar, beam_search, sample_answer
from foretoken.generation.sampler import RandomStreams, SamplingOptions

from .toys import untrained

SYMBOLS = 4
MODEL = untrained("prefix", "span_corruption", symbols=SYMBOLS, context=96)
SENTINELS = MODEL.sentinels[:3]


def begin(source: list[int]) -> tuple:  # type: ignore[type-arg]
    cache = start_cache(MODEL.network, prefix=len(source))
    return cache, cache.read(torch.tensor([source])).float()[:, -1]


def complete(grammar: AnswerGrammar) -> list[list[int]]:
    """Every answer that the grammar allows."""
    unfinished: list[list[int]] = [[]]
    answers = []
    while unfinished:
        answer = unfinished.pop()
        for token in torch.flatten(grammar.allowed(answer).nonzero()).tolist():
            longer = [*answer, token]
            (answers if grammar.is_complete(longer) else unfinished).append(longer)
    return answers


def test_the_grammar_allows_exactly_the_answers_of_its_form() -> None:
    texts = [list(text) for length in (1, 2) for text in itertools.product(range(SYMBOLS), repeat=length)]
    first, second, last = SENTINELS
    expected = [[first, *one, second, *other, last] for one in texts for other in texts]
    assert sorted(complete(AnswerGrammar(MODEL, SENTINELS, longest=2))) == sorted(expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 3.0))
@torch.no_grad()
def test_sampled_answers_keep_the_form(seed: int, longest: int, temperature: float) -> None:
    grammar = AnswerGrammar(MODEL, SENTINELS, longest)
    options = SamplingOptions(temperature=temperature, top_k=0, top_p=1.0)
    answer, logprobs = sample_answer(
        grammar, *begin([0, SENTINELS[0], 1, SENTINELS[1]]), options, RandomStreams(seed, 1)
    )
    assert len(answer) == len(logprobs)
    assert max(logprobs) <= 0
    blanks = grammar.split(answer, logprobs)
    assert [token for token in answer if token in SENTINELS] == SENTINELS
    assert all(1 <= len(tokens) <= longest and max(tokens) < SYMBOLS for tokens, _ in blanks)
    assert sum(len(tokens) for tokens, _ in blanks) + len(SENTINELS) == len(answer)


@torch.no_grad()
def test_a_search_as_wide_as_all_answers_finds_the_most_probable() -> None:
    source, grammar = [0, SENTINELS[0], 1], AnswerGrammar(MODEL, SENTINELS[:2], longest=2)
    best = None
    for answer in complete(grammar):
        cache, logits = begin(source)
        rows = torch.cat([logits, cache.read(torch.tensor([answer[:-1]])).float()[0]])
        score = rows.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum().item()
        best = max(best or (score, answer), (score, answer))
    assert best is not None
    answer, logprobs = beam_search(grammar, *begin(source), beams=100)
    assert answer == best[1]
    assert sum(logprobs) == pytest.approx(best[0], abs=1e-4)
    greedy, lower = beam_search(grammar, *begin(source), beams=1)
    assert sum(lower) <= sum(logprobs) + 1e-6
    assert grammar.is_complete(greedy)
