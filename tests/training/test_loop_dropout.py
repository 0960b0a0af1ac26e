"""Dropout: masks are a function of seed and batch alone; none in evaluation, none when it is off."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from foretoken.data import TokenizedCorpus
from foretoken.models import build
from foretoken.runs.spec import RunSpec
from foretoken.training.evaluate import evaluate
from foretoken.training.loop import advance, seed_dropout
from foretoken.training.state import TrainState

from .small import SHORT

SPEC = replace(SHORT, dropout=0.2)


def weights_after(spec: RunSpec, corpus: TokenizedCorpus, noise: bool = False) -> dict[str, torch.Tensor]:
    state = TrainState.start(spec)
    advance(state, spec, corpus, spec.steps, lambda state: torch.rand(3) if noise else None)
    return state.network.state_dict()


def test_masks_do_not_depend_on_what_else_draws_numbers(corpus: TokenizedCorpus) -> None:
    quiet, loud = weights_after(SPEC, corpus), weights_after(SPEC, corpus, noise=True)
    assert all(torch.equal(quiet[name], loud[name]) for name in quiet)


def test_dropout_changes_the_training_and_none_leaves_the_generator_alone(corpus: TokenizedCorpus) -> None:
    plain = replace(SPEC, dropout=0.0)
    state, before = TrainState.start(plain), torch.get_rng_state()
    advance(state, plain, corpus, plain.steps, lambda state: None)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(state.network.embedding.weight, weights_after(SPEC, corpus)["embedding.weight"])


def test_evaluation_drops_nothing(corpus: TokenizedCorpus) -> None:
    state = TrainState.start(SPEC)
    with_dropout = evaluate(state, SPEC, corpus)
    assert with_dropout == evaluate(TrainState.start(replace(SPEC, dropout=0.0)), replace(SPEC, dropout=0.0), corpus)


def test_steps_and_seeds_have_their_own_masks() -> None:
    drawn = []
    for seed in range(3):
        for place in range(20):
            seed_dropout(seed, place)
            drawn.append(tuple(torch.rand(4).tolist()))
    assert len(set(drawn)) == 60


def test_the_share_that_is_dropped() -> None:
    network = build(replace(SPEC.shape, width=64), dropout=0.3).train()
    dropped = network.dropout(torch.ones(100_000))
    share = (dropped == 0).float().mean().item()
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 100_000)
    assert dropped.max().item() == pytest.approx(1 / 0.7)
    assert network.blocks[0].dropout.p == 0.3
