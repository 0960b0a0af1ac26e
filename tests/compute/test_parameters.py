from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}
BERT: dict[str, Any] = {
    "family": "encoder", "context": 512, "vocabulary": 30522, "token_types": 2, "embedding_norm": True,
    "final_norm": False,
}  # fmt: skip


def total(model: str) -> int:
    shape = MODELS[model].shape
    assert shape
    return count_parameters(shape).total


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # GPT-2 (Radford et al. 2019) as released; the paper prints 117M, 345M, 762M, 1542M
        ("gpt2_small", 124_439_808), ("gpt2_medium", 354_823_168), ("gpt2_large", 774_030_080),
        ("gpt2_xl", 1_557_611_200),
        # LLaMA (arXiv 2302.13971), printed as 6.7B, 13.0B, 32.5B, 65.2B
        ("llama_7b", 6_738_415_616), ("llama_13b", 13_015_864_320), ("llama_33b", 32_528_943_616),
        ("llama_65b", 65_285_660_672),
        # Llama 3.1 (model card)
        ("llama3_8b", 8_030_261_248), ("llama3_70b", 70_553_706_496), ("llama3_405b", 405_853_388_800),
    ],
)  # fmt: skip
def test_published_counts_exactly(model: str, expected: int) -> None:
    assert total(model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("70m", 18_915_328), ("160m", 85_056_000), ("410m", 302_311_424), ("1b", 805_736_448), ("1_4b", 1_208_602_624),
     ("2_8b", 2_517_652_480), ("6_9b", 6_444_163_072), ("12b", 11_327_027_200)],
)  # fmt: skip
def test_pythia_without_embeddings_exactly(model: str, expected: int) -> None:
    """Biderman et al. 2023 (arXiv 2304.01373), table 1."""
    shape = MODELS[f"pythia_{model}"].shape
    assert shape
    assert count_parameters(shape).non_embedding == expected


@pytest.mark.parametrize("model", [name for name in MODELS if name.startswith("gpt3_")])
def test_gpt3_within_a_hundredth_of_table_d1(model: str) -> None:
    """Brown et al. 2020 (arXiv 2005.14165), table D.1; XL with 16 heads and 13B with width 5120, as noted there."""
    assert total(model) == pytest.approx(MODELS[model].params, rel=0.01)


def test_gpt3_has_eight_rows_and_says_what_was_misprinted() -> None:
    rows = {name: entry for name, entry in MODELS.items() if name.startswith("gpt3_")}
    assert len(rows) == 8
    assert "16 heads" in rows["gpt3_xl"].careful[0]
    assert "5140" in rows["gpt3_13b"].careful[0]


@pytest.mark.parametrize(
    ("layers", "width", "heads", "bare", "both_heads", "printed"),
    [(12, 768, 12, 109_482_240, 110_106_428, 110e6), (24, 1024, 16, 335_141_888, 336_226_108, 340e6)],
)
def test_bert(layers: int, width: int, heads: int, bare: int, both_heads: int, printed: float) -> None:
    """Devlin et al. 2018 (arXiv 1810.04805) print 110M and 340M; exact counts are those of transformers."""
    shape = {"layers": layers, "width": width, "heads": heads, **BERT}
    assert count_parameters(ModelShape(**shape, head="none", pooler=True)).total == bare
    assert count_parameters(ModelShape(**shape, head="masked", pooler=True, classes=2)).total == both_heads
    assert both_heads == pytest.approx(printed, rel=0.012)


@pytest.mark.parametrize(
    ("model", "expected", "off"),
    [("t5_small", 60_506_624, 0.009), ("t5_base", 222_903_552, 0.014), ("t5_large", 737_668_096, 0.043),
     ("t5_3b", 2_851_598_336, 0.050), ("t5_11b", 11_307_321_344, 0.028)],
)  # fmt: skip
def test_t5(model: str, expected: int, off: float) -> None:
    """Raffel et al. 2019 (arXiv 1910.10683) print 60M, 220M, 770M, 3B, 11B; exact counts are those of transformers."""
    assert total(model) == expected
    assert abs(expected / MODELS[model].params - 1) < off


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.shape])
def test_every_shape_of_the_registry_has_its_printed_size(name: str) -> None:
    assert total(name) == pytest.approx(MODELS[name].params, rel=0.05)


def test_active_parameters_of_experts() -> None:
    """Mixtral 8x7B (arXiv 2401.04088): 47B parameters, 13B of them for one token."""
    shape = MODELS["mixtral_8x7b"].shape
    assert shape
    count = count_parameters(shape)
    assert (count.total, count.active) == (46_702_792_704, 12_879_925_248)
    assert count.router == 32 * 4096 * 8


@settings(max_examples=25, deadline=None)
@given(layers=st.integers(1, 3), width=st.integers(1, 12), bias=st.booleans(), tied=st.booleans())
def test_lstm_equals_that_of_torch(layers: int, width: int, bias: bool, tied: bool) -> None:
    with torch.device("meta"):
        parts = [torch.nn.LSTM(width, width, layers, bias=bias), torch.nn.Embedding(50, width)]
        parts += [] if tied else [torch.nn.Linear(width, 50, bias=False)]
    shape = ModelShape(family="lstm", layers=layers, width=width, heads=1, context=16, vocabulary=50, positions="none",
                       bias=bias, tied=tied)  # fmt: skip
    assert count_parameters(shape).total == sum(w.numel() for part in parts for w in part.parameters())


def test_a_prefix_decoder_is_counted_as_a_decoder() -> None:
    prefix, decoder = (count_parameters(ModelShape(**SMALL, family=family)) for family in ("prefix", "decoder"))
    assert prefix == decoder


@settings(deadline=None)
@given(experts=st.integers(1, 8), every=st.integers(1, 3), shared=st.integers(0, 2), data=st.data())
def test_experts_are_feed_forwards(experts: int, every: int, shared: int, data: st.DataObject) -> None:
    active = data.draw(st.integers(1, experts))
    small = {**SMALL, "layers": 6}
    sparse = ModelShape(**small, experts=experts, active_experts=active, shared_experts=shared, expert_every=every)
    dense, count = count_parameters(ModelShape(**small)), count_parameters(sparse)
    one = dense.feed_forward // 6
    assert count.feed_forward - dense.feed_forward == (6 // every) * (experts + shared - 1) * one
    assert count.active - dense.total == (6 // every) * ((active + shared - 1) * one + 32 * experts)
