"""What a cache gives is what the network gives when it reads everything at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foretoken.generation.cache import start_cache

from .toys import untrained

MODELS = [
    ("gpt2", "causal", {}),
    ("llama", "causal", {}),
    ("llama", "causal", {"queries_per_kv_head": 2, "layers": 2}),
    ("llama", "causal", {"positions": "relative", "norm": "layer"}),
    ("mixtral", "causal", {"layers": 2}),
    ("mixtral", "causal", {"experts": 4, "active_experts": 1, "expert_capacity_factor": 0.5}),
    ("lstm", "causal", {"layers": 2}),
    ("prefix", "prefix", {"layers": 2}),
    ("t5", "prefix", {"layers": 2}),
    ("t5_v1_1", "span_corruption", {"shared_stacks": True}),
]


def tokens(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("preset", "kind", "choices"), MODELS, ids=lambda value: str(value))
@torch.no_grad()
def test_a_cache_gives_what_recomputing_gives(preset: str, kind: str, choices: dict[str, object]) -> None:
    network = untrained(preset, kind, **choices).network
    source, text, prefix = tokens(2, 9), tokens(2, 8), 3 if preset == "prefix" else 0
    if network.shape.family == "encoder_decoder":
        whole, cache = network(source, text), start_cache(network, source_BS=source)
    elif prefix:
        whole, cache = network(text, prefix=torch.tensor([prefix, prefix])), start_cache(network, prefix=prefix)
    else:
        whole, cache = network(text), start_cache(network)
    parts = [cache.read(part) for part in text.split([4, 1, 2, 1], dim=1)]
    assert cache.length == 8
    assert whole.std() > 0.1
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("preset", "kind"), [("llama", "causal"), ("lstm", "causal"), ("t5", "prefix")])
@torch.no_grad()
def test_rows_that_are_taken_go_on_as_if_they_had_been_read(preset: str, kind: str) -> None:
    network = untrained(preset, kind).network
    source = tokens(3, 9) if preset == "t5" else None
    cache, text, rows = start_cache(network, source_BS=source), tokens(3, 6), torch.tensor([2, 0, 2, 1])
    cache.read(text[:, :5])
    cache.select(rows)
    taken = start_cache(network, source_BS=None if source is None else source[rows])
    expected = taken.read(text[rows])[:, -1:]
    torch.testing.assert_close(cache.read(text[rows, 5:]), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
@torch.no_grad()
def test_it_does_not_matter_how_the_text_is_cut(cuts: list[int]) -> None:
    network = untrained("llama", "causal").network
    text, cache = tokens(1, sum(cuts)), start_cache(network)
    parts = torch.cat([cache.read(part) for part in text.split(cuts, dim=1)], dim=1)
    torch.testing.assert_close(parts, network(text), rtol=1e-4, atol=1e-4)
