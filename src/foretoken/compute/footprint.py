"""Memory of one training step of this package's own loop, in float32: weights, gradients, AdamW's moments, and what the
forward pass keeps for the backward pass.

It is counted from the code of models/ and objectives/, in elements of 4 bytes per position (an index is 8 bytes, so 2).
W width, Q all queries, K all keys, F hidden size, H heads, S positions looked at, V vocabulary, E experts, A active
ones, p the share of positions that predict:

    embedding       2 of the tokens, 2 of kinds of segments
    norm            W + 2: its input, mean, deviation; an RMS norm 2 W + 1: also what it multiplies by its weights
    attention       W the input of queries, keys and values; 4 Q of these and of scaled queries, or where there is a
                    mask Q + 2 K; H S probabilities, of causal ones a block of 128 positions keeps those up to its end;
                    Q the input of the output. Beyond 512 positions torch's fused attention keeps its inputs and output
    look            as attention with a mask; W of a position of the source once for all layers
    feed-forward    W, then 2 F around an activation (1 F of a ReLU, which keeps its output), 4 F where it is gated
    experts         as much for each row, A rows of a token and those that fill up groups to multiples of 16; A W of
                    what they give, and 2 E of the router
    dropout         W a factor of each element
    LSTM            oneDNN's workspace, about 15 W, an output of torch's operation that it keeps for its gradient, and
                    W of its input; with separate documents 8 W (see models/recurrence.py)
    head            p (W + V + 2): its input, the probabilities, the targets; BERT's has a layer and a norm before
    relative        2 S of the buckets, once for all sequences and layers

What the step needs for a moment only (masks, a gradient on its way back) and the process itself, some 500 MB with
torch, are not in it; with bfloat16 most activations are half as
large, and a copy of the weights comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.memory import Memory
from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape

BYTES = 4.0
INDEX = 2
"""Elements that an index takes."""
BLOCK, LONGEST, GROUP = 128, 512, 16
"""Positions of a block of causal attention, longest context whose probabilities are kept, rows that groups of experts
are filled up to a multiple of: as in models/."""


def training_bytes(shape: ModelShape, objective: Objective, sequences: int, *, dropout: bool = False) -> Memory:
    """Bytes that a step on so many sequences holds, by part; `dropout` is whether there is any.

    >>> shape = ModelShape(layers=2, width=64, heads=4, context=128, vocabulary=256)
    >>> held = training_bytes(shape, Objective(), sequences=8)
    >>> held.optimizer / count_parameters(shape).total, round(held.activations / 1e6, 1)
    (8.0, 14.7)
    """
    weights = BYTES * count_parameters(shape).total
    kept = _lstm if shape.family == "lstm" else _stacks
    elements = kept(shape, objective, sequences, dropout) + _head(shape, objective, sequences)
    return Memory(weights=weights, gradients=weights, optimizer=2 * weights, activations=BYTES * elements)


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """What of a stack its elements depend on."""

    layers: int
    length: int
    source: int = 0
    """Positions of a source that is looked at."""
    causal: bool
    masked: bool
    """Whether each sequence has a mask of its own."""


def _stacks(shape: ModelShape, objective: Objective, sequences: int, dropout: bool) -> float:
    masked = objective.separate_documents or (shape.family == "prefix" and objective.kind != "causal")
    first = _Stack(layers=shape.layers, length=shape.context, causal=not shape.both_ways, masked=masked)
    if shape.family != "encoder_decoder":
        return _stack(shape, first, sequences, dropout)
    length, layers = shape.decoder_context or shape.context, shape.target_layers
    second = _Stack(layers=layers, length=length, source=shape.context, causal=True, masked=False)
    seen = sequences * shape.context * shape.width
    return _stack(shape, first, sequences, dropout) + seen + _stack(shape, second, sequences, dropout)


def _stack(shape: ModelShape, stack: _Stack, sequences: int, dropout: bool) -> float:
    length, factor = stack.length, shape.width if dropout else 0
    positions, sparse = sequences * length, shape.expert_layers(stack.layers)
    around = INDEX + INDEX * bool(shape.token_types) + shape.embedding_norm * _norm(shape) + factor
    around += shape.final_norm * _norm(shape)
    parts = 3 if stack.source else 2
    block = parts * (_norm(shape) + shape.width + factor)
    each = stack.layers * block + (stack.layers - sparse) * _hidden(shape, shape.feed_forward) + around
    attention = _attention(shape, stack, sequences)
    if stack.source:
        attention += _masked_attention(shape, length, stack.source)
    shared = INDEX * length * length if shape.positions == "relative" else 0
    if shape.positions == "rotary":
        shared = length * shape.head_width
    if stack.masked and length > LONGEST and shape.positions != "relative":
        shared += sequences * length * length
    return positions * each + sequences * stack.layers * attention + sparse * _experts(shape, positions) + shared


def _norm(shape: ModelShape) -> int:
    return 2 * shape.width + 1 if shape.norm == "rms" else shape.width + 2


def _attention(shape: ModelShape, stack: _Stack, sequences: int) -> float:
    """Of one layer and sequence, between the input of the queries and the output."""
    length, width = stack.length, shape.query_width
    if not stack.causal or stack.masked or shape.positions == "relative":
        learned = shape.positions == "relative"
        return _masked_attention(shape, length, length, learned) + length * _views(shape, length, sequences)
    if length > LONGEST:
        return length * (5 * width + shape.heads)
    ends = (min(start + BLOCK, length) for start in range(0, length, BLOCK))
    rows = sum((end - (end - 1) // BLOCK * BLOCK) * end for end in ends)
    return length * 5 * width + shape.heads * rows


def _masked_attention(shape: ModelShape, length: int, seen: int, learned: bool = False) -> float:
    """With any mask. Fused attention has no gradient for a `learned` one, so torch keeps the probabilities there."""
    queries, keys, heads = length * shape.query_width, seen * shape.kv_width, shape.heads
    if seen <= LONGEST:
        return 2 * queries + 2 * keys + heads * length * seen
    if learned:
        return 2 * queries + 2 * seen * shape.query_width + heads * length * seen
    return 2 * queries + 2 * keys + heads * length


def _views(shape: ModelShape, length: int, sequences: int) -> int:
    """What a position keeps beside its queries, keys and values where some of them are views of the product that all
    came from: the rest of it. Turned queries and keys are no views.
    """
    rotary, one = shape.positions == "rotary", sequences == 1 or (shape.kv_heads or shape.heads) == 1
    if length > LONGEST:
        return (2 * shape.query_width + shape.kv_width) * rotary
    return (shape.query_width + shape.kv_width * rotary) * one


def _hidden(shape: ModelShape, hidden: int) -> int:
    """Inside a feed-forward, per row."""
    if shape.gated:
        return 4 * hidden
    return hidden if shape.activation == "relu" else 2 * hidden


def _experts(shape: ModelShape, positions: int) -> float:
    """Of one layer, behind its input."""
    active, hidden = shape.active_experts, shape.expert_width or shape.feed_forward
    rows = positions * active + shape.experts * (GROUP - 1) / 2
    row = shape.width + _hidden(shape, hidden) + INDEX * shape.bias
    router = 2 * shape.experts + (2 * INDEX + 3) * active + 2
    return rows * row + positions * (active * shape.width + router + shape.shared_experts * _hidden(shape, hidden))


def _lstm(shape: ModelShape, objective: Objective, sequences: int, dropout: bool) -> float:
    width, layers, positions = shape.width, shape.layers, sequences * shape.context
    factors = (layers + 1) * width if dropout else 0
    if objective.separate_documents:
        return positions * (INDEX + layers * (8 * width + 1) + factors)
    outputs = layers if dropout else 1
    states = sequences * layers * 4 * width
    workspace = layers * _workspace(shape.context, sequences, width)
    return positions * (INDEX + (layers + outputs) * width + factors) + states + workspace


def _workspace(length: int, sequences: int, width: int) -> float:
    """Of one layer of oneDNN's LSTM: gates and a state for each position, and ten states for each and for the first.

    It fills rows up to 64 bytes, and by as much again where they would be a multiple of 1024 bytes long, and each
    of its parts up to 4096 bytes.
    """
    states = 2 * (length + 1) * sequences
    inner = length * sequences
    parts = [inner * _filled_up(4 * width), inner * _filled_up(width)]
    parts += 3 * [states * _filled_up(width)] + 2 * [states * width]
    return sum(-(-part // 1024) * 1024 for part in parts)


def _filled_up(row: int) -> int:
    whole = -(-row // 16) * 16
    return whole + 16 if whole % 256 == 0 else whole


def _head(shape: ModelShape, objective: Objective, sequences: int) -> float:
    """Behind the last norm, and of labels."""
    length = (shape.decoder_context or shape.context) if shape.family == "encoder_decoder" else shape.context
    share = objective.predicted(shape)
    some = share < 1 or objective.separate_documents
    each = shape.width + shape.vocabulary + INDEX + INDEX * some
    if shape.head == "masked":
        each += 2 * shape.width + _norm(shape)
    labels = sequences * shape.context * shape.width if objective.next_sentence else 0
    return sequences * length * share * each + labels
