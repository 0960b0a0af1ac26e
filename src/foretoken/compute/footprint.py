"""Memory of one training step of this package's own loop, in float32: weights, gradients, AdamW's moments, and what the
forward pass keeps for the backward pass (`compute.activations`, a line per layer).

What the step needs for a moment only (masks, a gradient on its way back) and the process itself, some 500 MB with
torch, are not in it; with bfloat16 most activations are half as large, and a copy of the weights comes on top.
"""

from __future__ import annotations

from foretoken.compute.activations import INDEX, Step, norm
from foretoken.compute.memory import Memory
from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape

BYTES = 4.0


def training_bytes(shape: ModelShape, objective: Objective, sequences: int, *, dropout: bool = False) -> Memory:
    """Bytes that a step on so many sequences holds, by part; `dropout` is whether there is any.

    >>> shape = ModelShape(layers=2, width=64, heads=4, context=128, vocabulary=256)
    >>> memory = training_bytes(shape, Objective(), sequences=8)
    >>> memory.optimizer / count_parameters(shape).total, round(memory.activations / 1e6, 1)
    (8.0, 14.7)
    """
    weights = BYTES * count_parameters(shape).total
    step = Step(
        sequences=sequences,
        dropout=dropout,
        separate_documents=objective.separate_documents,
        prefixes=objective.shows_prefix(shape.family_record),
    )
    elements = shape.family_record.activations(shape, step) + _head(shape, objective, sequences)
    # AdamW keeps a mean of gradients and one of their squares, so twice the weights
    return Memory(weights=weights, gradients=weights, optimizer=2 * weights, activations=BYTES * elements)


def _head(shape: ModelShape, objective: Objective, sequences: int) -> float:
    """After the last norm, and of labels."""
    length = shape.second_context if shape.family_record.two_stacks else shape.context
    share = objective.predicted(shape)
    some = share < 1 or objective.separate_documents
    each = shape.width + shape.vocabulary + INDEX + INDEX * some
    if shape.head_kind.transforms:
        each += 2 * shape.width + norm(shape)
    labels = sequences * shape.context * shape.width if objective.next_sentence else 0
    return sequences * length * share * each + labels
