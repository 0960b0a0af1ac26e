"""Synthetic languages: the stated entropy rate is the true one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data import language
from foretoken.data.synthetic import DOCUMENT_TOKENS, ZipfMarkov
from foretoken.errors import CorpusError
from foretoken.runs.corpus_section import LanguageSection


def true_rate(lang: ZipfMarkov) -> float:
    """Entropy rate from the definition: conditional entropies weighted by the stationary distribution of contexts."""
    step = lang.transitions()
    contexts = len(step)
    chain = np.zeros((contexts, contexts))
    for context, symbol in itertools.product(range(contexts), range(lang.symbols)):
        chain[context, (context * lang.symbols + symbol) % contexts] += step[context, symbol]
    system = np.vstack([chain.T - np.eye(contexts), np.ones(contexts)])
    stationary = np.linalg.lstsq(system, np.append(np.zeros(contexts), 1.0), rcond=None)[0]
    return float(-np.sum(stationary[:, None] * step * np.log(step)))


@settings(max_examples=20, deadline=None)
@given(symbols=st.integers(2, 8), order=st.integers(1, 2), exponent=st.floats(0.2, 2.5), seed=st.integers(0, 2**31 - 1))
def test_entropy_rate_is_that_of_the_definition(symbols: int, order: int, exponent: float, seed: int) -> None:
    lang = language(LanguageSection(symbols=symbols, order=order, exponent=exponent), seed)
    assert lang.entropy_rate == pytest.approx(true_rate(lang), abs=1e-9)


@pytest.mark.parametrize(("symbols", "order"), [(16, 1), (64, 1), (12, 2)])
def test_tabulated_model_of_the_right_order_reaches_the_rate_and_no_lower(symbols: int, order: int) -> None:
    lang = language(LanguageSection(symbols=symbols, order=order), seed=1)
    text = lang.sample(2_000_000, seed=5).astype(np.int64)
    half = len(text) // 2
    reached = tabulated_loss(text[:half], text[half:], symbols, order)
    assert reached == pytest.approx(lang.entropy_rate, rel=3e-3)
    assert tabulated_loss(text[:half], text[half:], symbols, order - 1) > 1.05 * lang.entropy_rate


def tabulated_loss(learn: np.ndarray, test: np.ndarray, symbols: int, order: int) -> float:
    """Nats per token on `test` of the counts in `learn`, one added to each."""
    counts = np.bincount(places(learn, symbols, order), minlength=symbols ** (order + 1)).reshape(-1, symbols) + 1
    model = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log(model.reshape(-1)[places(test, symbols, order)]).mean())


def places(text: np.ndarray, symbols: int, order: int) -> np.ndarray:
    """The last `order` symbols and the next one, as one number."""
    place = np.zeros(len(text) - order, np.int64)
    for past in range(order + 1):
        place = place * symbols + text[past : len(text) - order + past]
    return place


def test_sample_follows_the_transitions() -> None:
    lang = language(LanguageSection(symbols=6, order=2), seed=3)
    text = lang.sample(1_000_000, seed=0).astype(np.int64)
    counts = np.bincount(places(text, 6, 2), minlength=6**3).reshape(-1, 6)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), lang.transitions(), atol=0.02)


def test_contexts_are_rare_and_frequent() -> None:
    text = language(LanguageSection(symbols=64), seed=0).sample(500_000, seed=0)
    shares = np.sort(np.bincount(text, minlength=64) / len(text))
    assert shares[0] > 0
    assert shares[-1] / shares[0] > 10


def test_equal_seeds_give_equal_texts_and_others_do_not() -> None:
    lang = language(LanguageSection(symbols=20), seed=0)
    np.testing.assert_array_equal(language(LanguageSection(symbols=20), seed=0).table, lang.table)
    assert not np.array_equal(language(LanguageSection(symbols=20), seed=1).table, lang.table)
    text = lang.sample(10_000, seed=4)
    np.testing.assert_array_equal(lang.sample(10_000, seed=4), text)
    assert not np.array_equal(lang.sample(10_000, seed=5), text)


def test_documents_make_up_the_tokens_asked_for() -> None:
    lengths = [len(document) for document in language(LanguageSection(symbols=5), 0).documents(10_000, seed=0)]
    assert lengths == [DOCUMENT_TOKENS, DOCUMENT_TOKENS, 10_000 - 2 * DOCUMENT_TOKENS]


def test_uniform_language_has_the_entropy_of_a_die() -> None:
    assert language(LanguageSection(symbols=6, exponent=1e-12), 0).entropy_rate == pytest.approx(math.log(6))


def test_too_many_contexts_are_refused() -> None:
    with pytest.raises(CorpusError, match="too large"):
        language(LanguageSection(symbols=4096, order=2), 0)
