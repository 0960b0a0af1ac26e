"""Span corruption: the source has a sentinel in place of each hidden span, the target has the spans after theirs.

Raffel et al. 2019 (arXiv 1910.10683): "Thank you <X> me to your party <Y> week." -> "<X> for inviting <Y> last <Z>".
"""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import PAD
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers, shifted_right
from foretoken.objectives.spans import Mask, random_spans


def span_corruption(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The target from the source; in one stack, the source is a prefix that is seen in both directions."""
    text, hidden, spans = builder.objective.hidden(builder.shape)
    sentinels = np.array([token for name, token in builder.specials.items() if name.startswith("<extra_id_")])
    source, target = corrupt_spans(text_BL, random_spans(len(text_BL), text, hidden, spans, rng, ends=True), sentinels)
    if builder.shape.family_record.two_stacks:
        inputs = {"tokens": source, "target": shifted_right(target, builder.specials[PAD])}
        return Examples(inputs=inputs, targets=target)
    both = np.concatenate([source, target], axis=1)
    length = both.shape[1] - 1
    # All sources are of one length: the prediction of the target begins at the source's last token.
    positions = np.flatnonzero(np.tile(np.arange(length) >= source.shape[1] - 1, (len(both), 1)))
    prefix = np.full(len(both), source.shape[1])
    return Examples(
        inputs={"tokens": both[:, :-1], "prefix": prefix},
        targets=both[:, 1:].reshape(-1)[positions],
        positions=positions,
    )


def corrupt_spans(text_BL: Integers, hidden_BL: Mask, sentinels: Integers) -> tuple[Integers, Integers]:
    """Source and target. All rows must hide equally many tokens in equally many spans.

    >>> text, hidden = np.array([[1, 2, 3, 4, 5, 6]]), np.array([[0, 1, 1, 0, 1, 0]], dtype=bool)
    >>> source, target = corrupt_spans(text, hidden, np.array([90, 91, 92]))
    >>> source.tolist(), target.tolist()
    ([[1, 90, 4, 91, 6]], [[90, 2, 3, 91, 5, 92]])
    """
    rows = len(text_BL)
    starts_BL = hidden_BL & ~np.pad(hidden_BL, ((0, 0), (1, 0)))[:, :-1]
    span_BL = np.cumsum(starts_BL, axis=1) - 1  # number of the span, or of the last one before; -1 before the first
    sentinel_BL = sentinels[np.maximum(span_BL, 0)]
    # The source keeps shown tokens and, at the start of each span, its sentinel.
    source = np.where(starts_BL, sentinel_BL, text_BL)[~hidden_BL | starts_BL].reshape(rows, -1)
    # The target has two places for each token of the text: its sentinel if a span starts there, itself if hidden.
    places = np.stack([np.where(starts_BL, sentinel_BL, -1), np.where(hidden_BL, text_BL, -1)], axis=2)
    places = places.reshape(rows, -1)
    target = places[places >= 0].reshape(rows, -1)
    last = np.full((rows, 1), sentinels[span_BL[0, -1] + 1])
    return source, np.concatenate([target, last], axis=1)
