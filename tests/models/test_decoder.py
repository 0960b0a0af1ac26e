from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.flops import training_flops
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import NORMS, PRESETS, ModelShape
from foretoken.errors import DesignError
from foretoken.models import BUILT, build
from foretoken.objectives import OBJECTIVES

CHOICES = {
    "norm": st.sampled_from(NORMS),
    "positions": st.sampled_from(BUILT["positions"]),
    "activation": st.sampled_from(BUILT["activation"]),
    "tied": st.booleans(),
    "bias": st.booleans(),
}


def shape(**choices: Any) -> ModelShape:
    return ModelShape(**{"layers": 2, "width": 16, "heads": 2, "context": 12, "vocabulary": 40, **choices})


@settings(max_examples=32, deadline=None)
@given(st.fixed_dictionaries(CHOICES), st.integers(1, 3), st.sampled_from([8, 16, 24]))
def test_numel_equals_the_closed_form(choices: dict[str, Any], layers: int, width: int) -> None:
    wanted = shape(layers=layers, width=width, **choices)
    assert sum(weight.numel() for weight in build(wanted).parameters()) == count_parameters(wanted).total


@settings(max_examples=16, deadline=None)
@given(st.fixed_dictionaries(CHOICES))
def test_no_position_sees_the_future(choices: dict[str, Any]) -> None:
    network = build(shape(**choices))
    tokens = torch.randint(40, (1, 12), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[0, 7:] = (changed[0, 7:] + 1) % 40
    before, after = network(tokens), network(changed)
    assert torch.equal(before[0, :7], after[0, :7])
    assert not torch.equal(before[0, 7:], after[0, 7:])


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_flops_agree_with_the_counter_of_torch(preset: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    wanted = shape(layers=3, width=64, heads=4, context=32, vocabulary=128, **PRESETS[preset])
    network, tokens = build(wanted), torch.zeros(2, 32, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        OBJECTIVES["causal"](network, tokens, tokens).mean().backward()
    assert counter.get_total_flops() == pytest.approx(training_flops(wanted, 64), rel=0.02)


def test_initial_weights_follow_the_seed_and_the_rule() -> None:
    first, again, other = build(shape(width=64), 1), build(shape(width=64), 1), build(shape(width=64), 2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    small = build(ModelShape(layers=8, width=768, heads=12, context=16, vocabulary=64, **PRESETS["gpt2"]))  # type: ignore[arg-type]
    assert small.blocks[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert small.blocks[0].attention.out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.01)


def test_a_fresh_network_knows_nothing() -> None:
    network, tokens = build(shape(width=64, vocabulary=256)), torch.randint(256, (8, 12))
    assert OBJECTIVES["causal"](network, tokens, tokens.roll(1)).mean().item() == pytest.approx(5.55, abs=0.5)


def test_rotary_attention_depends_on_distances_alone() -> None:
    network = build(shape(positions="rotary", layers=1))
    pattern = torch.tensor([[3, 5, 3, 5, 3, 5, 3, 5, 3, 5, 3, 5]])
    from foretoken.models.attention import rotary_table, rotate

    table = rotary_table(12, 8)
    x = torch.randn(8, generator=torch.Generator().manual_seed(0)).expand(1, 1, 12, 8)
    y = torch.randn(8, generator=torch.Generator().manual_seed(1)).expand(1, 1, 12, 8)
    scores = rotate(x, table) @ rotate(y, table).transpose(-1, -2)
    assert torch.allclose(scores[0, 0, 3, 1], scores[0, 0, 9, 7], atol=1e-5)
    assert network(pattern).shape == (1, 12, 40)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(DesignError, match="decoder"):
        build(shape(family="perceiver"))
