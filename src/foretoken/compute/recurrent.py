"""Recurrent networks, counted: layers of gates, each a product of the layer's input and one of its own last state."""

from __future__ import annotations

from collections.abc import Callable

from foretoken.compute.layer_counts import TRAINING, ParameterCount, head_parameters, head_products
from foretoken.compute.shape_fields import ShapeFields

LSTM_GATES = 4
"""Input, forget, cell and output (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""


def recurrent_parameters(gates: int) -> Callable[[ShapeFields], ParameterCount]:
    """How the parameters of layers with so many gates are counted, with the two biases of each that torch has.

    >>> shape = ShapeFields(layers=1, width=8, heads=1, context=4, vocabulary=10, bias=False)
    >>> recurrent_parameters(LSTM_GATES)(shape).recurrent == 4 * (8 * 8 + 8 * 8)
    True
    """

    def parameters(shape: ShapeFields) -> ParameterCount:
        layer = gates * shape.width * (2 * shape.width + 2 * int(shape.bias))
        return ParameterCount(
            embedding=shape.vocabulary * shape.width, recurrent=shape.layers * layer, head=head_parameters(shape)
        )

    return parameters


def recurrent_flops(gates: int) -> Callable[[ShapeFields, float], float]:
    """How the FLOPs of one token are counted: each gate multiplies the input and the state, 2 W^2 products."""

    def flops(shape: ShapeFields, predicted: float) -> float:
        products = shape.layers * gates * 2 * shape.width**2
        return TRAINING * (products + head_products(shape, shape.context, predicted))

    return flops
