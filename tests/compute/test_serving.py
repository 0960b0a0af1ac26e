from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.flops import inference_flops, training_flops
from foretoken.compute.machine import machine
from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.serving import bytes_read, kv_cache_bytes, most_params, serve
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError, ForetokenError

H100 = machine("H100")


def shape(model: str) -> ModelShape:
    found = MODELS[model].shape
    assert found
    return found


@pytest.mark.parametrize(
    ("model", "kilobytes"), [("llama_7b", 512), ("llama3_8b", 128), ("llama3_70b", 320), ("gpt3_175b", 4608)]
)
def test_cache_of_keys_and_values(model: str, kilobytes: float) -> None:
    """2 x layers x heads of keys x their width x 2 bytes, per token; 0.5 MiB for LLaMA-7B."""
    assert kv_cache_bytes(shape(model), 1) == kilobytes * 1024


def test_one_request_waits_for_the_memory() -> None:
    found = serve(shape("llama_7b"), H100, prompt=1, answer=2)
    assert found.bound == "bandwidth"
    assert found.decode_seconds == pytest.approx(2 * 6.738e9 / 3.35e12, rel=0.001)
    assert found.bytes == found.weight_bytes + found.cache_bytes


def test_a_large_batch_is_bound_by_compute() -> None:
    """From a batch of about peak / bandwidth = 295 on, were there no cache to read."""
    small = replace(shape("llama_7b"), kv_heads=1)
    bounds = [serve(small, H100, prompt=1, answer=1, batch=batch).bound for batch in (200, 400)]
    assert bounds == ["bandwidth", "compute"]


def test_two_flop_per_parameter_and_token() -> None:
    found = count_parameters(shape("llama_65b"))
    per_token = inference_flops(shape("llama_65b"), 0)
    assert per_token == pytest.approx(2 * (found.total - found.embedding), rel=0.001)
    assert 3 * inference_flops(shape("llama_65b"), 2048) == training_flops(shape("llama_65b"), 1)


@settings(deadline=None)
@given(batch=st.integers(1, 64), prompt=st.integers(1, 2000), answer=st.integers(1, 500), use=st.floats(0.1, 1.0))
def test_times_and_prices_follow(batch: int, prompt: int, answer: int, use: float) -> None:
    load: dict[str, Any] = {"prompt": prompt, "answer": answer, "batch": batch, "count": 8}
    full, part = serve(shape("llama_7b"), H100, **load), serve(shape("llama_7b"), H100, **load, use=use)
    assert part.prefill_seconds == pytest.approx(full.prefill_seconds / use)
    assert part.decode_seconds == pytest.approx(full.decode_seconds / use)
    assert full.tokens_per_second == pytest.approx(batch / full.decode_seconds)
    eight_bit = serve(shape("llama_7b"), H100, **load, bytes_each=1)
    assert eight_bit.decode_seconds <= full.decode_seconds
    hours = 8 * (full.prefill_seconds + answer * full.decode_seconds) / 3600 / (batch * answer) * 1e6
    assert full.accelerator_hours_per_million == pytest.approx(hours)
    assert full.usd_per_million == pytest.approx(2.95 * hours)


def test_experts_are_read_as_far_as_they_are_touched() -> None:
    mixtral = shape("mixtral_8x7b")
    count = count_parameters(mixtral)
    assert bytes_read(mixtral, 1) == pytest.approx(2 * count.active)
    assert bytes_read(mixtral, 1000) == pytest.approx(2 * count.total)
    assert bytes_read(replace(mixtral, active_experts=8), 1) == 2 * count.total


def test_caps_on_size() -> None:
    assert most_params(H100) == pytest.approx(0.8 * 80e9 / 2)
    assert most_params(H100, bytes_each=0.5, count=8) == pytest.approx(0.8 * 8 * 80e9 / 0.5)
    fast = most_params(H100, seconds_per_token=0.005)
    assert fast == pytest.approx(0.005 * 3.35e12 / 2)
    llama = shape("llama_7b")
    assert serve(llama, H100, prompt=1, answer=1).decode_seconds < 0.005 * count_parameters(llama).total / fast * 1.001


def test_what_cannot_be_served() -> None:
    with pytest.raises(DesignError, match=r"4\.38 times"):
        serve(shape("gpt3_175b"), H100, prompt=100, answer=100)
    with pytest.raises(DesignError, match="one stack"):
        serve(shape("t5_small"), H100, prompt=100, answer=100)
    with pytest.raises(ForetokenError, match="batch"):
        serve(shape("llama_7b"), H100, prompt=100, answer=100, batch=-1)
    assert serve(shape("llama_7b"), machine("TPU v5p"), prompt=1, answer=1).usd_per_million is None
