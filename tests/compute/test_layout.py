from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.flops import training_flops
from foretoken.compute.layout import KERNEL_EFFICIENCY, MEMORY_SHARE, find_layout
from foretoken.compute.machine import machine
from foretoken.compute.memory import training_memory
from foretoken.compute.models import MODELS
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

H100 = machine("H100")


def shape(model: str) -> ModelShape:
    found = MODELS[model].shape
    assert found
    return found


@pytest.mark.parametrize(
    ("model", "device", "count", "batch", "low", "high"),
    [
        # LLaMA-65B (arXiv 2302.13971): 0.48 on 2,048 A100; Llama 3 405B (arXiv 2407.21783): 0.38 to 0.43 on 16,384
        # H100; MT-NLG (arXiv 2201.11990): 0.30 on 2,240 A100
        ("llama_65b", "A100", 2048, 4e6, 0.40, 0.56), ("llama3_405b", "H100", 16_384, 16e6, 0.30, 0.50),
        ("mt_nlg", "A100", 2240, 1920 * 2048, 0.30, 0.56),
    ],
)  # fmt: skip
def test_great_trainings_fit_their_machines(
    model: str, device: str, count: int, batch: float, low: float, high: float
) -> None:
    """A first estimate: it leaves out failures, evaluation and slow kernels, so the upper end is above the reports."""
    used = machine(device)
    found = find_layout(shape(model), used, count, batch)
    assert found.split.accelerators == count
    assert found.split.tensor == 8
    assert found.memory.total <= MEMORY_SHARE * used.accelerator.memory
    assert low < found.mfu < high


@settings(max_examples=30, deadline=None)
@given(
    count=st.sampled_from([1, 2, 6, 8, 24, 64]), batch=st.sampled_from([2e5, 1e6, 4e6]),
    layers=st.integers(1, 30), width=st.sampled_from([256, 1024, 2048]), device=st.sampled_from(["H100", "A100"]),
)  # fmt: skip
def test_a_layout_is_whole(count: int, batch: float, layers: int, width: int, device: str) -> None:
    model = ModelShape(layers=layers, width=width, heads=width // 64, context=1024, vocabulary=32_000)
    used = machine(device)
    found = find_layout(model, used, count, batch)
    split = found.split
    assert split.accelerators == count
    assert model.heads % split.tensor == model.feed_forward % split.tensor == 0
    assert split.tensor <= used.accelerator.node
    assert found.micro_batch * found.micro_batches * split.data * model.context >= found.batch_tokens
    assert found.memory == training_memory(model, found.micro_batch, split)
    assert found.step_seconds >= found.compute_seconds > 0
    flops = training_flops(model, found.batch_tokens)
    assert found.mfu == pytest.approx(flops / (found.step_seconds * count * used.need("peak")))
    assert 0 < found.mfu <= KERNEL_EFFICIENCY


def test_a_single_accelerator_neither_waits_nor_talks() -> None:
    found = find_layout(shape("gpt2_small"), machine("RTX 4090"), 1, 5e5)
    assert (found.tensor_seconds, found.pipeline_seconds, found.data_seconds, found.bubble_seconds) == (0, 0, 0, 0)
    assert found.hours(10e9) == pytest.approx(10e9 / found.batch_tokens * found.step_seconds / 3600)
    assert set(found.to_json()) >= {"split", "memory", "step_seconds", "mfu"}


def test_more_stages_wait_more() -> None:
    """The share of waiting is (stages - 1) / micro-batches over the groups of blocks (arXiv 2104.04473)."""
    found = find_layout(shape("mt_nlg"), machine("A100"), 2240, 1920 * 2048)
    split = found.split
    assert split.pipeline > 1
    waiting = found.bubble_seconds / (found.compute_seconds + found.tensor_seconds)
    assert waiting == pytest.approx((split.pipeline - 1) / (found.micro_batches * split.interleave))


@pytest.mark.parametrize(
    ("model", "device", "count", "says"),
    [("llama3_405b", "H100", 8, "11.[0-9] times"), ("llama_7b", "RTX 4090", 1, "times that")],
)
def test_what_does_not_fit_says_by_how_much(model: str, device: str, count: int, says: str) -> None:
    with pytest.raises(DesignError, match=says):
        find_layout(shape(model), machine(device), count, 4e6)


def test_a_deadline_that_no_layout_meets_says_by_how_much() -> None:
    choices: dict[str, Any] = {"shape": shape("llama_7b"), "machine": H100, "count": 64, "batch_tokens": 4e6}
    hours = find_layout(**choices).hours(1e12)
    assert find_layout(**choices, tokens=1e12, deadline_hours=1.01 * hours)
    with pytest.raises(DesignError, match="2 times that"):
        find_layout(**choices, tokens=1e12, deadline_hours=hours / 2)


def test_more_accelerators_than_sequences_and_layers() -> None:
    with pytest.raises(DesignError, match="no layout cuts"):
        find_layout(shape("gpt2_small"), H100, 1009, 5e5)


def test_links_that_are_not_known_are_asked_for() -> None:
    with pytest.raises(DesignError, match="network_gb_s"):
        find_layout(shape("llama_7b"), machine("TPU v4"), 64, 4e6)
    alone = replace(shape("gpt2_small"), layers=2)
    assert find_layout(alone, machine("TPU v4"), 1, 5e5).mfu > 0.3
