"""Parameters counted in named groups, so that every paper's N is a sum of some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from foretoken.compute.shape import ModelShape


@dataclass(frozen=True)
class ParameterCount:
    """Trainable parameters by group; all counts are exact and equal `numel()` of the network.

    >>> shape = ModelShape(layers=12, width=768, heads=12, context=1024, vocabulary=50257)
    >>> count_parameters(shape).total  # GPT-2 small
    124439808
    """

    embedding: int
    """Token embedding, and that of token types."""
    position: int
    """Learned positions, or the buckets of relative ones; 0 with rotary positions."""
    attention: int
    feed_forward: int
    """Every expert counts here."""
    norm: int
    head: int
    """What reads the last layer: projection (0 when tied), masked-token layer, pooler, classifier."""
    router: int = 0
    """What chooses the experts."""
    recurrent: int = 0
    """The layers of an LSTM."""
    idle: int = 0
    """Of the feed-forward: experts that one token does not pass."""

    def __add__(self, other: ParameterCount) -> ParameterCount:
        return ParameterCount(**{field.name: getattr(self, field.name) + getattr(other, field.name)
                                 for field in fields(self)})  # fmt: skip

    @property
    def total(self) -> int:
        """Everything that is trained."""
        return self.non_embedding + self.embedding + self.position + self.head

    @property
    def non_embedding(self) -> int:
        """Without token and position embedding and without the output head (Kaplan's N)."""
        return self.attention + self.feed_forward + self.norm + self.router + self.recurrent

    @property
    def active(self) -> int:
        """What one token passes: everything but the experts it is not sent to.

        >>> shape = ModelShape(layers=2, width=8, heads=2, context=8, vocabulary=16, experts=4, active_experts=1)
        >>> count = count_parameters(shape)
        >>> count.total - count.active == 2 * 3 * (2 * 8 * 32 + 32 + 8)
        True
        """
        return self.total - self.idle


def count_parameters(shape: ModelShape) -> ParameterCount:
    """Count the parameters of a model of this shape, by group."""
    return COUNTS[shape.family](shape)


def attention_weights(shape: ModelShape) -> int:
    """Weights of one attention: queries and output over all heads, keys and values over kv_heads."""
    return 2 * shape.width * (shape.query_width + shape.kv_width)


def attention_layer(shape: ModelShape) -> int:
    """Parameters of one attention, with its biases."""
    return attention_weights(shape) + int(shape.bias) * (shape.query_width + 2 * shape.kv_width + shape.width)


def feed_forward_weights(shape: ModelShape, hidden: int) -> int:
    """Weights of one feed-forward of this hidden size."""
    return (2 + shape.gated) * shape.width * hidden


def feed_forward_layer(shape: ModelShape, hidden: int) -> int:
    """Parameters of one feed-forward, with its biases."""
    return feed_forward_weights(shape, hidden) + int(shape.bias) * ((1 + shape.gated) * hidden + shape.width)


def norm_layer(shape: ModelShape) -> int:
    """Parameters of one norm."""
    return shape.width * (1 + int(shape.bias and shape.norm == "layer"))


def _one_stack(shape: ModelShape) -> ParameterCount:
    """Decoder, prefix, encoder."""
    return _around(shape) + _stack(shape, shape.layers, shape.context)


def _two_stacks(shape: ModelShape) -> ParameterCount:
    """An encoder and a decoder on one embedding; each block of the second also looks at the first's output."""
    layers, context = shape.target_layers, shape.decoder_context or shape.context
    looks = replace(NOTHING, attention=layers * attention_layer(shape), norm=layers * norm_layer(shape))
    decoder = _stack(shape, 0 if shape.shared_stacks else layers, context)
    decoder += replace(NOTHING, norm=int(shape.embedding_norm) * norm_layer(shape))
    return _around(shape) + _stack(shape, shape.layers, shape.context) + decoder + looks


def _around(shape: ModelShape) -> ParameterCount:
    """What stands before and behind the stacks."""
    return replace(
        NOTHING,
        embedding=(shape.vocabulary + shape.token_types) * shape.width,
        norm=int(shape.embedding_norm) * norm_layer(shape),
        head=_head(shape),
    )


def _stack(shape: ModelShape, layers: int, context: int) -> ParameterCount:
    """Blocks of attention and feed-forward, their positions and their final norm."""
    expert = feed_forward_layer(shape, shape.expert_width or shape.feed_forward)
    sparse = shape.expert_layers(layers)
    experts = sparse * (shape.experts + shape.shared_experts) * expert
    positions = {"learned": context * shape.width, "relative": shape.position_buckets * shape.heads}
    return ParameterCount(
        embedding=0,
        position=positions.get(shape.positions, 0),
        attention=layers * attention_layer(shape),
        feed_forward=(layers - sparse) * feed_forward_layer(shape, shape.feed_forward) + experts,
        norm=(shape.block_norms * layers + int(shape.final_norm)) * norm_layer(shape),
        head=0,
        router=sparse * shape.width * shape.experts,
        idle=sparse * (shape.experts - shape.active_experts) * expert,
    )


def _lstm(shape: ModelShape) -> ParameterCount:
    """Layers of four gates, each over input and state, with two biases as torch has them."""
    gates = 4 * shape.width * (2 * shape.width + 2 * int(shape.bias))
    embedding = shape.vocabulary * shape.width
    return replace(NOTHING, embedding=embedding, head=_head(shape), recurrent=shape.layers * gates)


def _head(shape: ModelShape) -> int:
    bias = int(shape.bias)
    square = shape.width * (shape.width + bias)
    classifier = int(shape.pooler) * square + shape.classes * (shape.width + bias)
    if shape.head == "none":
        return classifier
    untied = 0 if shape.tied else shape.vocabulary * shape.width
    masked = square + norm_layer(shape) + bias * shape.vocabulary if shape.head == "masked" else 0
    return untied + masked + classifier


NOTHING = ParameterCount(embedding=0, position=0, attention=0, feed_forward=0, norm=0, head=0)
COUNTS: dict[str, Callable[[ModelShape], ParameterCount]] = {
    "decoder": _one_stack,
    "prefix": _one_stack,
    "encoder": _one_stack,
    "encoder_decoder": _two_stacks,
    "lstm": _lstm,
}
"""How each family is counted."""
