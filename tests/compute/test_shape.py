from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.families import FAMILIES
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models import build

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}
EXTRAS: dict[str, dict[str, Any]] = {
    "grouped": {"kv_heads": 2},
    "wide heads": {"attention_width": 64},
    "experts": {"experts": 4, "active_experts": 2, "shared_experts": 1, "expert_width": 8, "expert_every": 2},
    "no head": {"head": "none"},
    "one norm": {"block_norms": 1, "final_norm": False, "embedding_norm": True},
    "two stacks": {"family": "encoder_decoder", "decoder_layers": 1, "decoder_context": 8, "positions": "relative"},
    "encoder": {"family": "encoder", "token_types": 2, "pooler": True, "classes": 2, "head": "masked"},
}


def test_plain_values_hold_every_field_by_its_name() -> None:
    shape = ModelShape(**SMALL)
    assert set(shape.to_json()) == {field.name for field in fields(ModelShape)}
    assert shape.chosen == {*SMALL, "feed_forward"}


def test_a_wrong_word_is_refused_with_the_right_one() -> None:
    with pytest.raises(DesignError, match="did you mean 'kv_heads'"):
        ModelShape.from_json({**SMALL, "kv_head": 2})
    with pytest.raises(DesignError, match="did you mean 'encoder_decoder'"):
        ModelShape(**SMALL, family="encoder-decoder")


@pytest.mark.parametrize("name", EXTRAS)
def test_plain_values_make_the_same_shape(name: str) -> None:
    shape = ModelShape(**{**SMALL, **EXTRAS[name]})
    assert ModelShape.from_json(json.loads(json.dumps(shape.to_json()))) == shape
    assert shape.chosen - {"feed_forward"} == {*SMALL, *EXTRAS[name]}


@pytest.mark.parametrize("extra", [{"head": "none"}, {"head": "masked"}, {"block_norms": 1}])
def test_what_has_no_network_is_not_trained_as_something_else(extra: dict[str, Any]) -> None:
    with pytest.raises(DesignError, match="no network"):
        build(ModelShape(**{**SMALL, **extra}))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_has_a_network(family: str) -> None:
    assert build(ModelShape(**{**SMALL, "family": family}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": 3}, {"layers": 0}, {"norm": "batch"}, {"positions": "rotary", "heads": 32}, {"activation": "tanh"},
        {"family": "diffusion"}, {"head": "two"}, {"kv_heads": 3}, {"kv_heads": -1}, {"attention_width": 30},
        {"experts": 4}, {"experts": 4, "active_experts": 5}, {"active_experts": 1}, {"expert_every": 0},
        {"experts": 4, "active_experts": 1, "expert_every": 3}, {"shared_experts": 1}, {"decoder_layers": 1},
        {"token_types": 2}, {"pooler": True}, {"family": "encoder", "decoder_context": 4}, {"position_buckets": 0},
    ],
)  # fmt: skip
def test_shapes_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(DesignError):
        ModelShape(**{**SMALL, **wrong})


@settings(deadline=None)
@given(heads=st.integers(1, 6), head_width=st.integers(1, 8), groups=st.integers(1, 6))
def test_widths_of_heads(heads: int, head_width: int, groups: int) -> None:
    shape = ModelShape(**{**SMALL, "heads": heads * groups, "kv_heads": heads, "width": 7,
                          "attention_width": heads * groups * head_width})  # fmt: skip
    assert (shape.head_width, shape.kv_width, shape.query_width) == (
        head_width, heads * head_width, heads * groups * head_width)  # fmt: skip
