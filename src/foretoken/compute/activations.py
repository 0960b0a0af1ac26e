"""What the forward pass of a training step keeps for the backward pass, in elements of 4 bytes, by family.

It is counted from the code of models/ and objectives/, per position (an index is 8 bytes, so 2 elements).
W width, Q all queries, K all keys, F hidden size, H heads, S positions attended to, V vocabulary, E experts, A active
ones, p the share of positions that predict:

    embedding       2 of the tokens, 2 of kinds of segments
    norm            W + 2: its input, mean, deviation; an RMS norm 2 W + 1: also what it multiplies by its weights
    attention       W the input of queries, keys and values; 4 Q of these and of scaled queries, or where there is a
                    mask Q + 2 K; H S probabilities, of causal ones a block of 128 positions keeps those up to its end;
                    Q the input of the output. Beyond 512 positions torch's fused attention keeps its inputs and output
    cross-attention as attention with a mask; W of a position of the source once for all layers
    feed-forward    W, then 2 F around an activation (1 F of a ReLU, which keeps its output), 4 F where it is gated
    experts         as much for each row, A rows of a token and those that fill up groups to multiples of 16; A W of
                    what they give, and 2 E of the router
    dropout         W a factor of each element
    LSTM            oneDNN's workspace, about 15 W, an output of torch's operation that it keeps for its gradient, and
                    W of its input; with separate documents 8 W (see models/lstm.py)
    head            p (W + V + 2): its input, the probabilities, the targets; BERT's has a layer and a norm before
    relative        2 S of the buckets, once for all sequences and layers
"""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.shape_fields import ShapeFields

INDEX = 2
"""Elements that an index takes."""
BLOCK, LONGEST, GROUP = 128, 512, 16
"""Positions of a block of causal attention, longest context whose probabilities are kept, rows that groups of experts
are filled up to a multiple of: as in models/."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What of a training step, beside the shape, decides how much it keeps."""

    sequences: int
    dropout: bool = False
    separate_documents: bool = False
    """Whether documents of one sequence do not see each other."""
    prefixes: bool = False
    """Whether each sequence begins with a prefix that is seen in both directions, of a length of its own."""

    @property
    def own_masks(self) -> bool:
        """Whether each sequence has a mask of its own."""
        return self.separate_documents or self.prefixes


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """What of a stack its elements depend on."""

    layers: int
    length: int
    source: int = 0
    """Positions of a source that cross-attention reads; 0 without it."""
    causal: bool
    own_masks: bool = False


def causal_stack(shape: ShapeFields, step: Step) -> float:
    """Elements of one stack whose positions see those before them."""
    return _stack(shape, _Stack(layers=shape.layers, length=shape.context, causal=True, own_masks=step.own_masks), step)


def bidirectional_stack(shape: ShapeFields, step: Step) -> float:
    """Elements of one stack whose positions all see each other."""
    return _stack(
        shape, _Stack(layers=shape.layers, length=shape.context, causal=False, own_masks=step.own_masks), step
    )


def two_stacks(shape: ShapeFields, step: Step) -> float:
    """Elements of an encoder, of its output, which every layer of the decoder reads, and of the decoder."""
    second = _Stack(layers=shape.second_layers, length=shape.second_context, source=shape.context, causal=True)
    source = step.sequences * shape.context * shape.width
    return bidirectional_stack(shape, step) + source + _stack(shape, second, step)


def _stack(shape: ShapeFields, stack: _Stack, step: Step) -> float:
    length, factor = stack.length, shape.width if step.dropout else 0
    positions, sparse = step.sequences * length, shape.expert_layers(stack.layers)
    ends = INDEX + INDEX * bool(shape.token_types) + shape.embedding_norm * norm(shape) + factor
    ends += shape.final_norm * norm(shape)
    # each layer of a block (attention, cross-attention, feed-forward) has a norm, an input and a dropout of its own
    parts = 3 if stack.source else 2
    block = parts * (norm(shape) + shape.width + factor)
    each = stack.layers * block + (stack.layers - sparse) * _hidden(shape, shape.feed_forward) + ends
    attention = _attention(shape, stack, step.sequences)
    if stack.source:
        attention += _masked_attention(shape, length, stack.source)
    experts = sparse * _experts(shape, positions)
    once = _once(shape, stack, step.sequences)
    return positions * each + step.sequences * stack.layers * attention + experts + once


def _once(shape: ShapeFields, stack: _Stack, sequences: int) -> float:
    """What all layers share: tables of positions, and masks where fused attention keeps its own copy of them."""
    length, positions = stack.length, shape.position_kind
    elements = INDEX * length * length * positions.relative + length * shape.head_width * positions.rotary
    if stack.own_masks and length > LONGEST and not positions.relative:
        elements += sequences * length * length
    return elements


