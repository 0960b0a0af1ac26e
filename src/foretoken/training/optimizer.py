"""AdamW with weight decay on matrices alone, and its state as named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from foretoken.runs.spec import RunSpec


def make_optimizer(network: nn.Module, spec: RunSpec) -> torch.optim.AdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    groups = decay_groups(network, spec.weight_decay)
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(spec.beta1, spec.beta2), fused=True)


def decay_groups(network: nn.Module, weight_decay: float) -> ParamsT:
    """Parameter groups of an optimizer: matrices decay, biases and norms do not."""
    # A bias or a norm's gain has one weight per feature: shrinking it removes scale, not complexity.
    matrices = [weight for weight in network.parameters() if weight.ndim >= 2]
    vectors = [weight for weight in network.parameters() if weight.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def optimizer_tensors(network: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimizer's state by parameter name; empty before the first step."""
    return {
        f"optimizer.{slot}.{name}": value
        for name, weight in network.named_parameters()
        for slot, value in optimizer.state.get(weight, {}).items()
    }


def load_optimizer_tensors(network: nn.Module, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; a parameter without state there has none after."""
    optimizer.state.clear()
    for name, weight in network.named_parameters():
        slots = ("step", "exp_avg", "exp_avg_sq")
        state = {slot: tensors[f"optimizer.{slot}.{name}"] for slot in slots if f"optimizer.{slot}.{name}" in tensors}
        if state:
            optimizer.state[weight] = state
