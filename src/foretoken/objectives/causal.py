"""Next-token prediction, and prefix LM: the same with a beginning that is seen both ways (no predictions there)."""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import PAD
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers


def causal(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """Each token from those before it. A document's first token is not predicted where documents are kept apart."""
    tokens, targets = text_BL[:, :-1], text_BL[:, 1:]
    documents = builder.documents(tokens)
    if not documents:
        return Examples(inputs={"tokens": tokens}, targets=targets)
    positions = np.flatnonzero(tokens != builder.separator)
    return Examples(inputs={"tokens": tokens, **documents}, targets=targets.reshape(-1)[positions], positions=positions)


def prefix(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """The rest from the beginning: any length of it in one stack, all of the encoder's context in two."""
    if builder.shape.family_record.two_stacks:
        return _two_stacks(builder, text_BL)
    tokens, targets = text_BL[:, :-1], text_BL[:, 1:]
    documents, length = builder.documents(tokens), tokens.shape[1]
    prefix_B = rng.integers(1, length, len(tokens))
    predicts = np.arange(length) >= prefix_B[:, None] - 1
    if documents:
        predicts &= tokens != builder.separator
    positions = np.flatnonzero(predicts)
    inputs = {"tokens": tokens, "prefix": prefix_B, **documents}
    return Examples(inputs=inputs, targets=targets.reshape(-1)[positions], positions=positions)


def _two_stacks(builder: ExampleBuilder, text_BL: Integers) -> Examples:
    source, rest = text_BL[:, : builder.shape.context], text_BL[:, builder.shape.context :]
    return Examples(inputs={"tokens": source, "target": started(rest, builder.specials[PAD])}, targets=rest)


def started(target_BT: Integers, start: int) -> Integers:
    """What a decoder reads to give a target: the start token, then all but the last."""
    return np.concatenate([np.full((len(target_BT), 1), start), target_BT[:, :-1]], axis=1)
