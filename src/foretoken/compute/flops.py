"""Training FLOPs per token, by convention.

`matmul` is what foretoken records as `flops`: every multiply-add of every matrix product, forward and backward
(3 x forward), with attention over the whole context and the output head at every position. The others are those of the
papers, beside it. A token of an encoder-decoder is one of its input or of its target.
"""

from __future__ import annotations

from collections.abc import Callable

from foretoken.arguments import nearest
from foretoken.compute.families import FAMILIES
from foretoken.compute.layer_counts import block_weights, head_products, stack_products
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError


def matmul(shape: ModelShape, predicted: float = 1.0) -> float:
    """Exact matrix-product FLOPs of one training token (forward 1, backward 2), for every family.

    `predicted` is the share of positions that the head reads (of the target, where there are two stacks).
    """
    return shape.family_record.training_flops(shape, predicted)


def six_n(shape: ModelShape) -> float:
    """6 N with N every parameter: the usual 6 N D."""
    return 6.0 * count_parameters(shape).total


def six_n_non_embedding(shape: ModelShape) -> float:
    """6 N with N without embeddings and head, as in Kaplan et al. 2020 (arXiv 2001.08361) where context is left out."""
    return 6.0 * count_parameters(shape).non_embedding


def six_n_active(shape: ModelShape) -> float:
    """6 N with N what one token passes: the count of Ludziejewski et al. 2025 (arXiv 2502.05172) for experts."""
    return 6.0 * count_parameters(shape).active


def kaplan(shape: ModelShape) -> float:
    """3 (2 N + 2 layers x context x attention width), N the weights of the blocks (Kaplan et al. 2020, table 1)."""
    _require_one_stack(shape, "kaplan")
    # one product per pair of positions and dimension: Kaplan et al. count the scores and leave out their mixture
    scores = shape.layers * shape.context * shape.query_width
    return 6.0 * (block_weights(shape, shape.layers) + scores)


def chinchilla(shape: ModelShape) -> float:
    """Appendix F of Hoffmann et al. 2022 (arXiv 2203.15556): with the embedding as a product, softmax and logits."""
    # 2 V W of the embedding as a product with one-hot rows, 2 V W of the logits; three times for forward and backward
    _require_one_stack(shape, "chinchilla")
    return chinchilla_blocks(shape) + 3.0 * 4.0 * shape.vocabulary * shape.width


def chinchilla_blocks(shape: ModelShape) -> float:
    """Appendix F without embedding and logits: what the ratios to 6 N D that it prints are made of."""
    _require_one_stack(shape, "chinchilla_blocks")
    # 3 FLOPs per score, head and position: exponential, sum, division
    softmax = 3.0 * shape.heads * shape.context * shape.layers
    return 3.0 * (2.0 * stack_products(shape, shape.layers, shape.context) + softmax)


def palm(shape: ModelShape) -> float:
    """6 N + 12 layers x heads x head width x context, N what a token passes (Chowdhery et al. 2022, appendix B).

    Model FLOPs utilisation is this times tokens per second over the peak.
    """
    _require_one_stack(shape, "palm")
    return 6.0 * count_parameters(shape).active + 12.0 * shape.layers * shape.query_width * shape.context


def deepseek(shape: ModelShape) -> float:
    """72 layers x width^2 + 12 layers x heads x head width x context, DeepSeek LLM 2024's M (arXiv 2401.02954).

    No vocabulary; the paper writes the width for heads x head width, which its models have the same.
    """
    _require_one_stack(shape, "deepseek")
    return 72.0 * shape.layers * shape.width**2 + 12.0 * shape.layers * shape.query_width * shape.context


def porian(shape: ModelShape) -> float:
    """6 (N without embeddings + vocabulary x width), the standard count of Porian et al. 2024 (arXiv 2406.19146)."""
    _require_one_stack(shape, "porian")
    return 6.0 * (block_weights(shape, shape.layers) + shape.vocabulary * shape.width)


def porian_attention(shape: ModelShape) -> float:
    """`porian` and 6 context x heads x head width x layers: attention over the causal half."""
    _require_one_stack(shape, "porian_attention")
    return porian(shape) + 6.0 * shape.context * shape.query_width * shape.layers


FLOPS_PER_TOKEN: dict[str, Callable[[ModelShape], float]] = {
    "matmul": matmul,
    "6nd": six_n,
    "6nd_non_embedding": six_n_non_embedding,
    "6nd_active": six_n_active,
    "kaplan": kaplan,
    "chinchilla": chinchilla,
    "chinchilla_blocks": chinchilla_blocks,
    "palm": palm,
    "deepseek": deepseek,
    "porian": porian,
    "porian_attention": porian_attention,
}
"""Training FLOPs of one token by convention; multiply by the tokens of a run."""


def training_flops(shape: ModelShape, tokens: float, convention: str = "matmul") -> float:
    """FLOPs of training a model of this shape on so many tokens.

    Raises DesignError for an unknown convention, and for one that is not defined for the model's family.

    >>> shape = ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256)
    >>> f"{training_flops(shape, 1e6):.4g}"
    '2.949e+11'
    """
    if convention not in FLOPS_PER_TOKEN:
        near = nearest(convention, FLOPS_PER_TOKEN)
        raise DesignError(
            "unknown way to count FLOPs",
            expected=", ".join(FLOPS_PER_TOKEN),
            got=repr(convention),
            cure=f"did you mean {near[0]!r}?" if near else None,
        )
    return FLOPS_PER_TOKEN[convention](shape) * tokens


def inference_flops(shape: ModelShape, context: float) -> float:
    """Forward FLOPs of one token that attends to `context` tokens before it: 2 per weight it passes, and attention.

    Raises DesignError for models of two stacks and for LSTMs.

    >>> shape = ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256)
    >>> inference_flops(shape, 128) * 3 == training_flops(shape, 1)
    True
    """
    _require_one_stack(shape, "inference")
    # forward only: 2 FLOPs for each multiply-add
    return 2.0 * (stack_products(shape, shape.layers, context) + head_products(shape, 1))


def _require_one_stack(shape: ModelShape, convention: str) -> None:
    if not shape.family_record.plain_transformer:
        raise DesignError(
            f"the count {convention!r} is not defined for this family",
            expected=f"a model of one stack: {', '.join(plain_transformers())}",
            got=f"family {shape.family!r}",
            cure="use 'matmul' or '6nd'",
        )


def plain_transformers() -> list[str]:
    """The families of one stack of transformer blocks, which most papers' counts are defined for.

    >>> plain_transformers()
    ['decoder', 'prefix', 'encoder']
    """
    return [family.name for family in FAMILIES.values() if family.plain_transformer]
