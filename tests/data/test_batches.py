"""Batches: a bijection of the windows per epoch, and nothing that depends on earlier steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Window
from foretoken.data import TokenizedCorpus, batch, check_tokens, validation_batches, windows
from foretoken.data.batches import shuffled
from foretoken.errors import CorpusError

CONTEXT = 4
WINDOW = Window(CONTEXT + 1, CONTEXT)


def numbered(folder: Path, tokens: int) -> TokenizedCorpus:
    """A corpus whose tokens are 0, 1, 2, ... so that every token tells its place."""
    for split in ("train", "validation"):
        np.arange(tokens, dtype="<u4").tofile(folder / f"{split}.bin")
    return TokenizedCorpus(
        folder=folder,
        address="numbered",
        tokenizer="numbers",
        vocabulary=2**20,
        train_tokens=tokens,
        validation_tokens=tokens,
        validation_bytes=None,
        entropy_rate=None,
        sources_sha256="",
        validation_sha256="",
    )


def epoch_of(number: int, seed: int, epoch: int) -> np.ndarray:
    return shuffled(np.arange(number, dtype=np.uint64), number, seed, np.full(number, epoch, np.uint64))


@settings(deadline=None)
@given(number=st.integers(1, 3000), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 50))
def test_shuffling_is_a_bijection(number: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_of(number, seed, epoch)) == list(range(number))


def test_seeds_and_epochs_have_their_own_order() -> None:
    orders = [tuple(epoch_of(1000, seed, epoch)) for seed in range(5) for epoch in range(5)]
    assert len(set(orders)) == 25


def test_order_is_as_mixed_as_a_random_one() -> None:
    """Rank correlation of position and window, and of neighbours, within 4 standard errors of none."""
    number = 10_000
    order = np.concatenate([epoch_of(number, seed, 0) for seed in range(10)])
    position = np.tile(np.arange(number), 10)
    bound = 4 / np.sqrt(len(order))
    assert abs(np.corrcoef(position, order)[0, 1]) < bound
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < bound


@settings(deadline=None)
@given(tokens=st.integers(CONTEXT + 1, 200), sequences=st.integers(1, 70), seed=st.integers(0, 100))
def test_every_window_once_per_epoch_across_edges(
    tmp_path_factory: pytest.TempPathFactory, tokens: int, sequences: int, seed: int
) -> None:
    corpus = numbered(tmp_path_factory.mktemp("numbered"), tokens)
    number = windows(tokens, WINDOW)
    steps = -(-2 * number // sequences)
    read = [batch(corpus, seed=seed, step=step, sequences=sequences, window=WINDOW) for step in range(steps)]
    first_tokens = np.concatenate([text[:, 0] for text in read])
    expected = [window * CONTEXT for window in range(number)]
    assert sorted(first_tokens[:number]) == expected
    assert sorted(first_tokens[number : 2 * number]) == expected


def test_a_window_is_text_as_it_stands(tmp_path: Path) -> None:
    text = batch(numbered(tmp_path, 103), seed=3, step=2, sequences=5, window=WINDOW)
    assert text.shape == (5, CONTEXT + 1)
    assert text.dtype == np.int64
    assert text.flags.c_contiguous
    np.testing.assert_array_equal(np.diff(text, axis=1), 1)


def test_windows_that_do_not_overlap_cover_the_text_once(tmp_path: Path) -> None:
    apart = Window(7, 7)
    read = [batch(numbered(tmp_path, 103), seed=3, step=step, sequences=2, window=apart) for step in range(7)]
    assert sorted(np.concatenate(read).ravel()) == list(range(98))


def test_equal_seed_and_step_give_equal_batches_in_any_order(tmp_path: Path) -> None:
    corpus = numbered(tmp_path, 1000)
    forth = {step: batch(corpus, seed=1, step=step, sequences=8, window=WINDOW) for step in range(40)}
    for step in reversed(range(40)):
        np.testing.assert_array_equal(batch(corpus, seed=1, step=step, sequences=8, window=WINDOW), forth[step])
    assert not np.array_equal(forth[0], batch(corpus, seed=2, step=0, sequences=8, window=WINDOW))


def test_batch_size_does_not_change_the_order_of_the_text(tmp_path: Path) -> None:
    corpus = numbered(tmp_path, 1000)
    large = batch(corpus, seed=1, step=1, sequences=8, window=WINDOW)
    small = [batch(corpus, seed=1, step=step, sequences=4, window=WINDOW) for step in (2, 3)]
    np.testing.assert_array_equal(large, np.concatenate(small))


@settings(deadline=None)
@given(tokens=st.integers(CONTEXT + 1, 400), eval_tokens=st.integers(1, 500), sequences=st.integers(1, 9))
def test_validation_is_distinct_windows_spread_evenly(
    tmp_path_factory: pytest.TempPathFactory, tokens: int, eval_tokens: int, sequences: int
) -> None:
    corpus = numbered(tmp_path_factory.mktemp("numbered"), tokens)
    read = list(validation_batches(corpus, WINDOW, eval_tokens // CONTEXT, sequences))
    chosen = np.concatenate(read)[:, 0] // CONTEXT
    number = windows(tokens, WINDOW)
    assert len(chosen) == min(number, max(1, eval_tokens // CONTEXT))
    steps = np.diff(np.append(chosen, number + chosen[0]))
    assert steps.min() >= 1
    assert steps.max() - steps.min() <= 1


def test_too_few_tokens_are_refused_with_the_epochs(tmp_path: Path) -> None:
    corpus = numbered(tmp_path, 101)
    check_tokens(corpus, sequences=25, window=WINDOW, repeat=False)
    check_tokens(corpus, sequences=63, window=WINDOW, repeat=True)
    with pytest.raises(CorpusError, match=r"(?s)252 training tokens.*2\.52 epochs.*corpus\.repeat = true"):
        check_tokens(corpus, sequences=63, window=WINDOW, repeat=False)


def test_a_split_below_two_contexts_is_refused_even_with_repetition(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="validation split is shorter than two contexts"):
        check_tokens(numbered(tmp_path, 101), sequences=1, window=Window(102, 101), repeat=True)
