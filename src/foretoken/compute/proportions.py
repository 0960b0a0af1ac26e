"""The decoder that a number of parameters gets: whole heads, a good aspect ratio, sizes that a layout divides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

ASPECT, LARGE = 110.0, 1e9
"""Width over depth that is aimed at from this size on: GPT-3 175B has 128, LLaMA 65B 102. Below, it falls with the
fourth root of the size: GPT-2 small has 64. It matters little (Kaplan et al. 2020, arXiv 2001.08361, figure 5)."""
HEADS = ((1e9, 128), (2e7, 64), (1e6, 32), (0.0, 16))
"""Dimensions of a head, by the least number of parameters that takes them."""
GROUPED, KEYS = 3e10, 8
"""From this size on, queries share 8 heads of keys and values, as in Llama 3 (arXiv 2407.21783)."""
WIDE = 256
"""A feed-forward is a multiple of this, where the width is at least as much."""
NEAR = 0.15
"""A shape misses the size that was asked by at most this share."""


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """What the shapes of all sizes share."""

    vocabulary: int = 32_000
    context: int = 4096
    tied: bool = False
    tensor_parallel: int = 1
    """Accelerators that share each layer: heads, feed-forward and vocabulary are multiples of it."""
    pipeline: int = 1
    """Stages of the pipeline: the depth is a multiple of it."""
    count: str = "total"
    """Which parameters are asked for: `total` or `non_embedding`."""


def shape_of(params: float, proportions: Proportions | None = None) -> ModelShape:
    """The LLaMA-like decoder nearest to `params` parameters in good proportions.

    Raises DesignError where the vocabulary alone is larger, or no shape comes within 15 %.

    >>> found = shape_of(6.7e9)
    >>> found.layers, found.width, found.heads, found.feed_forward
    (32, 4096, 32, 11008)
    """
    like = proportions or Proportions()
    shapes = [shape for width in _widths(params, like) if (shape := _of_width(params, width, like)) is not None]
    shape = min(shapes, key=lambda shape: _badness(shape, params, like), default=None)
    if shape is None or abs(_count(shape, like) / params - 1) > NEAR:
        got = "none" if shape is None else f"{_count(shape, like):.4g} with width {shape.width}"
        raise DesignError(
            f"no decoder of about {params:.4g} parameters in good proportions",
            expected=f"within {100 * NEAR:.0f} %",
            got=got,
            cure=f"take another size, a vocabulary below {like.vocabulary}, or a smaller tensor_parallel",
        )
    return shape


def _widths(params: float, like: Proportions) -> range:
    """Widths worth a look: whole heads for every accelerator that shares a layer."""
    step = math.lcm(head_width(params) * like.tensor_parallel, WIDE if params >= LARGE else 1)
    middle = (params * _aspect(params) / 12) ** (1 / 3)
    return range(max(step, int(0.4 * middle) // step * step), int(2.0 * middle) + 2 * step, step)


def _aspect(params: float) -> float:
    return ASPECT * min(1.0, math.pow(params / LARGE, 0.25))


def head_width(params: float) -> int:
    """Dimensions of one attention head at this size."""
    return next(width for least, width in HEADS if params >= least)


def _of_width(params: float, width: int, like: Proportions) -> ModelShape | None:
    """The shape of this width whose depth comes nearest; None where the vocabulary leaves nothing."""
    heads = width // head_width(params)
    grouped = params >= GROUPED and heads % KEYS == 0 and KEYS % like.tensor_parallel == 0
    step = math.lcm(WIDE if width >= WIDE else 8, like.tensor_parallel)
    vocabulary = -(-like.vocabulary // like.tensor_parallel) * like.tensor_parallel

    def of_depth(layers: int) -> ModelShape:
        return ModelShape(
            layers=layers, width=width, heads=heads, kv_heads=KEYS if grouped else 0, context=like.context,
            vocabulary=vocabulary, feed_forward=-(-8 * width // 3 // step) * step, norm="rms", positions="rotary",
            activation="swiglu", tied=like.tied, bias=False,
        )  # fmt: skip

    one, two = (_count(of_depth(k * like.pipeline), like) for k in (1, 2))
    stages = round((params - one) / (two - one)) + 1
    return of_depth(stages * like.pipeline) if stages >= 1 else None


def _count(shape: ModelShape, like: Proportions) -> int:
    found = count_parameters(shape)
    return found.total if like.count == "total" else found.non_embedding


def _badness(shape: ModelShape, params: float, like: Proportions) -> float:
    """How far off the size is, and the aspect ratio: 1 % of the size weighs as much as a factor 1.2 of the other."""
    return 18 * abs(math.log(_count(shape, like) / params)) + abs(
        math.log(shape.width / shape.layers / _aspect(params))
    )
