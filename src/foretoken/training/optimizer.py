"""The learning rate at each step; AdamW with weight decay on matrices alone, and its state as named tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from foretoken.runs.spec import RunSpec


def learning_rate_share(spec: RunSpec, step: int) -> float:
    """Share of the peak: linear warm-up, then `cosine`, or `wsd`: flat, then down with 1 - sqrt (arXiv 2405.18392).

    Before its cooldown a wsd run's share does not depend on the run's length: that is what makes a trunk.
    """
    if step < spec.warmup_steps:
        return (step + 1) / spec.warmup_steps
    if spec.has_trunk:
        into = step - spec.fork_step
        # Step s of the cooldown (from 0 to n - 1) has 1 - sqrt((s + 1) / (n + 1)): neither its first step is at the
        # peak, which the trunk has had, nor its last at zero, which would train nothing.
        decay = 1.0 - math.sqrt((into + 1) / (spec.cooldown_steps + 1)) if into >= 0 else 1.0
    else:
        progress = (step - spec.warmup_steps) / max(1, spec.steps - spec.warmup_steps)
        decay = 0.5 * (1.0 + math.cos(math.pi * progress))
    return spec.final_learning_rate_share + (1.0 - spec.final_learning_rate_share) * decay


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
