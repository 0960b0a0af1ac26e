"""Batches as a pure function of (seed, step): resuming needs no replay, and nothing is shuffled in memory.

The token stream is cut into windows. Those of next-token prediction have `context` + 1 tokens, at multiples of
`context`, so each token is a target once; those of other objectives do not overlap.
An epoch visits every window once, in an order that a seeded permutation gives: position -> window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from foretoken.compute.objective import Window
from foretoken.data.tokenized import TokenizedCorpus
from foretoken.errors import CorpusError
from foretoken.units import format_count

Text = NDArray[np.int64]
"""Tokens of text, [sequences, window.length]."""

ROUNDS = 6
"""Of the Feistel network: with four it is a pseudorandom permutation (Luby and Rackoff 1988); two are to spare."""


def batch(
    corpus: TokenizedCorpus, *, split: str = "train", seed: int, step: int, sequences: int, window: Window
) -> Text:
    """The text of one step. After the last window of an epoch comes the first of the next, reshuffled."""
    tokens = corpus.tokens(split)
    number = windows(len(tokens), window)
    # The position counts the windows of all steps since the first, so a step needs no memory of those before it.
    position = np.arange(step * sequences, (step + 1) * sequences, dtype=np.uint64)
    epoch, within = np.divmod(position, np.uint64(number))
    return _read(tokens, shuffled(within, number, seed, epoch), window)


def validation_batches(corpus: TokenizedCorpus, window: Window, wanted: int, sequences: int) -> Iterator[Text]:
    """The fixed evaluation set: `wanted` windows of the validation split, evenly spread over it, in order.

    A shorter split is given whole. The last batch may have fewer sequences.
    """
    tokens = corpus.tokens("validation")
    number = windows(len(tokens), window)
    chosen = min(number, max(1, wanted))
    spread = np.arange(chosen, dtype=np.int64) * number // chosen  # strictly rising, because number >= chosen
    for first in range(0, chosen, sequences):
        yield _read(tokens, spread[first : first + sequences], window)


def windows(tokens: int, window: Window) -> int:
    """Windows that a stream of tokens gives."""
    return max(0, tokens - (window.length - window.stride)) // window.stride


def check_tokens(corpus: TokenizedCorpus, sequences: int, window: Window, repeat: bool) -> None:
    """Raise CorpusError when a run of so many sequences would repeat the text and `repeat` does not allow it."""
    if windows(corpus.validation_tokens, window) < 2:
        raise CorpusError(
            "the validation split is shorter than two contexts",
            expected=f"more than {2 * window.stride} tokens",
            got=f"{corpus.validation_tokens} tokens",
            cure="give more text, or raise corpus.validation_share",
        )
    needed, available = sequences * window.stride, windows(corpus.train_tokens, window) * window.stride
    if available == 0 or (needed > available and not repeat):
        epochs = f"; that would be {needed / available:.2f} epochs" if available else ""
        raise CorpusError(
            "the corpus is too small for the largest run",
            expected=f"{needed} training tokens ({format_count(needed)})",
            got=f"{available} ({format_count(available)}){epochs}",
            cure="give more text, lower the budgets, or set corpus.repeat = true" if available else "give more text",
        )


def shuffled(position: NDArray[np.uint64], number: int, seed: int, epoch: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The window at each position of an epoch: a bijection of range(number) for each (seed, epoch), in O(1) memory.

    A Feistel network on the mixed-radix number (left, right) < rows * columns; what falls beyond `number` goes on
    through the network until it falls inside (cycle walking), which keeps it a bijection.
    """
    columns = max(1, int(np.ceil(np.sqrt(number))))
    rows = -(-number // columns)  # rows * columns exceeds number by less than one row, so few positions walk
    # Seed and epoch are mixed one after the other: (seed, epoch + 1) is no neighbour of (seed + 1, epoch).
    key = _mix(epoch + _mix(np.full(1, seed, np.uint64)))
    window = _feistel(position, rows, columns, key)
    while (outside := window >= number).any():
        window[outside] = _feistel(window[outside], rows, columns, key[outside])
    return window.astype(np.int64)


def _feistel(value: NDArray[np.uint64], rows: int, columns: int, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    left, right = np.divmod(value, np.uint64(columns))
    # Each half in turn is shifted by a function of the other, modulo its own size, so every round can be undone.
    for turn in range(0, ROUNDS, 2):
        left = (left + _mix(right + key + np.uint64(turn)) % np.uint64(rows)) % np.uint64(rows)
        right = (right + _mix(left + key + np.uint64(turn + 1)) % np.uint64(columns)) % np.uint64(columns)
    return left * np.uint64(columns) + right


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64 (Steele et al. 2014): each bit of the input changes half of those of the output."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _read(tokens: NDArray[np.generic], number: NDArray[np.int64], window: Window) -> Text:
    text: Text = tokens[number[:, None] * window.stride + np.arange(window.length)].astype(np.int64)
    return text
