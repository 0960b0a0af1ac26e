"""Parameters counted in named groups, so that every paper's N is a sum of some of them."""

from __future__ import annotations

from foretoken.compute.layer_counts import ParameterCount
from foretoken.compute.shape import ModelShape

__all__ = ["ParameterCount", "count_parameters"]


def count_parameters(shape: ModelShape) -> ParameterCount:
    """Count the parameters of a model of this shape, by group.

    >>> llama = ModelShape(
    ...     layers=32, width=4096, heads=32, feed_forward=11008, context=2048, vocabulary=32_000,
    ...     norm="rms", positions="rotary", activation="swiglu", tied=False, bias=False,
    ... )
    >>> count_parameters(llama).total  # LLaMA 7B
    6738415616
    """
    return shape.family_record.count_parameters(shape)
