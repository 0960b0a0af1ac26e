"""Next-token prediction, and prefix LM: the same after a beginning that is seen in both directions."""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import PAD
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers, shifted_right


def causal(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """Each token from those before it. A document's first token is not predicted where documents are kept apart."""
    tokens, targets = text_BL[:, :-1], text_BL[:, 1:]
    documents = builder.documents(tokens)
    if not documents:
        return Examples(inputs={"tokens": tokens}, targets=targets)
    # A separator sees its own document only, so it cannot predict the first token of the next one.
    positions = np.flatnonzero(tokens != builder.separator)
    return Examples(inputs={"tokens": tokens, **documents}, targets=targets.reshape(-1)[positions], positions=positions)


def prefix(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The rest of a text from its beginning.

    In one stack the beginning has any length, drawn for each sequence; in two it fills the encoder's context.
    """
    if builder.shape.family_record.two_stacks:
        return _two_stacks(builder, text_BL)
    tokens, targets = text_BL[:, :-1], text_BL[:, 1:]
    documents, length = builder.documents(tokens), tokens.shape[1]
    prefix_B = rng.integers(1, length, len(tokens))
    # The last token of the prefix predicts the first one after it; those before it have seen their targets.
    predicts_BT = np.arange(length) >= prefix_B[:, None] - 1
    if documents:
        predicts_BT &= tokens != builder.separator
    positions = np.flatnonzero(predicts_BT)
    inputs = {"tokens": tokens, "prefix": prefix_B, **documents}
    return Examples(inputs=inputs, targets=targets.reshape(-1)[positions], positions=positions)


def _two_stacks(builder: ExampleBuilder, text_BL: Integers) -> Examples:
    source, target = text_BL[:, : builder.shape.context], text_BL[:, builder.shape.context :]
    inputs = {"tokens": source, "target": shifted_right(target, builder.specials[PAD])}
    return Examples(inputs=inputs, targets=target)
