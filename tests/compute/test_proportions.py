"""Shapes by their number of parameters: near the size that was asked for, and cut evenly over accelerators."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import GROUPED, KEYS, NEAR, Proportions, head_width, shape_of
from foretoken.errors import DesignError


@settings(max_examples=40, deadline=None)
@given(
    exponent=st.floats(8.3, 12.0),
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.sampled_from([1, 2, 4]),
    count=st.sampled_from(["total", "non_embedding"]),
)
def test_a_shape_has_its_size_and_is_cut_evenly(exponent: float, tensor: int, pipeline: int, count: str) -> None:
    params = 10**exponent
    shape = shape_of(params, Proportions(tensor_parallel=tensor, pipeline=pipeline, count=count))
    counted = count_parameters(shape)
    size = counted.total if count == "total" else counted.non_embedding
    assert abs(size / params - 1) <= NEAR
    assert shape.layers % pipeline == 0
    assert all(size % tensor == 0 for size in (shape.heads, shape.feed_forward, shape.vocabulary))
    assert shape.width == shape.heads * head_width(params)


@pytest.mark.parametrize("params", [1e9, GROUPED, 1e12])
def test_large_models_share_keys_and_values(params: float) -> None:
    shape = shape_of(params)
    assert shape.kv_heads in (0, KEYS)
    assert (shape.kv_heads == KEYS) == (params >= GROUPED and shape.heads % KEYS == 0)


@pytest.mark.parametrize(("experts", "active"), [(8, 1), (8, 2), (64, 8)])
def test_experts_that_a_token_passes_are_together_as_wide_as_what_they_stand_for(experts: int, active: int) -> None:
    dense = shape_of(1e9)
    sparse = shape_of(1e9, Proportions(experts=experts, active_experts=active))
    assert sparse.expert_width * active >= sparse.feed_forward
    assert count_parameters(sparse).active == pytest.approx(count_parameters(dense).total, rel=2 * NEAR)


def test_heads_grow_with_the_size() -> None:
    widths = [head_width(params) for params in (1e4, 1e6, 2e7, 1e9, 1e13)]
    assert widths == [16, 32, 64, 128, 128]


@pytest.mark.parametrize(
    ("params", "changes", "said"),
    [
        (1e5, {}, "no decoder of about 1e"),
        (1e9, {"vocabulary": 0}, "vocabulary of a model must be at least 1"),
        (1e9, {"pipeline": -1}, "pipeline of a model must be at least 1"),
        (1e9, {"family": "lstm"}, "no proportions are known for the family 'lstm'"),
        (1e9, {"family": "transformer"}, "expected: decoder, prefix, encoder, encoder_decoder"),
    ],
)
def test_what_has_no_good_shape_is_refused(params: float, changes: dict[str, object], said: str) -> None:
    with pytest.raises(DesignError, match=said):
        shape_of(params, Proportions(**changes))


def test_the_aspect_ratio_is_about_that_of_known_models() -> None:
    for params, low, high in ((1.2e8, 40, 110), (6.7e9, 90, 160), (1.75e11, 90, 160)):
        shape = shape_of(params)
        assert low < shape.width / shape.layers < high, params
