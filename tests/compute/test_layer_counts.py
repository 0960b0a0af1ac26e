"""Counts of single layers against their definition, and of groups against each other."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.choices import ACTIVATIONS, HEADS, NORMS, POSITIONS
from foretoken.compute.layer_counts import (
    ParameterCount,
    attention_parameters,
    block_weights,
    feed_forward_parameters,
    feed_forward_weights,
    head_products,
    norm_parameters,
    stack_products,
)
from foretoken.compute.parameters import count_parameters
from foretoken.compute.recurrent import recurrent_flops, recurrent_parameters
from foretoken.compute.shape import ModelShape

COUNTS = st.builds(ParameterCount, *[st.integers(0, 10**6) for _ in fields(ParameterCount)])
SHAPES = st.builds(
    ModelShape,
    layers=st.integers(1, 4),
    width=st.sampled_from([8, 16]),
    heads=st.sampled_from([2, 4]),
    kv_heads=st.sampled_from([0, 1, 2]),
    context=st.integers(1, 32),
    vocabulary=st.integers(8, 64),
    feed_forward=st.integers(1, 40),
    norm=st.sampled_from(list(NORMS)),
    positions=st.sampled_from(list(POSITIONS)),
    activation=st.sampled_from(list(ACTIVATIONS)),
    tied=st.booleans(),
    bias=st.booleans(),
)


@given(COUNTS, COUNTS)
def test_counts_add_up_group_by_group(first: ParameterCount, second: ParameterCount) -> None:
    both = first + second
    assert both.total == first.total + second.total
    assert both.non_embedding == first.non_embedding + second.non_embedding
    assert both.active == first.active + second.active
    assert all(
        getattr(both, field.name) == getattr(first, field.name) + getattr(second, field.name)
        for field in fields(ParameterCount)
    )


@settings(deadline=None)
@given(SHAPES)
def test_layers_by_their_matrices(shape: ModelShape) -> None:
    w, q, k, f, bias = shape.width, shape.query_width, shape.kv_width, shape.feed_forward, int(shape.bias)
    assert attention_parameters(shape) == (w * q + bias * q) + 2 * (w * k + bias * k) + (q * w + bias * w)
    up = w * f + bias * f
    assert feed_forward_parameters(shape, f) == (2 if shape.gated else 1) * up + f * w + bias * w
    assert norm_parameters(shape) == (2 * w if shape.norm == "layer" and shape.bias else w)


@settings(deadline=None)
@given(SHAPES)
def test_a_token_passes_every_weight_of_a_dense_block_once(shape: ModelShape) -> None:
    attention = 2 * shape.width * (shape.query_width + shape.kv_width)
    layer = attention + feed_forward_weights(shape, shape.feed_forward)
    assert block_weights(shape, shape.layers) == shape.layers * layer
    scores = shape.layers * 2 * 10 * shape.query_width
    assert stack_products(shape, shape.layers, 10) == shape.layers * layer + scores


@settings(deadline=None)
@given(SHAPES)
def test_biases_and_ties_are_all_that_they_add(shape: ModelShape) -> None:
    count = count_parameters(shape)
    assert count.head == (0 if shape.tied else shape.vocabulary * shape.width)
    assert count.total == count.active
    assert (count.router, count.recurrent, count.idle) == (0, 0, 0)
    rows = {"learned": shape.context * shape.width, "relative": 32 * shape.heads}
    assert count.position == rows.get(shape.positions, 0)


@pytest.mark.parametrize("head", HEADS)
def test_the_head_reads_the_share_that_predicts(head: str) -> None:
    shape = ModelShape(
        layers=1, width=8, heads=1, context=4, vocabulary=10, family="encoder", head=head, pooler=True, classes=3
    )
    once = (8 * 8 + 3 * 8) / 4  # pooler and classifier read one position of four
    predicted = {"linear": 80, "masked": 80 + 64, "none": 0}[head]
    assert head_products(shape, 4) == predicted + once
    assert head_products(shape, 4, 0.25) == 0.25 * predicted + once


@pytest.mark.parametrize("gates", [1, 3, 4])
def test_recurrent_layers_have_two_products_per_gate(gates: int) -> None:
    shape = ModelShape(layers=2, width=8, heads=1, context=4, vocabulary=10, family="lstm", positions="none")
    assert recurrent_parameters(gates)(shape).recurrent == 2 * gates * (2 * 8 * 8 + 2 * 8)
    assert recurrent_flops(gates)(shape, 1.0) == 6 * (2 * gates * 2 * 8 * 8 + 80)
    assert recurrent_flops(gates)(shape, 0.5) == 6 * (2 * gates * 2 * 8 * 8 + 40)
