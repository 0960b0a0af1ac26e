"""The random choice of what is hidden: exact numbers, every place equally likely, documents that are kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.objectives import ExampleBuilder
from foretoken.objectives.examples import VALIDATION, batch_rng, shifted_right
from foretoken.objectives.spans import hidden_counts, random_spans, random_tokens


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_as_many_tokens_in_as_many_spans_as_asked(data: st.DataObject) -> None:
    text = data.draw(st.integers(4, 60))
    hidden = data.draw(st.integers(1, text - 2))
    ends = data.draw(st.booleans())
    spans = data.draw(st.integers(1, min(hidden, text - hidden - (not ends))))
    mask = random_spans(7, text, hidden, spans, np.random.default_rng(data.draw(st.integers(0, 99))), ends=ends)
    assert mask.shape == (7, text)
    assert set(mask.sum(1)) == {hidden}
    padded = np.pad(mask, ((0, 0), (1, 0)))
    assert set((np.diff(padded.astype(int), axis=1) == 1).sum(1)) == {spans}
    assert ends or not mask[:, 0].any(), "the first token is shown unless `ends` allows otherwise"


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 0.99])
def test_the_mean_of_the_counts_is_the_share(share: float) -> None:
    counts = hidden_counts(np.full(20_000, 33), share, np.random.default_rng(0))
    assert counts.min() >= 1
    assert counts.max() <= 32
    if 1 < 33 * share < 32:
        assert counts.mean() == pytest.approx(33 * share, abs=0.02)
        assert np.ptp(counts) <= 1, "only the two whole numbers beside it"


def test_single_tokens_are_chosen_among_the_candidates_alone() -> None:
    candidates = np.random.default_rng(0).random((50, 40)) < 0.5
    mask = random_tokens(candidates, 0.3, np.random.default_rng(1))
    assert not (mask & ~candidates).any()
    assert (mask.sum(1) >= 1).all()
    assert mask.sum() / candidates.sum() == pytest.approx(0.3, abs=0.03)


def test_each_batch_has_a_stream_of_its_own() -> None:
    draws = {
        (seed, index): tuple(batch_rng(seed, index).integers(2**60, size=3))
        for seed in (0, 1, VALIDATION)
        for index in (0, 1, 2**40)
    }
    assert len(set(draws.values())) == len(draws)
    assert draws[1, 1] == tuple(batch_rng(1, 1).integers(2**60, size=3))


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(10, 12))
def test_a_decoder_reads_the_target_one_token_late(rows: list[list[int]], start: int) -> None:
    target = np.array(rows)
    shifted = shifted_right(target, start)
    assert (shifted[:, 0] == start).all()
    assert np.array_equal(shifted[:, 1:], target[:, :-1])


def test_a_separator_ends_its_own_document() -> None:
    shape = ModelShape(layers=1, width=8, heads=1, context=8, vocabulary=10)
    objective = Objective(separate_documents=True)
    builder = ExampleBuilder(objective=objective, shape=shape, text_vocabulary=10, separator=0)
    numbers = builder.documents(np.array([[5, 6, 0, 7, 0, 0, 8]]))["documents"]
    assert numbers.tolist() == [[0, 0, 0, 1, 1, 2, 3]]
    without = ExampleBuilder(objective=objective, shape=shape, text_vocabulary=10)
    assert without.documents(np.array([[1, 2]])) == {}, "where no separator is known, nothing is kept apart"
