"""Next-token prediction."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def causal(network: nn.Module, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Cross-entropy of the next token at each position, [B, T], in nats."""
    logits_BTV = network(inputs_BT)
    losses: Tensor = functional.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.flatten(), reduction="none")
    return losses.view(targets_BT.shape)
