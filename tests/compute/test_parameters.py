from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.compute.flops import FLOPS_PER_TOKEN, training_flops
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ACTIVATIONS, NORMS, POSITIONS, PRESETS, ModelShape
from foretoken.errors import DesignError

GPT2 = {"vocabulary": 50257, "context": 1024, **PRESETS["gpt2"]}
LLAMA = {"vocabulary": 32_000, "context": 2048, **PRESETS["llama"]}


@pytest.mark.parametrize(
    ("layers", "width", "heads", "total"),
    [
        (12, 768, 12, 124_439_808),
        (24, 1024, 16, 354_823_168),
        (36, 1280, 20, 774_030_080),
        (48, 1600, 25, 1_557_611_200),
    ],
)
def test_gpt2_published_sizes(layers: int, width: int, heads: int, total: int) -> None:
    assert count_parameters(ModelShape(layers=layers, width=width, heads=heads, **GPT2)).total == total


@pytest.mark.parametrize(
    ("layers", "width", "hidden", "heads", "total"),
    [(32, 4096, 11008, 32, 6_738_415_616), (40, 5120, 13824, 40, 13_015_864_320),
     (60, 6656, 17920, 52, 32_528_943_616), (80, 8192, 22016, 64, 65_285_660_672)],
)  # fmt: skip
def test_llama_published_sizes(layers: int, width: int, hidden: int, heads: int, total: int) -> None:
    shape = ModelShape(layers=layers, width=width, feed_forward=hidden, heads=heads, **LLAMA)
    assert count_parameters(shape).total == total


def test_pythia_non_embedding() -> None:
    for layers, width, expected in [(6, 512, 18_915_328), (12, 768, 85_056_000), (36, 5120, 11_327_027_200)]:
        shape = ModelShape(
            layers=layers, width=width, heads=8, vocabulary=50_304, context=2048, positions="rotary", tied=False
        )
        assert count_parameters(shape).non_embedding == expected


@pytest.mark.parametrize(
    ("layers", "width", "hidden", "heads", "params", "ratio"),
    [(10, 640, 2560, 10, 73e6, 1.03), (20, 1024, 4096, 16, 305e6, 1.10), (24, 1280, 5120, 10, 552e6, 1.08),
     (26, 1792, 7168, 14, 1143e6, 1.04), (28, 2048, 8192, 16, 1593e6, 1.03), (40, 3584, 14336, 28, 6796e6, 0.99)],
)  # fmt: skip
def test_chinchilla_appendix_f(layers: int, width: int, hidden: int, heads: int, params: float, ratio: float) -> None:
    """The printed ratios to 6ND leave out embedding and logits, and count keys of their own size and the softmax."""
    heads_width = heads * (64 if width in (640, 1024) else 128)
    shape = ModelShape(layers=layers, width=width, feed_forward=hidden, heads=heads, vocabulary=32_000, context=2048)
    head = 6.0 * shape.vocabulary * width
    other_projection = 6.0 * layers * 4 * width * (heads_width - width)
    other_scores = 6.0 * layers * 2 * 2048 * (heads_width - width)
    softmax = 3.0 * 3 * layers * heads * 2048
    counted = FLOPS_PER_TOKEN["matmul"](shape) - head + other_projection + other_scores + softmax
    assert counted / (6 * params) == pytest.approx(ratio, abs=0.035)


@given(
    layers=st.integers(1, 4), heads=st.integers(1, 4), head_width=st.integers(1, 8).map(lambda n: 2 * n),
    norm=st.sampled_from(NORMS), positions=st.sampled_from(POSITIONS), activation=st.sampled_from(ACTIVATIONS),
    tied=st.booleans(), bias=st.booleans(),
)  # fmt: skip
def test_flops_grow_with_every_size(layers: int, heads: int, head_width: int, **choices: object) -> None:
    small = ModelShape(layers=layers, width=heads * head_width, heads=heads, context=16, vocabulary=50, **choices)
    larger = ModelShape(layers=layers + 1, width=heads * head_width, heads=heads, context=16, vocabulary=50, **choices)
    for convention in FLOPS_PER_TOKEN:
        assert training_flops(larger, 10, convention) > training_flops(small, 10, convention)
        assert training_flops(small, 20, convention) == 2 * training_flops(small, 10, convention)


@pytest.mark.parametrize(
    "wrong",
    [{"heads": 3}, {"layers": 0}, {"norm": "batch"}, {"positions": "rotary", "heads": 32}, {"activation": "relu"}],
)
def test_shapes_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(DesignError):
        ModelShape(**{"layers": 2, "width": 32, "heads": 2, "context": 16, "vocabulary": 50, **wrong})
