"""Random choice of the tokens that are hidden: a given number of them in a given number of spans.

Lengths of spans and of the gaps between them are random partitions of their sums, all equally likely, so a span's
length is spread nearly geometrically around its mean (as T5's are; SpanBERT draws from a geometric distribution).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretoken.objectives.examples import Integers

Mask = NDArray[np.bool_]


def random_spans(
    sequences: int, text: int, hidden: int, spans: int, rng: np.random.Generator, *, ends: bool = False
) -> Mask:
    """[sequences, text], True where a token is hidden. With `ends` the first and the last token may be hidden too.

    >>> mask = random_spans(100, 50, 9, 3, np.random.default_rng(0))
    >>> set(mask.sum(1).tolist()), mask[:, 0].any()
    ({9}, np.False_)
    """
    shown = text - hidden
    gaps = _random_partition(sequences, shown + 2 * ends, spans + ends, rng)
    if ends:  # the gaps at both ends may be empty: they were cut one token too long
        gaps[:, 0] -= 1
        gaps[:, -1] -= 1
    lengths = np.zeros((sequences, 2 * spans + ends), dtype=np.int64)
    lengths[:, 0::2], lengths[:, 1::2] = gaps, _random_partition(sequences, hidden, spans, rng)
    borders = np.cumsum(lengths, axis=1)[:, :-1]
    # The parity of the borders passed says whether a position is in a gap or in a span. An empty gap at the front puts
    # its border at 0; one at the end puts it at `text`, which is cut off.
    turns = np.zeros((sequences, text + 1), dtype=np.int64)
    np.add.at(turns, (np.arange(sequences)[:, None], borders), 1)
    mask: Mask = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    return mask


def random_tokens(candidates: Mask, share: float, rng: np.random.Generator) -> Mask:
    """Single tokens of each row: the given share of its candidates, at least one."""
    keys = np.where(candidates, rng.random(candidates.shape), 2.0)  # others come last in the order
    counts = hidden_counts(candidates.sum(1), share, rng)
    order = np.argsort(keys, axis=1)
    rank = np.argsort(order, axis=1)
    mask: Mask = (rank < counts[:, None]) & candidates
    return mask


def hidden_counts(candidates: Integers, share: float, rng: np.random.Generator) -> Integers:
    """How many tokens to hide in each row: whole numbers whose mean is the share, at least one and not all."""
    # floor(x + u) with u uniform in [0, 1) has the mean x: rounded up as often as its fraction says.
    drawn = np.floor(share * candidates + rng.random(len(candidates))).astype(np.int64)
    return np.clip(drawn, 1, np.maximum(1, candidates - 1))


def _random_partition(sequences: int, total: int, parts: int, rng: np.random.Generator) -> Integers:
    """A random partition of `total` into that many parts of at least 1, for each sequence."""
    if parts == 1:
        return np.full((sequences, 1), total)
    # parts - 1 of the total - 1 places between neighbours, each set equally likely (stars and bars).
    positions = np.argsort(rng.random((sequences, total - 1)), axis=1)[:, : parts - 1] + 1
    borders = np.concatenate(
        [np.zeros((sequences, 1), np.int64), np.sort(positions, axis=1), np.full((sequences, 1), total)], axis=1
    )
    return np.diff(borders, axis=1)
