"""Which tokens are hidden: a given number of them in a given number of spans, at random positions.

Lengths of spans and of what lies between are a random cut of their sums, each cut as likely as any other, so a span's
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
    gaps = _cut(sequences, shown + 2 * ends, spans + ends, rng)
    if ends:  # a gap may be empty at both ends
        gaps[:, 0] -= 1
        gaps[:, -1] -= 1
    lengths = np.zeros((sequences, 2 * spans + ends), dtype=np.int64)
    lengths[:, 0::2], lengths[:, 1::2] = gaps, _cut(sequences, hidden, spans, rng)
    borders = np.cumsum(lengths, axis=1)[:, :-1]
    turns = np.zeros((sequences, text + 1), dtype=np.int64)
    np.add.at(turns, (np.arange(sequences)[:, None], borders), 1)
    mask: Mask = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    return mask


def random_tokens(candidates: Mask, share: float, rng: np.random.Generator) -> Mask:
    """Single tokens of each row: the given share of its candidates, at least one."""
    keys = np.where(candidates, rng.random(candidates.shape), 2.0)
    wanted = numbers(candidates.sum(1), share, rng)
    order = np.argsort(keys, axis=1)
    rank = np.argsort(order, axis=1)
    mask: Mask = (rank < wanted[:, None]) & candidates
    return mask


def numbers(candidates: Integers, share: float, rng: np.random.Generator) -> Integers:
    """How many to hide in each row: whole numbers whose mean is the share, at least one and not all."""
    drawn = np.floor(share * candidates + rng.random(len(candidates))).astype(np.int64)
    return np.clip(drawn, 1, np.maximum(1, candidates - 1))


def _cut(sequences: int, total: int, parts: int, rng: np.random.Generator) -> Integers:
    """A random cut of `total` into that many parts of at least 1, for each sequence."""
    if parts == 1:
        return np.full((sequences, 1), total)
    positions = np.argsort(rng.random((sequences, total - 1)), axis=1)[:, : parts - 1] + 1
    borders = np.concatenate(
        [np.zeros((sequences, 1), np.int64), np.sort(positions, axis=1), np.full((sequences, 1), total)], axis=1
    )
    return np.diff(borders, axis=1)
