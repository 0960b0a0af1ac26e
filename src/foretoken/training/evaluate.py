"""The loss of a network on the validation set."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from foretoken.data import Text, TokenizedCorpus, validation_batches
from foretoken.models import Network
from foretoken.objectives import ExampleBuilder, Examples, make_examples
from foretoken.objectives.examples import VALIDATION, batch_rng, example_builder
from foretoken.objectives.loss import losses
from foretoken.runs.record import PositionLoss
from foretoken.runs.spec import RunSpec
from foretoken.training.spikes import Diverged
from foretoken.training.state import TrainState
from foretoken.training.torch_setup import float32_products

EVAL_BATCH_TOKENS = 2048
"""What one thread and two were fastest with at contexts 128 and 256; larger batches leave the cache."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network gives on a fixed set of sequences."""

    loss: float
    """Mean over predictions, in nats."""
    loss_se: float
    """Its standard error over sequences."""
    by_position: tuple[PositionLoss, ...]
    """causal: [first, last, loss] by place in the sequence, in doublings."""
    label_loss: float | None
    sums: NDArray[np.float64] = field(compare=False)
    counts: NDArray[np.float64] = field(compare=False)
    """By sequence: summed loss, in any unit, and the predictions that it is over."""

    def change_from(self, before: Evaluation) -> tuple[float, float]:
        """Loss minus that of another network on the same examples, and its standard error over sequences."""
        return _mean(self.sums - before.sums, self.counts)


def evaluate(state: TrainState, spec: RunSpec, corpus: TokenizedCorpus) -> Evaluation:
    """Mean loss of the predictions on the validation set. Raises Diverged where it is above that of a guess."""
    wanted = spec.eval_tokens // spec.shape.sequence_tokens
    found = held_out(state.network, example_builder(spec.objective, spec.shape, corpus), corpus, wanted)
    if not math.isfinite(found.loss) or found.loss > math.log(spec.shape.vocabulary) + 1.0:
        raise Diverged(f"validation loss {found.loss} at the end")
    return found


def held_out(network: Network, builder: ExampleBuilder, corpus: TokenizedCorpus, wanted: int) -> Evaluation:
    """As `measure`, on so many sequences of the validation split, evenly spread over it."""
    objective, shape = builder.objective, builder.shape
    at_once = max(2 if objective.next_sentence else 1, EVAL_BATCH_TOKENS // shape.sequence_tokens)
    return measure(network, builder, validation_batches(corpus, objective.window(shape), wanted, at_once))


@torch.no_grad()
@float32_products()
def measure(network: Network, builder: ExampleBuilder, texts: Iterable[Text]) -> Evaluation:
    """Mean loss of the predictions on batches of text.

    What is hidden from the network depends on the batches alone, so it is the same for all networks.
    """
    network.eval()
    sums, counts, labels, by_place = [], [], [], []
    for number, text in enumerate(texts):
        examples = make_examples(builder, text, batch_rng(VALIDATION, number))
        each, label = losses(network, examples)
        total, count = _by_sequence(each.double().numpy(), examples, len(text))
        sums.append(total)
        counts.append(count)
        if label is not None:
            labels.append(label.item())
        if builder.objective.is_causal and examples.positions is None:
            by_place.append(each.double().sum(0).numpy())
    totals, predictions = np.concatenate(sums), np.concatenate(counts)
    loss, error = _mean(totals, predictions)
    places = np.sum(by_place, axis=0) / len(totals) if by_place else np.zeros(0)
    return Evaluation(
        loss=loss,
        loss_se=error,
        by_position=_doublings(places),
        label_loss=float(np.mean(labels)) if labels else None,
        sums=totals,
        counts=predictions,
    )


def _by_sequence(each: NDArray[np.float64], examples: Examples, sequences: int) -> tuple[NDArray[np.float64], ...]:
    """Sum of losses and number of predictions of each sequence."""
    if examples.positions is None:
        means: NDArray[np.float64] = torch.from_numpy(each).mean(dim=1).numpy()
        return means, np.ones(sequences)
    row = examples.sequence_of
    total: NDArray[np.float64] = np.bincount(row, each, sequences).astype(np.float64)
    count: NDArray[np.float64] = np.bincount(row, minlength=sequences).astype(np.float64)
    return total, count


def _mean(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """Mean over predictions, and its standard error with sequences as units (that of a ratio)."""
    # The mean over predictions is a ratio R = sum(x) / sum(w) of sequences; by the delta method its variance is that
    # of the mean of x - R w, with w scaled to mean 1.
    weight = counts / counts.mean()
    means = torch.from_numpy(sums / np.maximum(counts, 1.0) * weight)
    loss = means.mean().item()
    spread = means - loss * torch.from_numpy(weight - 1.0)
    return loss, spread.std().item() / math.sqrt(len(spread))


def _doublings(places: NDArray[np.float64]) -> tuple[PositionLoss, ...]:
    """Means over places 1, 2, 3 to 4, 5 to 8, ..."""
    rows, first = [], 1
    while first <= len(places):
        last = min(len(places), 2 * (first - 1) or 1) if first > 1 else 1
        rows.append(PositionLoss(float(first), float(last), float(places[first - 1 : last].mean())))
        first = last + 1
    return tuple(rows)
