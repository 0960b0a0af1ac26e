"""The training loop, on one screen."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from foretoken.data import TokenizedCorpus, batch
from foretoken.models import Network, router_losses
from foretoken.objectives import make_examples
from foretoken.objectives.examples import batch_rng, example_builder
from foretoken.objectives.loss import losses
from foretoken.runs.spec import RunSpec
from foretoken.training.optimizer import learning_rate_share
from foretoken.training.spikes import Diverged, detect_spike, keep_rollback_point, recover
from foretoken.training.state import TrainState
from foretoken.training.torch_setup import float32_products

__all__ = ["Diverged", "OnStep", "advance"]

OnStep = Callable[[TrainState], None]


@float32_products()
def advance(state: TrainState, spec: RunSpec, corpus: TokenizedCorpus, until: int, on_step: OnStep) -> None:
    """Train `state` up to step `until`; `on_step` is called after each step and may raise to stop.

    Raises Diverged. The result is a function of spec and step alone: no state is hidden elsewhere.
    """
    network, optimizer = state.network.train(), state.optimizer
    builder = example_builder(spec.objective, spec.shape, corpus)
    text_window = spec.objective.window(spec.shape)
    while state.step < until:
        began = time.perf_counter()
        # Before the batch is read: the state that a spike goes back to must not have seen it.
        keep_rollback_point(state, spec.spikes)
        index = state.step + state.skipped_batches
        text = batch(corpus, seed=spec.seed, step=index, sequences=spec.sequences, window=text_window)
        examples = make_examples(builder, text, batch_rng(spec.seed, index))
        if spec.dropout:
            seed_dropout(spec.seed, index)
        with torch.autocast("cpu", torch.bfloat16, enabled=spec.in_bfloat16):
            token_losses, label_loss = losses(network, examples)
            loss = token_losses.mean()
            total = total_loss(loss, label_loss, network, spec)
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), spec.clip, foreach=True)
        reason = detect_spike(state, spec.spikes, loss.item(), norm.item())
        if reason is None:
            optimizer.step(spec.learning_rate * learning_rate_share(spec, state.step))
            state.step += 1
            note_loss(state, spec, loss.item())
        else:
            recover(state, spec.spikes, reason)
        # After a skipped step too: its gradient must not be added to that of the next.
        optimizer.zero_grad()
        state.seconds += time.perf_counter() - began
        on_step(state)


def total_loss(loss: Tensor, label_loss: Tensor | None, network: Network, spec: RunSpec) -> Tensor:
    """All that is minimised: the loss of the objective, that of its labels, and those of routers."""
    if label_loss is not None:
        loss = loss + label_loss
    routers = router_losses(network) if spec.shape.experts else None
    if routers is not None:
        load_balance, z = routers
        loss = loss + spec.router_losses.load_balance * load_balance + spec.router_losses.z * z
    return loss


def seed_dropout(seed: int, index: int) -> None:
    """Seed torch's own generator from the run's seed and the batch's index, so that masks need not be saved."""
    digest = hashlib.blake2b(f"dropout {seed} {index}".encode(), digest_size=4).digest()
    torch.default_generator.manual_seed(int.from_bytes(digest))


def note_loss(state: TrainState, spec: RunSpec, loss: float) -> None:
    """Add a step's loss to the curve; raise Diverged when it is no longer a loss."""
    if not math.isfinite(loss):
        raise Diverged(f"loss {loss} at step {state.step}")
    state.window.append(loss)
    if len(state.window) >= curve_interval(spec):
        mean = sum(state.window) / len(state.window)
        # A uniform guess has ln V nats; one nat above it nothing is being learned any more.
        state.curve.append([float(state.step * spec.batch_tokens), mean])
        state.window.clear()
        if len(state.curve) > 1 and mean > math.log(spec.shape.vocabulary) + 1.0:
            raise Diverged(f"mean loss {mean:.2f} around step {state.step} is above that of a uniform guess")


def curve_interval(spec: RunSpec) -> int:
    """Steps per point of the curve: about one token per parameter, the same for all branches of a trunk."""
    return max(1, spec.parameters.total // spec.batch_tokens)
