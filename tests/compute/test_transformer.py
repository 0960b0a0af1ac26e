"""Stacks counted: parameters and FLOPs of one stack and of two, as sums of what stands in them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.families import FAMILIES
from foretoken.compute.flops import matmul
from foretoken.compute.layer_counts import ParameterCount, attention_parameters, head_products, norm_parameters
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.compute.transformer import cached_per_token, one_stack_flops, two_stack_flops

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}
TWO: dict[str, Any] = {**SMALL, "family": "encoder_decoder"}


@settings(max_examples=60, deadline=None)
@given(
    preset=st.sampled_from(list(PRESETS)),
    layers=st.integers(1, 5),
    width=st.sampled_from([16, 32, 48]),
    vocabulary=st.integers(2, 500),
)
def test_counts_grow_with_every_size_in_every_preset(preset: str, layers: int, width: int, vocabulary: int) -> None:
    sizes = {"layers": layers, "width": width, "context": 8, "vocabulary": vocabulary}
    shape = ModelShape(**{**PRESETS[preset], **sizes, "heads": 1 if preset == "lstm" else 2})
    own = count_parameters(shape)
    assert own.total == own.embedding + own.position + own.head + own.non_embedding
    assert own.active <= own.total
    for change in ({"layers": layers + 1}, {"width": width + 16}, {"vocabulary": vocabulary + 1}):
        larger = replace(shape, **change)
        assert count_parameters(larger).total > own.total
        assert matmul(larger) > matmul(shape) or shape.head == "none"


@settings(max_examples=40, deadline=None)
@given(layers=st.integers(1, 4), second=st.integers(1, 4), bias=st.booleans())
def test_two_stacks_are_an_encoder_a_decoder_and_cross_attention(layers: int, second: int, bias: bool) -> None:
    choices = {**TWO, "layers": layers, "decoder_layers": second, "positions": "none", "bias": bias}
    both = count_parameters(ModelShape(**choices))
    encoder, decoder = (
        count_parameters(ModelShape(**{**SMALL, "layers": n, "positions": "none", "bias": bias}))
        for n in (layers, second)
    )
    shape = ModelShape(**choices)
    cross = second * (attention_parameters(shape) + norm_parameters(shape))
    assert both.non_embedding == encoder.non_embedding + decoder.non_embedding + cross
    assert both.embedding == encoder.embedding


def test_shared_stacks_have_the_blocks_of_one() -> None:
    own, shared = (count_parameters(ModelShape(**TWO, shared_stacks=shared)) for shared in (False, True))
    assert own.feed_forward == 2 * shared.feed_forward
    # self-attention of the encoder, and cross-attention of the decoder, which is never shared
    assert shared.attention == 2 * 2 * attention_parameters(ModelShape(**TWO))
    assert own.attention == 3 * 2 * attention_parameters(ModelShape(**TWO))


@settings(deadline=None)
@given(predicted=st.floats(0.0, 1.0), family=st.sampled_from(["decoder", "prefix", "encoder"]))
def test_the_head_is_the_only_part_that_the_predicted_share_moves(predicted: float, family: str) -> None:
    shape = ModelShape(**SMALL, family=family)
    none, some, every = (one_stack_flops(shape, share) for share in (0.0, predicted, 1.0))
    assert every - none == 6 * 50 * 32
    assert some - none == pytest.approx(predicted * (every - none), abs=1e-6)


@settings(deadline=None)
@given(source=st.integers(1, 64), target=st.integers(1, 64))
def test_two_stacks_cost_a_mean_over_source_and_target(source: int, target: int) -> None:
    """By hand: L layers of width W, all heads alike, so 4 W^2 of attention and 8 W^2 of feed-forward."""
    width, layers = 32, 2
    shape = ModelShape(**{**TWO, "context": source, "decoder_context": target, "positions": "none"})
    block = 12 * width**2
    encoder = source * layers * (block + 2 * source * width)
    decoder = target * (layers * (block + 2 * target * width) + 50 * width)
    cross = layers * (target * 2 * width**2 + source * 2 * width**2 + target * 2 * source * width)
    expected = 6 * (encoder + decoder + cross) / (source + target)
    assert two_stack_flops(shape, 1.0) == pytest.approx(expected)
    assert matmul(shape) == two_stack_flops(shape, 1.0)


@pytest.mark.parametrize("kv_heads", [0, 1, 2, 4])
def test_the_cache_holds_keys_and_values_of_each_layer(kv_heads: int) -> None:
    shape = ModelShape(**SMALL, kv_heads=kv_heads)
    assert cached_per_token(shape) == 2 * 2 * (kv_heads or 4) * 8


@pytest.mark.parametrize("context", [1, 16, 512])
def test_a_classifier_is_read_once_per_sequence(context: int) -> None:
    plain = ModelShape(**{**SMALL, "context": context}, family="encoder")
    labelled = replace(plain, pooler=True, classes=2)
    once = 32 * 32 + 2 * 32
    assert head_products(labelled, context) - head_products(plain, context) == pytest.approx(once / context)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_group_is_negative_and_idle_is_of_experts_only(family: str) -> None:
    heads = 1 if FAMILIES[family].recurrent else 4
    count = count_parameters(ModelShape(**{**SMALL, "heads": heads, "family": family}))
    assert all(getattr(count, field.name) >= 0 for field in fields(ParameterCount))
    assert count.idle == 0
    assert (count.recurrent > 0) == FAMILIES[family].recurrent
    assert (count.attention > 0) == (not FAMILIES[family].recurrent)
