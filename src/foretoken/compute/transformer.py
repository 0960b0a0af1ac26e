"""Transformers of one stack and of two, counted: their parameters, and the FLOPs of one training token."""

from __future__ import annotations

from dataclasses import replace

from foretoken.compute.layer_counts import (
    TRAINING,
    ParameterCount,
    attention_parameters,
    feed_forward_parameters,
    head_parameters,
    head_products,
    norm_parameters,
    stack_products,
)
from foretoken.compute.shape_fields import ShapeFields


def one_stack_parameters(shape: ShapeFields) -> ParameterCount:
    """Parameters of an embedding, a stack of blocks and a head."""
    return _ends(shape) + _blocks(shape, shape.layers, shape.context)


def two_stack_parameters(shape: ShapeFields) -> ParameterCount:
    """Parameters of an encoder and a decoder on one embedding; each block of the second has cross-attention too."""
    layers = shape.second_layers
    decoder = _blocks(shape, 0 if shape.shared_stacks else layers, shape.second_context)
    # cross-attention has the weights of self-attention (its keys and values read the encoder's output) and a norm
    decoder += ParameterCount(
        attention=layers * attention_parameters(shape),
        norm=(layers + int(shape.embedding_norm)) * norm_parameters(shape),
    )
    return _ends(shape) + _blocks(shape, shape.layers, shape.context) + decoder


def _ends(shape: ShapeFields) -> ParameterCount:
    """What stands before and after the stacks."""
    return ParameterCount(
        embedding=(shape.vocabulary + shape.token_types) * shape.width,
        norm=int(shape.embedding_norm) * norm_parameters(shape),
        head=head_parameters(shape),
    )


def _blocks(shape: ShapeFields, layers: int, context: int) -> ParameterCount:
    """Blocks of attention and feed-forward, with their positions and their final norm."""
    expert = feed_forward_parameters(shape, shape.expert_width or shape.feed_forward)
    sparse, positions = shape.expert_layers(layers), shape.position_kind
    count = ParameterCount(
        attention=layers * attention_parameters(shape),
        feed_forward=(layers - sparse) * feed_forward_parameters(shape, shape.feed_forward),
        norm=(shape.block_norms * layers + int(shape.final_norm)) * norm_parameters(shape),
        position=positions.learned * context * shape.width + positions.relative * shape.position_buckets * shape.heads,
    )
    return replace(
        count,
        feed_forward=count.feed_forward + sparse * (shape.experts + shape.shared_experts) * expert,
        router=sparse * shape.width * shape.experts,
        idle=sparse * (shape.experts - shape.active_experts) * expert,
    )


def one_stack_flops(shape: ShapeFields, predicted: float) -> float:
    """FLOPs of one token that passes a stack and, at a share `predicted` of the positions, the head."""
    products = stack_products(shape, shape.layers, shape.context) + head_products(shape, shape.context, predicted)
    return TRAINING * products


def two_stack_flops(shape: ShapeFields, predicted: float) -> float:
    """FLOPs of one token, a mean over those of the source and of the target."""
    source, target, layers = shape.context, shape.second_context, shape.second_layers
    encoder = source * stack_products(shape, shape.layers, source)
    decoder = target * (stack_products(shape, layers, target) + head_products(shape, target, predicted))
    # cross-attention in each layer: queries and output 2 W Q at each position of the target, keys and values 2 W K at
    # each of the source, and scores and mixture 2 S Q at each of the target
    cross = layers * target * 2 * shape.width * shape.query_width + layers * source * 2 * shape.width * shape.kv_width
    cross += layers * target * 2 * source * shape.query_width
    return TRAINING * (encoder + decoder + cross) / (source + target)


def cached_per_token(shape: ShapeFields) -> float:
    """Numbers that one more token adds to the cache of keys and values: K of each in every layer."""
    return 2.0 * shape.layers * shape.kv_width
