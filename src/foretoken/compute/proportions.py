"""The shape that a number of parameters gets: whole heads, a good aspect ratio, sizes that a layout divides."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from foretoken.arguments import did_you_mean
from foretoken.compute.choices import ACTIVATIONS
from foretoken.compute.families import FAMILIES
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, ModelShape
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
    count: Literal["total", "non_embedding"] = "total"
    """Which parameters are asked for: `total` or `non_embedding`, of experts those that a token passes."""
    family: str = "decoder"
    experts: int = 0
    """Experts in place of every feed-forward, of which a token passes `active_experts`, together as wide as it."""
    active_experts: int = 0

    def __post_init__(self) -> None:
        for name in ("vocabulary", "context", "tensor_parallel", "pipeline"):
            if getattr(self, name) < 1:
                raise DesignError(f"{name} of a model must be at least 1", got=str(getattr(self, name)))
        if self.family not in FAMILIES or FAMILIES[self.family].preset is None:
            known = [family.name for family in FAMILIES.values() if family.preset]
            raise DesignError(
                f"no proportions are known for the family {self.family!r}",
                expected=", ".join(known),
                cure=did_you_mean(self.family, known) or "its costs can be counted: foretoken.compute",
            )

    @property
    def counts_all(self) -> bool:
        """Whether embeddings and head are among the parameters that are asked for."""
        return self.count == "total"

    @property
    def preset(self) -> str:
        """The preset whose choices the shapes have."""
        preset = FAMILIES[self.family].preset
        assert preset is not None
        return preset


def shape_of(params: float, proportions: Proportions | None = None) -> ModelShape:
    """The shape nearest to `params` parameters in good proportions: a LLaMA-like decoder, or of another family.

    Raises DesignError where the vocabulary alone is larger, or no shape comes within 15 %.

    >>> shape = shape_of(6.7e9)
    >>> shape.layers, shape.width, shape.heads, shape.feed_forward
    (32, 4096, 32, 11008)
    """
    like = proportions or Proportions()
    shapes = [shape for width in _widths(params, like) if (shape := _of_width(params, width, like)) is not None]
    shape = min(shapes, key=lambda shape: _badness(shape, params, like), default=None)
    if shape is None or abs(_count(shape, like) / params - 1) > NEAR:
        got = "none" if shape is None else f"{_count(shape, like):.4g} with width {shape.width}"
        raise DesignError(
            f"no {like.family} of about {params:.4g} parameters in good proportions",
            expected=f"within {100 * NEAR:.0f} %",
            got=got,
            cure=f"take another size, a vocabulary below {like.vocabulary}, or a smaller tensor_parallel",
        )
    return shape


def _widths(params: float, like: Proportions) -> range:
    """Widths worth a look: whole heads for every accelerator that shares a layer."""
    step = math.lcm(head_width(params) * like.tensor_parallel, WIDE if params >= LARGE else 1)
    # N = 12 layers x width^2 without embeddings, and layers = width / aspect
    middle = (params * _aspect(params) / 12) ** (1 / 3)
    return range(max(step, int(0.4 * middle) // step * step), int(2.0 * middle) + 2 * step, step)


def _aspect(params: float) -> float:
    return ASPECT * min(1.0, math.pow(params / LARGE, 0.25))


def head_width(params: float) -> int:
    """Dimensions of one attention head at this size."""
    return next(width for least, width in HEADS if params >= least)


def _of_width(params: float, width: int, like: Proportions) -> ModelShape | None:
    """The shape of this width whose depth comes nearest; None where the vocabulary leaves nothing."""
    one, two = (_of_depth(stages * like.pipeline, params, width, like) for stages in (1, 2))
    # parameters are linear in the depth, so two depths give the one that comes nearest
    per_stage = _count(two, like) - _count(one, like)
    stages = round((params - _count(one, like)) / per_stage) + 1
    return replace(one, layers=stages * like.pipeline) if stages >= 1 else None


def _of_depth(layers: int, params: float, width: int, like: Proportions) -> ModelShape:
    heads, choices = width // head_width(params), PRESETS[like.preset].copy()
    grouped = params >= GROUPED and heads % KEYS == 0 and KEYS % like.tensor_parallel == 0
    hidden = -(-8 * width // 3) if ACTIVATIONS[choices["activation"]].gated else 4 * width
    step = math.lcm(WIDE if width >= WIDE else 8, like.tensor_parallel)
    choices |= {"heads": heads, "kv_heads": KEYS if grouped else 0, "feed_forward": _up(hidden, step)}
    if FAMILIES[like.family].causal_decoder:
        choices["tied"] = like.tied
    if like.experts:
        # the experts that a token passes are together as wide as the feed-forward that they stand for
        choices["expert_width"] = _up(-(-hidden // like.active_experts), step)
        choices |= {"experts": like.experts, "active_experts": like.active_experts}
    vocabulary = _up(like.vocabulary, like.tensor_parallel)
    return ModelShape.of(layers=layers, width=width, context=like.context, vocabulary=vocabulary, **choices)


def _up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


def _count(shape: ModelShape, like: Proportions) -> int:
    count = count_parameters(shape)
    return (count.total if like.counts_all else count.non_embedding) - count.idle


def _badness(shape: ModelShape, params: float, like: Proportions) -> float:
    """How far off the size is, and the aspect ratio: 1 % of the size weighs as much as a factor 1.2 of the other."""
    # ln 1.2 / ln 1.01 = 18.3
    return 18 * abs(math.log(_count(shape, like) / params)) + abs(
        math.log(shape.width / shape.layers / _aspect(params))
    )
