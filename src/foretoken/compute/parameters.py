"""Parameters counted in named groups, so that every paper's N is a sum of some of them."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.shape import ModelShape


@dataclass(frozen=True)
class ParameterCount:
    """Trainable parameters by group; all counts are exact and equal `numel()` of the network.

    >>> shape = ModelShape(layers=12, width=768, heads=12, context=1024, vocabulary=50257)
    >>> count_parameters(shape).total  # GPT-2 small
    124439808
    """

    embedding: int
    """Token embedding."""
    position: int
    """Learned position embedding; 0 with rotary positions."""
    attention: int
    feed_forward: int
    norm: int
    head: int
    """Output projection; 0 when it is tied to the embedding."""

    @property
    def total(self) -> int:
        """Everything that is trained."""
        return self.non_embedding + self.embedding + self.position + self.head

    @property
    def non_embedding(self) -> int:
        """Without token and position embedding and without the output head (Kaplan's N)."""
        return self.attention + self.feed_forward + self.norm


def count_parameters(shape: ModelShape) -> ParameterCount:
    """Count the parameters of a decoder of this shape, by group."""
    width, hidden, bias = shape.width, shape.feed_forward, int(shape.bias)
    matrices = 3 if shape.activation == "swiglu" else 2
    attention = 4 * width * width + bias * 4 * width
    feed_forward = matrices * width * hidden + bias * ((matrices - 1) * hidden + width)
    one_norm = width * (1 + (bias if shape.norm == "layer" else 0))
    return ParameterCount(
        embedding=shape.vocabulary * width,
        position=shape.context * width if shape.positions == "learned" else 0,
        attention=shape.layers * attention,
        feed_forward=shape.layers * feed_forward,
        norm=(2 * shape.layers + 1) * one_norm,
        head=0 if shape.tied else shape.vocabulary * width,
    )
