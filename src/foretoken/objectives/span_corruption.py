"""Span corruption: the source has a sentinel for each hidden span, the target tells what each stands for.

Raffel et al. 2019 (arXiv 1910.10683): "Thank you <X> me to your party <Y> week." -> "<X> for inviting <Y> last <Z>".
"""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import PAD
from foretoken.objectives.causal import started
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers
from foretoken.objectives.spans import Mask, random_spans


def span_corruption(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The target from the source; in one stack, the source is a prefix that is seen both ways."""
    text, hidden, spans = builder.objective.hidden(builder.shape)
    sentinels = np.array([number for name, number in builder.specials.items() if name.startswith("<extra_id_")])
    source, target = corrupt_spans(text_BL, random_spans(len(text_BL), text, hidden, spans, rng, ends=True), sentinels)
    if builder.shape.family_record.two_stacks:
        return Examples(inputs={"tokens": source, "target": started(target, builder.specials[PAD])}, targets=target)
    both = np.concatenate([source, target], axis=1)
    length = both.shape[1] - 1
    positions = np.flatnonzero(np.tile(np.arange(length) >= source.shape[1] - 1, (len(both), 1)))
    prefix = np.full(len(both), source.shape[1])
    return Examples(
        inputs={"tokens": both[:, :-1], "prefix": prefix},
        targets=both[:, 1:].reshape(-1)[positions],
        positions=positions,
    )


def corrupt_spans(text_BL: Integers, hidden_BL: Mask, sentinels: Integers) -> tuple[Integers, Integers]:
    """Source and target. Every row must hide as many tokens in as many spans.

    >>> text, hidden = np.array([[1, 2, 3, 4, 5, 6]]), np.array([[0, 1, 1, 0, 1, 0]], dtype=bool)
    >>> source, target = corrupt_spans(text, hidden, np.array([90, 91, 92]))
    >>> source.tolist(), target.tolist()
    ([[1, 90, 4, 91, 6]], [[90, 2, 3, 91, 5, 92]])
    """
    rows = len(text_BL)
    starts = hidden_BL & ~np.pad(hidden_BL, ((0, 0), (1, 0)))[:, :-1]
    number = np.cumsum(starts, axis=1) - 1
    source = np.where(starts, sentinels[np.maximum(number, 0)], text_BL)[~hidden_BL | starts].reshape(rows, -1)
    pairs = np.stack([np.where(starts, sentinels[np.maximum(number, 0)], -1), np.where(hidden_BL, text_BL, -1)], axis=2)
    flat = pairs.reshape(rows, -1)
    target = flat[flat >= 0].reshape(rows, -1)
    last = np.full((rows, 1), sentinels[number[0, -1] + 1])
    return source, np.concatenate([target, last], axis=1)
