"""Spikes: what each policy does, and that it does the same after a resume at any step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from foretoken.data import TokenizedCorpus
from foretoken.runs.spec import RunSpec, SpikePolicy
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.loop import Diverged, advance
from foretoken.training.spikes import detect_spike
from foretoken.training.state import TrainState

from .small import SPEC as FULL

SPEC = replace(FULL, learning_rate=2e-3, dropout=0.1)
SKIP = SpikePolicy(policy="skip", sigmas=50.0, window=8)
ROLL_BACK = SpikePolicy(policy="roll_back", sigmas=50.0, window=8, rewind=5, skip_batches=12)
NAN, HUGE = float("nan"), 100.0


def trained(spec: RunSpec, corpus: TokenizedCorpus, on_step: Any = lambda state: None) -> TrainState:
    state = TrainState.start(spec)
    advance(state, spec, corpus, spec.steps, on_step)
    return state


def timeless(plain: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in plain.items() if name not in ("seconds", "started_at")}
    return {**kept, "rollback_points": [timeless(point) for point in plain.get("rollback_points", [])]}


def alike(one: TrainState, other: TrainState) -> bool:
    ours, theirs = one.tensors(), other.tensors()
    plain = timeless(one.snapshot().state_json) == timeless(other.snapshot().state_json)
    return plain and ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def through_bytes(checkpoint: Checkpoint) -> Checkpoint:
    """As a disk would give it back: safetensors refuses memory that two names share."""
    return Checkpoint(load(save(checkpoint.tensors)), checkpoint.state_json)


def test_stop_is_the_end_at_no_number(corpus: TokenizedCorpus, spoil: Any) -> None:
    spoil({20: NAN})
    with pytest.raises(Diverged, match="loss nan at step 21"):
        trained(SPEC, corpus)


@pytest.mark.parametrize("factor", [NAN, HUGE])
def test_a_skipped_step_leaves_weights_and_optimizer(factor: float, corpus: TokenizedCorpus, spoil: Any) -> None:
    spec, seen = replace(SPEC, spikes=SKIP), {}
    spoil({20: factor})
    state = trained(spec, corpus, lambda state: seen.update({state.step: state.snapshot().tensors}))
    assert all(torch.equal(seen[20][name], seen[21][name]) for name in seen[20])
    assert not all(torch.equal(seen[21][name], seen[22][name]) for name in seen[20])
    assert (state.step, state.skipped_steps, state.skipped_batches) == (40, 1, 0)
    assert len(state.events) == 1
    assert state.events[0].startswith("step 21: loss ")
    assert state.events[0].endswith("not applied")


def test_a_policy_changes_nothing_without_spikes(corpus: TokenizedCorpus) -> None:
    plain = trained(SPEC, corpus)
    for policy in (SKIP, ROLL_BACK):
        state = trained(replace(SPEC, spikes=policy), corpus)
        assert state.events == []
        weights = state.network.state_dict()
        assert all(torch.equal(weights[name], weight) for name, weight in plain.network.state_dict().items())


def test_a_run_goes_back_and_around_the_batches(corpus: TokenizedCorpus, spoil: Any) -> None:
    places = spoil({22: HUGE})
    state = trained(replace(SPEC, spikes=ROLL_BACK), corpus)
    assert places == [*range(23), *range(15 + 12, 40 + 12)]
    assert (state.step, state.skipped_steps, state.skipped_batches) == (40, 12, 12)
    assert state.events[0].startswith("step 23: loss ")
    assert state.events[0].endswith("back to step 15, 12 batches skipped")


def test_before_the_first_anchor_a_run_goes_back_to_its_start(corpus: TokenizedCorpus, spoil: Any) -> None:
    places = spoil({3: NAN})
    state = trained(replace(SPEC, spikes=ROLL_BACK), corpus)
    assert places == [0, 1, 2, 3, *range(12, 52)]
    fresh = TrainState.start(SPEC)
    assert state.optimizer.state[state.network.embedding.weight]["step"].item() == 40
    assert fresh.step == 0


def test_the_batch_of_the_spike_is_always_left_out(corpus: TokenizedCorpus, spoil: Any) -> None:
    places = spoil({22: NAN})
    state = trained(replace(SPEC, spikes=replace(ROLL_BACK, skip_batches=1)), corpus)
    assert places.count(22) == 1
    assert state.skipped_batches == 22 - 15 + 1


@pytest.mark.parametrize("policy", [SKIP, ROLL_BACK])
def test_too_many_spikes_end_the_run(policy: SpikePolicy, corpus: TokenizedCorpus, spoil: Any) -> None:
    spoil(dict.fromkeys(range(10, 1000, 2), NAN))
    with pytest.raises(Diverged, match="more than 2 spikes"):
        trained(replace(SPEC, spikes=replace(policy, max_spikes=2)), corpus)


@pytest.mark.parametrize("policy", [SKIP, ROLL_BACK])
def test_resuming_at_every_step_gives_the_same_bits(policy: SpikePolicy, corpus: TokenizedCorpus, spoil: Any) -> None:
    """Two spikes; saved after every step, those on the way that is abandoned later included."""
    spec, saved = replace(SPEC, spikes=policy), []
    spoil({12: NAN, 35: HUGE})
    whole = trained(spec, corpus, lambda state: saved.append(through_bytes(state.snapshot())))
    assert len(whole.events) == 2
    for checkpoint in saved:
        state = TrainState.start(spec)
        state.restore(checkpoint)
        advance(state, spec, corpus, spec.steps, lambda state: None)
        assert alike(state, whole), checkpoint.step


def test_a_restored_state_forgets_what_came_after(corpus: TokenizedCorpus) -> None:
    state = TrainState.start(replace(SPEC, spikes=ROLL_BACK))
    start = through_bytes(state.snapshot())
    advance(state, replace(SPEC, spikes=ROLL_BACK), corpus, 12, lambda state: None)
    assert [point.step for point in state.rollback_points] == [5, 10]
    state.restore(start)
    assert state.rollback_points == []
    assert not state.optimizer.state
    assert alike(state, TrainState.start(replace(SPEC, spikes=ROLL_BACK)))


def test_the_usual_is_told_from_a_full_window_and_upwards_alone() -> None:
    state, policy = TrainState.start(SPEC), SpikePolicy(policy="skip", sigmas=3.0, window=8)
    for value in (1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0):
        assert detect_spike(state, policy, value, 1.0) is None
    assert detect_spike(state, policy, 50.0, 1.0) is None  # seven of eight seen
    assert state.recent_losses[-1] == 50.0
    state.recent_losses = [1.0, 2.0] * 4
    assert detect_spike(state, policy, -100.0, 1.0) is None
    state.recent_losses = [1.0, 2.0] * 4
    assert detect_spike(state, policy, 2.9, 1.0) is None
    state.recent_losses, before = [1.0, 2.0] * 4, [1.0, 2.0] * 4
    assert detect_spike(state, policy, 3.1, 1.0) == "loss 3.1 is 3.2 deviations above its mean"
    assert state.recent_losses == before
    state.recent_norms = [1.0, 2.0] * 4
    assert "norm of the gradient" in (detect_spike(state, policy, 1.0, 9.0) or "")
    assert detect_spike(state, policy, 1.0, float("inf")) == "norm of the gradient inf"