def norm(shape: ShapeFields) -> int:
    """Elements that a norm keeps of one position."""
    return shape.width + 2 if shape.centred_norm else 2 * shape.width + 1


def _attention(shape: ShapeFields, stack: _Stack, sequences: int) -> float:
    """Of one layer and sequence, between the input of the queries and the output."""
    length, width, relative = stack.length, shape.query_width, shape.position_kind.relative
    if not stack.causal or stack.own_masks or relative:
        return _masked_attention(shape, length, length, relative) + length * _views(shape, length, sequences)
    if length > LONGEST:  # fused attention: inputs, output, and a log-sum per head and position
        return length * (5 * width + shape.heads)
    # a block of rows keeps probabilities up to its own end only: about half of the square of the length
    ends = (min(start + BLOCK, length) for start in range(0, length, BLOCK))
    rows = sum((end - (end - 1) // BLOCK * BLOCK) * end for end in ends)
    return length * 5 * width + shape.heads * rows


def _masked_attention(shape: ShapeFields, length: int, source: int, learned: bool = False) -> float:
    """With any mask. Fused attention has no gradient for a `learned` one, so torch keeps the probabilities there."""
    queries, keys, heads = length * shape.query_width, source * shape.kv_width, shape.heads
    if source <= LONGEST:
        return 2 * queries + 2 * keys + heads * length * source
    if learned:
        return 2 * queries + 2 * source * shape.query_width + heads * length * source
    return 2 * queries + 2 * keys + heads * length


def _views(shape: ShapeFields, length: int, sequences: int) -> int:
    """What a position keeps beside its queries, keys and values where some of them are views of the product that all
    came from: the rest of it. Rotated queries and keys are no views.
    """
    rotary, contiguous = shape.position_kind.rotary, sequences == 1 or (shape.kv_heads or shape.heads) == 1
    if length > LONGEST:
        return (2 * shape.query_width + shape.kv_width) * rotary
    return (shape.query_width + shape.kv_width * rotary) * contiguous


def _hidden(shape: ShapeFields, hidden: int) -> int:
    """Inside a feed-forward, per row."""
    if shape.gated:  # the gate before and after its activation, the value, and their product
        return 4 * hidden
    return (1 + shape.activation_kind.keeps_input) * hidden


def _experts(shape: ShapeFields, positions: int) -> float:
    """Of one layer, after its input."""
    active, hidden = shape.active_experts, shape.expert_width or shape.feed_forward
    # a group is filled up by (GROUP - 1) / 2 rows on average
    rows = positions * active + shape.experts * (GROUP - 1) / 2
    row = shape.width + _hidden(shape, hidden) + INDEX * shape.bias
    # probabilities and logits of all experts; two indices and three weights of each one chosen
    router = 2 * shape.experts + (2 * INDEX + 3) * active + 2
    return rows * row + positions * (active * shape.width + router + shape.shared_experts * _hidden(shape, hidden))


def lstm(shape: ShapeFields, step: Step) -> float:
    """Elements of the layers of an LSTM: oneDNN's, or those of models/lstm.py where documents are kept apart."""
    width, layers, positions = shape.width, shape.layers, step.sequences * shape.context
    factors = (layers + 1) * width if step.dropout else 0
    if step.separate_documents:
        return positions * (INDEX + layers * (8 * width + 1) + factors)
    outputs = layers if step.dropout else 1
    states = step.sequences * layers * 4 * width
    workspace = layers * _workspace(shape.context, step.sequences, width)
    return positions * (INDEX + (layers + outputs) * width + factors) + states + workspace


def _workspace(length: int, sequences: int, width: int) -> float:
    """Of one layer of oneDNN's LSTM: gates and a state for each position, and ten states for each and for the first.

    It fills rows up to 64 bytes, and by as much again where they would be a multiple of 1024 bytes long, and each
    of its parts up to 4096 bytes.
    """
    # the layout is oneDNN's own, and not documented: held against the bytes that torch holds in the tests
    states = 2 * (length + 1) * sequences
    inner = length * sequences
    parts = [inner * _filled_up(4 * width), inner * _filled_up(width)]
    parts += 3 * [states * _filled_up(width)] + 2 * [states * width]
    return sum(-(-part // 1024) * 1024 for part in parts)


def _filled_up(row: int) -> int:
    whole = -(-row // 16) * 16
    return whole + 16 if whole % 256 == 0 else whole
