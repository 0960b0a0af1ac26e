"""A network with a head for a task. Shapes: N predictions, R states that are read, W width, C classes or tokens."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.evals.formats import Batch
from foretoken.evals.tasks import CHOICE, LABELS, SIMILARITY, TEXT_TO_TEXT
from foretoken.models import Encoder, EncoderDecoder, Network, build


class Tuned(nn.Module):
    """`tuned(batch)` gives logits [N, C]: of classes, of choices, or of the next token of a target.

    The head is one linear layer on the states that the batch names (Radford et al. 2018, Devlin et al. 2018): on the
    sum of both where two texts are read in both orders, with one output for each choice. Text-to-text has none but
    the network's own.
    """

    def __init__(self, network: Network, kind: str, classes: int, seed: int, dropout: float) -> None:
        super().__init__()
        self.network, self.kind, self.classes = network, kind, classes
        self.dropout = nn.Dropout(dropout)
        width = network.shape.width
        self.head = None if kind == TEXT_TO_TEXT else nn.Linear(width, 1 if kind == CHOICE else classes)
        if self.head is not None:
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                self.head.weight.normal_(0.0, 0.02, generator=generator)
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
        tokens, places = inputs.pop("tokens"), torch.from_numpy(batch.places)
        if isinstance(self.network, EncoderDecoder):
            return self._of_two_stacks(self.network, tokens, inputs).flatten(0, 1)[places]
        features_RTW: Tensor = self.network.features(tokens, **inputs)
        if isinstance(self.network, Encoder) and self.kind != LABELS:
            return self.network.pooled(features_RTW)
        return features_RTW.flatten(0, 1)[places]

    def _of_two_stacks(self, network: EncoderDecoder, tokens: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        if self.kind == LABELS:
            return network.encoder.features(tokens, **inputs)
        features = network.features(tokens, **inputs)
        scaled = self.head is not None and network.head is None  # a tied head reads less than a classifier does
        return features * network.shape.width**0.5 if scaled else features


def widened(network: Network, vocabulary: int, seed: int, dropout: float = 0.0, *, fresh: bool = False) -> Network:
    """A copy of the network with rows for new tokens, which the seed draws; with `fresh` all weights are drawn anew."""
    made = build(replace(network.shape, vocabulary=vocabulary), seed, dropout)
    known = dict(network.named_parameters())
    if not fresh:
        with torch.no_grad():
            for name, weight in made.named_parameters():
                weight[: len(known[name])] = known[name]
    return made
