"""Parts of the networks, each against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.models import build
from foretoken.models.attention import rotary_table
from foretoken.models.experts import ROWS, gather_rows, grouped_product, padded_counts, scatter_rows
from foretoken.models.layers import AttentionInputs, Block, apply_rotary, make_norm
from foretoken.models.masks import additive, allowed_BTS
from foretoken.models.relative import FARTHEST, bucket
from foretoken.models.weights import INIT_STD, INIT_WIDTH, initialise


def shape(preset: str = "llama", **choices: object) -> ModelShape:
    sizes = {"layers": 2, "width": 64, "heads": 4, "context": 16, "vocabulary": 32}
    return ModelShape(**{**sizes, **PRESETS[preset], **choices})


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 20))
def test_rotary_scores_depend_on_the_distance_alone(first: int, second: int, moved: int) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=generator, dtype=torch.float64)
    table = rotary_table(64, 8).double()

    def score(at_q: int, at_k: int) -> float:
        turned = [apply_rotary(x, table[:, at : at + 1]) for x, at in ((q, at_q), (k, at_k))]
        return float((turned[0] * turned[1]).sum())

    assert score(first, second) == pytest.approx(score(first + moved, second + moved), abs=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_buckets_of_relative_positions_grow_with_the_distance(bidirectional: bool) -> None:
    distances = torch.arange(-300, 1)
    buckets = bucket(distances, 32, bidirectional)
    assert (buckets.diff() <= 0).all()
    assert buckets[-1] == 0
    assert (buckets[distances <= -FARTHEST] == (15 if bidirectional else 31)).all()
    ahead = bucket(torch.tensor([1, 5, 300]), 32, bidirectional)
    assert ahead.tolist() == ([17, 21, 31] if bidirectional else [0, 0, 0])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_masks_are_what_their_words_say(bidirectional: bool) -> None:
    tokens = torch.zeros(2, 6, dtype=torch.long)
    prefix, documents = torch.tensor([2, 4]), torch.tensor([[0, 0, 0, 1, 1, 1]] * 2)
    padding = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    allowed = allowed_BTS(
        tokens, bidirectional=bidirectional, prefix_B=prefix, documents_BT=documents, padding_mask_BT=padding
    )
    assert allowed is not None
    for row in range(2):
        for to in range(6):
            for at in range(6):
                seen = bidirectional or at <= to or at < prefix[row]
                expected = bool(seen and documents[row, to] == documents[row, at] and padding[row, at])
                assert bool(allowed[row, to, at]) == expected
    assert allowed_BTS(tokens, bidirectional=bidirectional) is None
    bias = additive(allowed, torch.float32)
    assert set(bias.flatten().tolist()) == {0.0, -math.inf}
    assert torch.equal(bias == 0, allowed)


@pytest.mark.parametrize("preset", ["llama", "bert"])
def test_the_residual_stream_is_normed_before_or_after(preset: str) -> None:
    wanted = shape(preset)
    block, x = Block(wanted, 0.0), torch.randn(1, 4, 64)
    norm, layer = make_norm(wanted), nn.Linear(64, 64)
    out = block.residual(x, norm, layer)
    expected = norm(x + layer(x)) if wanted.post_norm else x + layer(norm(x))
    assert wanted.post_norm == (preset == "bert")
    torch.testing.assert_close(out, expected)


def test_attention_without_a_bias_is_causal() -> None:
    block, x = Block(shape(), 0.0).eval(), torch.randn(1, 6, 64)
    changed = x.clone()
    changed[0, 4:] += 1
    table = rotary_table(16, 16)
    first, second = (block(rows, AttentionInputs(rotary=table)) for rows in (x, changed))
    torch.testing.assert_close(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4:], second[:, 4:])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_grouped_products_are_the_products_of_each_group(counts: list[int]) -> None:
    filled, generator = padded_counts(counts), torch.Generator().manual_seed(1)
    assert all(rows % ROWS == 0 and 0 <= rows - count < ROWS for rows, count in zip(filled, counts, strict=True))
    rows = torch.randn(sum(counts), 5, generator=generator)
    weights = torch.randn(len(counts), 3, 5, generator=generator)
    starts = [sum(filled[:group]) for group in range(len(counts))]
    index = torch.tensor(
        [start + n for start, count in zip(starts, counts, strict=True) for n in range(count)], dtype=torch.long
    )
    placed = scatter_rows(rows, index, sum(filled))
    torch.testing.assert_close(gather_rows(placed, index), rows)
    product = gather_rows(grouped_product(placed, weights, filled), index)
    groups = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    torch.testing.assert_close(product, torch.einsum("ni,noi->no", rows, weights[groups]))


def test_each_module_says_which_of_its_weights_start_otherwise() -> None:
    usual = INIT_STD * math.sqrt(INIT_WIDTH / 64)
    network = build(shape("t5", layers=8, width=64, decoder_layers=8))
    block = network.decoder.blocks[0]
    assert block.attention.out.weight.std().item() == pytest.approx(usual / 4, rel=0.05)
    assert block.cross_attention.out.weight.std().item() == pytest.approx(usual / 4, rel=0.05)
    assert block.feed_forward.down.weight.std().item() == pytest.approx(usual / 4, rel=0.05)
    assert block.cross_attention.q.weight.std().item() == pytest.approx(usual / 4, rel=0.05)  # head width 16
    assert block.cross_attention.kv.weight.std().item() == pytest.approx(usual, rel=0.05)
    assert not network.decoder.relative.table.weight.any()
    lstm = build(shape("lstm")).lstm
    assert lstm.weight_hh_l0.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert lstm.bias_hh_l1[64:128].eq(1).all()
    assert lstm.bias_hh_l1.sum() == 64
    assert not lstm.bias_ih_l1.any()


def test_a_module_of_its_own_starts_as_all_others_do() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normal = nn.Linear(64, 64)
            self.scale = nn.RMSNorm(64)

    odd = Odd()
    initialise(odd, shape(), seed=0)
    assert odd.normal.weight.std().item() == pytest.approx(INIT_STD * math.sqrt(INIT_WIDTH / 64), rel=0.05)
    assert not odd.normal.bias.any()
    assert odd.scale.weight.eq(1).all()
