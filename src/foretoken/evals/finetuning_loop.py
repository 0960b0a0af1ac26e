"""The fine-tuning loop: a network and a new head learn from labelled examples, and are scored on others.

AdamW, warm-up and linear decay (Devlin et al. 2018, appendix A.3). After each epoch the validation examples are scored;
the weights with the least loss there are kept, and training ends after `patience` epochs without a lower one.

Shapes: N predictions, R states that are read, W width, C classes or tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.evals.formats import Batch, InputFormat
from foretoken.evals.metrics import Predictions
from foretoken.evals.options import TuningOptions
from foretoken.evals.tasks import CHOICE, LABELS, SIMILARITY, TEXT_TO_TEXT, Example, Task, TaskKind
from foretoken.models import Encoder, EncoderDecoder, Network, build
from foretoken.training.loop import seed_dropout
from foretoken.training.optimizer import AdamW
from foretoken.training.torch_setup import float32_products

EVAL_EXAMPLES = 256
"""Examples that are scored at once."""
HEAD_SD = 0.02
"""Standard deviation of a new head's weights, as of all of BERT's (Devlin et al. 2018)."""


class TaskNetwork(nn.Module):
    """`network(batch)` gives logits [N, C]: of classes, of choices, or of the next token of a target.

    The head is one linear layer on the states that the batch names (Radford et al. 2018, Devlin et al. 2018): on the
    sum of both where two texts are read in both orders, with one output for each choice. Text-to-text uses the
    network's own output layer.
    """

    def __init__(self, network: Network, kind: TaskKind, classes: int, seed: int, dropout: float) -> None:
        super().__init__()
        self.network, self.kind, self.classes = network, kind, classes
        self.dropout = nn.Dropout(dropout)
        width = network.shape.width
        self.head = None if kind == TEXT_TO_TEXT else nn.Linear(width, 1 if kind == CHOICE else classes)
        if self.head is not None:
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                self.head.weight.normal_(0.0, HEAD_SD, generator=generator)
                self.head.bias.zero_()

    def forward(self, batch: Batch) -> Tensor:
        """Logits of each prediction."""
        states_RW = self._states(batch)
        if self.head is None:
            return functional.linear(states_RW, self.network.head_weight)
        states_RW = self.dropout(states_RW)
        if self.kind == SIMILARITY:
            states_RW = states_RW.view(-1, 2, states_RW.shape[1]).sum(1)
        logits: Tensor = self.head(states_RW)
        return logits.view(-1, self.classes) if self.kind == CHOICE else logits

    def _states(self, batch: Batch) -> Tensor:
        inputs = {name: torch.from_numpy(values) for name, values in batch.inputs.items()}
        tokens, positions = inputs.pop("tokens"), torch.from_numpy(batch.positions)
        if isinstance(self.network, EncoderDecoder):
            return self._two_stack_states(self.network, tokens, inputs).flatten(0, 1)[positions]
        features_RTW: Tensor = self.network.features(tokens, **inputs)
        if isinstance(self.network, Encoder) and self.kind != LABELS:
            return self.network.pooled(features_RTW)
        return features_RTW.flatten(0, 1)[positions]

    def _two_stack_states(self, network: EncoderDecoder, tokens: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        if self.kind == LABELS:
            return network.encoder.features(tokens, **inputs)
        features = network.features(tokens, **inputs)
        # Before a tied output layer T5 multiplies the states by width ** -0.5; a new head gets them as they were.
        rescale = self.head is not None and network.head is None
        return features * network.shape.width**0.5 if rescale else features


def extend_vocabulary(
    network: Network, vocabulary: int, seed: int, dropout: float = 0.0, *, fresh: bool = False
) -> Network:
    """A copy of the network with rows for new tokens, drawn by the seed; with `fresh` all weights are drawn anew."""
    extended = build(replace(network.shape, vocabulary=vocabulary), seed, dropout)
    pretrained = dict(network.named_parameters())
    if not fresh:
        with torch.no_grad():
            for name, weight in extended.named_parameters():
                weight[: len(pretrained[name])] = pretrained[name]
    return extended


@float32_products()
def train(
    network: TaskNetwork, task: Task, inputs: InputFormat, options: TuningOptions, learning_rate: float, seed: int
) -> tuple[float, int]:
    """Tune in place; ends with the weights of the least validation loss. Gives that loss, and the epochs trained.

    The loss is infinite where no epoch had a finite one; the weights are of no use then.
    """
    optimizer = AdamW(network, options.weight_decay)
    # A stream of its own beside that of the head (seed alone), so that neither depends on what the other draws.
    rng = np.random.default_rng([seed, 1])
    steps_per_epoch = math.ceil(len(task.train) / options.batch)
    steps, step, epoch = steps_per_epoch * options.epochs, 0, 0
    best_loss, best_epoch, best_weights = math.inf, 0, None
    for epoch in range(1, options.epochs + 1):
        network.train()
        for rows in np.array_split(_epoch_order(task, rng), steps_per_epoch):
            batch = inputs.batch([task.train[row] for row in rows])
            seed_dropout(seed, step)  # by step, so that a mask does not depend on what was drawn before
            loss = functional.cross_entropy(network(batch), torch.from_numpy(batch.targets))
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip)
            optimizer.step(learning_rate * rate_share(step, steps, options.warmup))
            optimizer.zero_grad()
            step += 1
        validation_loss = predict(network, inputs, task.validation)[1]
        # A loss that is not a number compares as False: such an epoch is never the best.
        if validation_loss < best_loss:
            best_loss, best_epoch, best_weights = validation_loss, epoch, copy.deepcopy(network.state_dict())
        elif epoch - best_epoch >= options.patience:
            break
    if best_weights is not None:
        network.load_state_dict(best_weights)
    return best_loss, epoch


@torch.no_grad()
@float32_products()
def predict(network: TaskNetwork, inputs: InputFormat, examples: Sequence[Example]) -> tuple[Predictions, float]:
    """The likeliest class or token of each prediction, and the mean loss, in nats.

    Of a target, each token is predicted from the right ones before it. All of them are right exactly when greedy
    decoding would write the target: if one is wrong, so is the first wrong one, whose context is the same in both. So
    nothing need be written to score an exact match.
    """
    network.eval()
    predicted, targets, example_index, losses = [], [], [], []
    for first in range(0, len(examples), EVAL_EXAMPLES):
        batch = inputs.batch(examples[first : first + EVAL_EXAMPLES])
        logits = network(batch).float()
        losses.append(functional.cross_entropy(logits, torch.from_numpy(batch.targets), reduction="none"))
        predicted.append(logits.argmax(1).numpy())
        targets.append(batch.targets)
        example_index.append(batch.example_index + first)
    predictions = Predictions(np.concatenate(predicted), np.concatenate(targets), np.concatenate(example_index))
    return predictions, torch.cat(losses).mean().item()


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate: linear up over the warm-up, then linear down to nearly 0.

    >>> [round(rate_share(step, 10, 0.2), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.125]
    """
    rise = round(warmup * steps)
    return (step + 1) / rise if step < rise else (steps - step) / max(1, steps - rise)


def _epoch_order(task: Task, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The rows of an epoch: each once, or of a mixture as many, drawn by their weights."""
    number = len(task.train)
    return rng.choice(number, number, p=task.weights) if task.weights else rng.permutation(number)
