"""Next-token prediction."""

from __future__ import annotations

from torch import Tensor

from foretoken.models import Decoder
from foretoken.objectives.cross_entropy import cross_entropy


def causal(network: Decoder, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Cross-entropy of the next token at each position, [B, T], in nats."""
    features_NW = network.features(inputs_BT).flatten(0, 1)
    return cross_entropy(features_NW, network.head_weight, targets_BT.flatten()).view(targets_BT.shape)
