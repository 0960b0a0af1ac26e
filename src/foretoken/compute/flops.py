"""Training FLOPs per token, by convention.

`matmul` is what foretoken records as `flops`: every multiply-add of every matrix product, forward and backward
(3 x forward), with attention over the whole context and the output head, as in appendix F of Hoffmann et al. 2022
(arXiv 2203.15556) without the embedding look-up and the softmax. The others are kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape


def matmul(shape: ModelShape) -> float:
    """Exact matrix-product FLOPs of one training token (forward 1, backward 2)."""
    matrices = 3 if shape.activation == "swiglu" else 2
    weights = shape.layers * (4 * shape.width**2 + matrices * shape.width * shape.feed_forward)
    scores = shape.layers * 2 * shape.context * shape.width
    head = shape.vocabulary * shape.width
    return 3.0 * 2.0 * (weights + scores + head)


def six_n(shape: ModelShape) -> float:
    """6 N with N every parameter: the usual 6 N D."""
    return 6.0 * count_parameters(shape).total


FLOPS_PER_TOKEN: dict[str, Callable[[ModelShape], float]] = {
    "matmul": matmul,
    "6nd": six_n,
}
"""Training FLOPs of one token by convention; multiply by the tokens of a run."""


def training_flops(shape: ModelShape, tokens: float, convention: str = "matmul") -> float:
    """FLOPs of training a model of this shape on so many tokens.

    >>> shape = ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256)
    >>> f"{training_flops(shape, 1e6):.4g}"
    '2.949e+11'
    """
    return FLOPS_PER_TOKEN[convention](shape) * tokens
