from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.choices import ACTIVATIONS, NORMS, POSITIONS
from foretoken.compute.flops import FLOPS_PER_TOKEN, inference_flops, training_flops
from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}
# Hoffmann et al. 2022 (arXiv 2203.15556), appendix F: layers, width, feed-forward, heads, printed size and ratio to
# 6 N D. The ratios come out only when embedding and logits are left out; the last column is what they are with them.
APPENDIX_F = [
    (10, 640, 2560, 10, 73e6, 1.03, 1.60), (20, 1024, 4096, 16, 305e6, 1.10, 1.32),
    (24, 1280, 5120, 10, 552e6, 1.08, 1.23), (26, 1792, 7168, 14, 1143e6, 1.04, 1.14),
    (28, 2048, 8192, 16, 1593e6, 1.03, 1.11), (40, 3584, 14336, 28, 6796e6, 0.99, 1.03),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "width", "hidden", "heads", "params", "printed", "with_ends"), APPENDIX_F)
def test_chinchilla_appendix_f(
    layers: int, width: int, hidden: int, heads: int, params: float, printed: float, with_ends: float
) -> None:
    shape = ModelShape(layers=layers, width=width, feed_forward=hidden, heads=heads, vocabulary=32_000, context=2048)
    assert training_flops(shape, 1, "chinchilla_blocks") / (6 * params) == pytest.approx(printed, abs=0.01)
    assert training_flops(shape, 1, "chinchilla") / (6 * params) == pytest.approx(with_ends, abs=0.01)


def test_each_paper_counts_in_its_own_way() -> None:
    shape = ModelShape(layers=2, width=8, heads=2, context=4, vocabulary=10, bias=False)
    weights, scores = 2 * 12 * 64, 2 * 4 * 8
    count = count_parameters(shape)
    expected = {
        "matmul": 6 * (weights + 2 * scores + 80),
        "6nd": 6 * count.total,
        "6nd_non_embedding": 6 * count.non_embedding,
        "6nd_active": 6 * count.total,
        "kaplan": 6 * (weights + scores),
        "chinchilla_blocks": 6 * (weights + 2 * scores) + 3 * 3 * 2 * 4 * 2,
        "chinchilla": 6 * (weights + 2 * scores) + 3 * 3 * 2 * 4 * 2 + 3 * (2 + 2) * 80,
        "palm": 6 * count.total + 12 * 2 * 8 * 4,
        "deepseek": 72 * 2 * 64 + 12 * 2 * 8 * 4,
        "porian": 6 * (weights + 80),
        "porian_attention": 6 * (weights + 80) + 6 * 4 * 8 * 2,
    }
    assert {name: training_flops(shape, 1, name) for name in FLOPS_PER_TOKEN} == expected


def test_a_token_of_t5_passes_half_of_it() -> None:
    """Brown et al. 2020, table D.1, count 3 FLOP per parameter and token for T5, 6 for others; attention adds some."""
    t5, gpt = MODELS["t5_3b"].shape, MODELS["gpt3_2_7b"].shape
    assert t5
    assert gpt
    assert training_flops(t5, 1) / count_parameters(t5).total == pytest.approx(3, rel=0.15)
    assert training_flops(gpt, 1) / count_parameters(gpt).total == pytest.approx(6, rel=0.15)


@pytest.mark.parametrize("model", [name for name in MODELS if name.startswith(("gpt3_", "palm", "llama3_405b"))])
def test_printed_training_compute(model: str) -> None:
    """Table D.1 of GPT-3, PaLM's appendix, Llama 3: 6 N D, within the digits of N."""
    entry = MODELS[model]
    assert entry.shape
    assert entry.flops
    assert training_flops(entry.shape, entry.tokens or 0, "6nd") == pytest.approx(entry.flops, rel=0.013)


@settings(deadline=None)
@given(
    layers=st.integers(1, 4),
    heads=st.integers(1, 4),
    head_width=st.integers(1, 8).map(lambda n: 2 * n),
    norm=st.sampled_from(list(NORMS)),
    positions=st.sampled_from(list(POSITIONS)),
    activation=st.sampled_from(list(ACTIVATIONS)),
    tied=st.booleans(),
    bias=st.booleans(),
)
def test_flops_grow_with_every_size(layers: int, heads: int, head_width: int, **choices: Any) -> None:
    small = ModelShape(layers=layers, width=heads * head_width, heads=heads, context=16, vocabulary=50, **choices)
    larger = ModelShape(layers=layers + 1, width=heads * head_width, heads=heads, context=16, vocabulary=50, **choices)
    for convention in FLOPS_PER_TOKEN:
        assert training_flops(larger, 10, convention) > training_flops(small, 10, convention)
        assert training_flops(small, 20, convention) == 2 * training_flops(small, 10, convention)


@settings(deadline=None)
@given(experts=st.integers(2, 9))
def test_experts_cost_what_is_active_and_the_router(experts: int) -> None:
    dense = ModelShape(**SMALL)
    sparse = ModelShape(**SMALL, experts=experts, active_experts=1)
    assert training_flops(sparse, 1) - training_flops(dense, 1) == 6 * 2 * 32 * experts
    assert training_flops(sparse, 1, "6nd") > training_flops(sparse, 1, "6nd_active")


@pytest.mark.parametrize("family", ["lstm", "encoder_decoder"])
def test_what_a_convention_does_not_define_is_refused(family: str) -> None:
    shape = ModelShape(**SMALL, family=family, positions="none")
    assert training_flops(shape, 1) > 0
    for convention in ("kaplan", "chinchilla", "palm", "deepseek", "porian_attention"):
        with pytest.raises(DesignError, match="not defined"):
            training_flops(shape, 1, convention)
    with pytest.raises(DesignError):
        inference_flops(shape, 1)


def test_lstm_counts_both_products_of_four_gates() -> None:
    shape = ModelShape(family="lstm", layers=3, width=8, heads=1, context=16, vocabulary=50, positions="none")
    assert training_flops(shape, 1) == 6 * (3 * 8 * 64 + 400)


def test_unknown_convention() -> None:
    with pytest.raises(DesignError, match="chinchilla"):
        training_flops(ModelShape(**SMALL), 1, "7nd")


SCORES = {"matmul": 12, "kaplan": 6, "chinchilla": 12, "chinchilla_blocks": 12, "palm": 12, "deepseek": 12,
          "porian_attention": 6, "6nd": 0, "6nd_non_embedding": 0, "6nd_active": 0, "porian": 0}  # fmt: skip
"""FLOPs of a token per layer, position of context, and dimension of heads x head width."""


@pytest.mark.parametrize("convention", FLOPS_PER_TOKEN)
@given(heads=st.integers(1, 4), head_width=st.integers(1, 24), layers=st.integers(1, 3))
@settings(deadline=None, max_examples=10)
def test_attention_is_counted_by_heads_times_head_width_whatever_the_width(
    convention: str, heads: int, head_width: int, layers: int
) -> None:
    def of(context: int, per_head: int) -> float:
        shape = ModelShape(**SMALL | {"layers": layers, "heads": heads, "context": context, "positions": "rotary"},
                           attention_width=2 * heads * per_head)  # fmt: skip
        return training_flops(shape, 1, convention)

    # what 8 more positions add, less what they add with heads half as wide: the softmax and the weights cancel
    scores = [of(24, wide) - of(16, wide) for wide in (2 * head_width, head_width)]
    assert scores[0] - scores[1] == pytest.approx(SCORES[convention] * layers * 8 * 2 * heads * head_width)
