"""The loss of each prediction. Shapes: B sequences, T positions, N predictions, W width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from foretoken.models import Encoder, Network
from foretoken.objectives.cross_entropy import cross_entropy
from foretoken.objectives.examples import Examples


def losses(network: Network, examples: Examples) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy of each prediction in nats, [B, T] or [N] as the targets are; and the mean loss of the labels."""
    return loss_from_features(network, forward(network, examples), examples)


def forward(network: Network, examples: Examples) -> Tensor:
    """What the network makes of each position, [B, T, W]."""
    inputs = {name: torch.from_numpy(values) for name, values in examples.inputs.items()}
    features_BTW: Tensor = network.features(inputs.pop("tokens"), **inputs)
    return features_BTW


def loss_from_features(network: Network, features_BTW: Tensor, examples: Examples) -> tuple[Tensor, Tensor | None]:
    """As `losses`, from what `forward` gives."""
    rows_NW, bias = features_BTW.flatten(0, 1), None
    if examples.positions is not None:
        rows_NW = rows_NW[torch.from_numpy(examples.positions)]
    if isinstance(network, Encoder):
        rows_NW, bias = network.transformed(rows_NW), network.head_bias
    targets = torch.from_numpy(examples.targets)
    loss = cross_entropy(rows_NW, network.head_weight, targets.flatten(), bias).view(targets.shape)
    return loss, _label_loss(network, features_BTW, examples)


def _label_loss(network: Network, features_BTW: Tensor, examples: Examples) -> Tensor | None:
    if examples.labels is None or not isinstance(network, Encoder) or network.classifier is None:
        return None
    logits_BC = network.classifier(network.pooled(features_BTW))
    return functional.cross_entropy(logits_BC.float(), torch.from_numpy(examples.labels))
