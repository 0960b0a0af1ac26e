"""What a run does about a loss or a gradient that leaves the usual: stop, skip the step, or go back and around it.

Skipping is OLMo 2's (arXiv 2501.00656), going back and leaving batches out is PaLM's (arXiv 2204.02311, section 5.1).
All that a decision depends on is in the state, so a resumed run decides alike.
"""

from __future__ import annotations

import math

import numpy as np

from foretoken.runs.spec import SpikePolicy
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.state import TrainState

ROLLBACK_POINTS = 2
"""States kept to go back to: of the two newest, one is always `rewind` steps away."""


class Diverged(Exception):
    """The loss left the numbers, rose above that of a uniform guess, or spiked more often than the policy allows."""


def keep_rollback_point(state: TrainState, policy: SpikePolicy) -> None:
    """Before each step that is a multiple of `rewind`, keep the state to go back to (policy `roll_back` alone)."""
    if not policy.rolls_back or state.step % policy.rewind:
        return
    if not state.rollback_points or state.rollback_points[-1].step < state.step:
        state.rollback_points = [*state.rollback_points, state.own_snapshot()][-ROLLBACK_POINTS:]


def detect_spike(state: TrainState, policy: SpikePolicy, loss: float, norm: float) -> str | None:
    """Why a step is a spike, by its loss and its gradient's norm before clipping; None if it is not.

    What is usual is noted for the steps to come; a spike is not, so that one does not hide the next.
    """
    if policy.only_stops:
        return None
    seen = {"loss": (loss, state.recent_losses), "norm of the gradient": (norm, state.recent_norms)}
    for name, (value, recent) in seen.items():
        if not math.isfinite(value):
            return f"{name} {value}"
        if len(recent) == policy.window:  # with fewer steps the deviation is itself too uncertain to judge by
            above = value - float(np.mean(recent))
            deviation = float(np.std(recent))
            if above > policy.sigmas * deviation:
                ratio = above / deviation if deviation else math.inf
                return f"{name} {value:.4g} is {ratio:.1f} deviations above its mean"
    # Only now, when neither value is a spike: a spiked loss must not widen the window of the norm.
    for value, recent in seen.values():
        recent.append(value)
        del recent[: -policy.window]
    return None


def recover(state: TrainState, policy: SpikePolicy, reason: str) -> None:
    """Leave the step out, or go back and leave batches out. Raises Diverged when there were too many."""
    state.spikes += 1
    event = f"step {state.step + 1}: {reason}"
    if state.spikes > policy.max_spikes:
        raise Diverged(f"{event}; more than {policy.max_spikes} spikes")
    if not policy.rolls_back:
        state.step += 1
        state.skipped_steps += 1
        state.events.append(f"{event}; not applied")
        return
    point = _rollback_point(state, policy)
    skipped = max(policy.skip_batches, state.step - point.step + 1)
    # The spike's own batch is skipped too: it is the last of the batches from the point to here.
    state.roll_back(point)
    state.skipped_batches += skipped
    state.skipped_steps += skipped
    state.events.append(f"{event}; back to step {point.step}, {skipped} batches skipped")


def _rollback_point(state: TrainState, policy: SpikePolicy) -> Checkpoint:
    """The newest that is at least `rewind` steps old; the oldest where none is, as early in a run."""
    old = [point for point in state.rollback_points if point.step <= state.step - policy.rewind]
    return (old or state.rollback_points[:1])[-1]
