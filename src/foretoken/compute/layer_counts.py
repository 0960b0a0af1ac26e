"""Parameters and multiply-adds of single layers, counted in named groups; families add them up.

W width, Q width of all queries, K width of all keys, F hidden size of a feed-forward, V vocabulary. A product of a row
of I numbers with a matrix of I x O weights is I O multiply-adds, so the multiply-adds of a token are the weights that
it passes, and attention's two products (scores, mixture) on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.shape_fields import ShapeFields

TRAINING = 6.0
"""FLOPs of training per multiply-add of the forward pass: 2 of its own, and twice as many in the backward pass, which
has a product for the gradient of the inputs and one for that of the weights."""


@dataclass(frozen=True)
class ParameterCount:
    """Trainable parameters by group; all counts are exact and equal `numel()` of the network.

    >>> from foretoken.compute.parameters import count_parameters
    >>> from foretoken.compute.shape import ModelShape
    >>> shape = ModelShape(layers=12, width=768, heads=12, context=1024, vocabulary=50257)
    >>> count_parameters(shape).total  # GPT-2 small
    124439808
    """

    embedding: int = 0
    """Token embedding, and that of token types."""
    position: int = 0
    """Learned positions, or the buckets of relative ones; 0 with rotary positions."""
    attention: int = 0
    feed_forward: int = 0
    """Every expert counts here."""
    norm: int = 0
    head: int = 0
    """What reads the last layer: projection (0 when tied), masked-token layer, pooler, classifier."""
    router: int = 0
    """What chooses the experts."""
    recurrent: int = 0
    """The layers of a recurrent network."""
    idle: int = 0
    """Of the feed-forward: experts that one token does not pass."""

    def __add__(self, other: ParameterCount) -> ParameterCount:
        return ParameterCount(
            embedding=self.embedding + other.embedding,
            position=self.position + other.position,
            attention=self.attention + other.attention,
            feed_forward=self.feed_forward + other.feed_forward,
            norm=self.norm + other.norm,
            head=self.head + other.head,
            router=self.router + other.router,
            recurrent=self.recurrent + other.recurrent,
            idle=self.idle + other.idle,
        )

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

        >>> from foretoken.compute.parameters import count_parameters
        >>> from foretoken.compute.shape import ModelShape
        >>> shape = ModelShape(layers=2, width=8, heads=2, context=8, vocabulary=16, experts=4, active_experts=1)
        >>> count = count_parameters(shape)
        >>> count.total - count.active == 2 * 3 * (2 * 8 * 32 + 32 + 8)
        True
        """
        return self.total - self.idle


def attention_weights(shape: ShapeFields) -> int:
    """Weights of one attention: queries and output over all heads, keys and values over kv_heads."""
    # queries W Q and output Q W; keys and values W K each: 2 W (Q + K), which is 4 W^2 where all heads are alike
    return 2 * shape.width * (shape.query_width + shape.kv_width)


def attention_parameters(shape: ShapeFields) -> int:
    """Parameters of one attention, with its biases."""
    return attention_weights(shape) + int(shape.bias) * (shape.query_width + 2 * shape.kv_width + shape.width)


def feed_forward_weights(shape: ShapeFields, hidden: int) -> int:
    """Weights of one feed-forward of this hidden size."""
    # up W F and down F W, and with a gate a second W F
    return (2 + shape.gated) * shape.width * hidden


def feed_forward_parameters(shape: ShapeFields, hidden: int) -> int:
    """Parameters of one feed-forward, with its biases."""
    return feed_forward_weights(shape, hidden) + int(shape.bias) * ((1 + shape.gated) * hidden + shape.width)


def norm_parameters(shape: ShapeFields) -> int:
    """Parameters of one norm."""
    return shape.width * (1 + int(shape.bias and shape.centred_norm))


def head_parameters(shape: ShapeFields) -> int:
    """Parameters of what reads the last layer; a tied projection has none of its own."""
    bias, kind = int(shape.bias), shape.head_kind
    square = shape.width * (shape.width + bias)
    classifier = int(shape.pooler) * square + shape.classes * (shape.width + bias)
    untied = shape.vocabulary * shape.width if kind.projects and not shape.tied else 0
    transform = square + norm_parameters(shape) + bias * shape.vocabulary if kind.transforms else 0
    return untied + transform + classifier


def block_weights(shape: ShapeFields, layers: int) -> int:
    """Weights of so many blocks that one token passes: no biases, norms, router."""
    sparse = shape.expert_layers(layers)
    expert = feed_forward_weights(shape, shape.expert_width or shape.feed_forward)
    dense = (layers - sparse) * feed_forward_weights(shape, shape.feed_forward)
    return layers * attention_weights(shape) + dense + sparse * (shape.active_experts + shape.shared_experts) * expert


def stack_products(shape: ShapeFields, layers: int, context: float) -> float:
    """Multiply-adds of one token in a stack: weights, router, and attention over `context` positions."""
    # per head, a score for each position (head width products), and their mixture of values (as many): 2 S Q in a layer
    scores = layers * 2 * context * shape.query_width
    router = shape.expert_layers(layers) * shape.width * shape.experts
    return block_weights(shape, layers) + router + scores


def head_products(shape: ShapeFields, context: int, predicted: float = 1.0) -> float:
    """Multiply-adds of one token in the head, which reads a share `predicted` of the positions.

    Pooler and classifier read one position of `context`.
    """
    classifier = (int(shape.pooler) * shape.width**2 + shape.classes * shape.width) / context
    projection = shape.vocabulary * shape.width if shape.head_kind.projects else 0
    transform = shape.width**2 if shape.head_kind.transforms else 0
    return predicted * (projection + transform) + classifier
