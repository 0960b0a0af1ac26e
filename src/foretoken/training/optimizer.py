"""The learning rate at each step; AdamW with weight decay on matrices alone, and its state as named tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

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


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101) of matrices, not of vectors.

    The steps are torch's own, fused, to the bit. Its class of this name would load the compiler of torch, which takes a
    process as long as torch itself, and nothing here is compiled.
    """

    def __init__(self, network: nn.Module, weight_decay: float, beta1: float = 0.9, beta2: float = 0.999) -> None:
        # A bias or a norm's gain has one weight per feature: shrinking it removes scale, not complexity.
        matrices = [weight for weight in network.parameters() if weight.ndim >= 2]
        vectors = [weight for weight in network.parameters() if weight.ndim < 2]
        self.groups = ((matrices, weight_decay), (vectors, 0.0))
        self.betas = beta1, beta2
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        """`step`, `exp_avg` and `exp_avg_sq` of each parameter that had a gradient."""

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change every parameter that has a gradient."""
        for weights, weight_decay in self.groups:
            moved = [weight for weight in weights if weight.grad is not None]
            if not moved:
                continue
            states = [self._state(weight) for weight in moved]
            adamw(
                list(moved),
                [weight.grad for weight in moved if weight.grad is not None],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=True,
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=learning_rate,
                weight_decay=weight_decay,
                eps=1e-8,
                maximize=False,
            )

    def _state(self, weight: nn.Parameter) -> dict[str, Tensor]:
        if weight not in self.state:
            nothing = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
            self.state[weight] = {"step": torch.zeros((), device=weight.device), **nothing}
        return self.state[weight]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weights, _ in self.groups:
            for weight in weights:
                weight.grad = None


def make_optimizer(network: nn.Module, spec: RunSpec) -> AdamW:
    """The optimizer of a run."""
    return AdamW(network, spec.weight_decay, spec.beta1, spec.beta2)


def optimizer_tensors(network: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """The optimizer's state by parameter name; empty before the first step."""
    return {
        f"optimizer.{slot}.{name}": value
        for name, weight in network.named_parameters()
        for slot, value in optimizer.state.get(weight, {}).items()
    }


def load_optimizer_tensors(network: nn.Module, optimizer: AdamW, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; a parameter without state there has none after."""
    optimizer.state.clear()
    for name, weight in network.named_parameters():
        slots = ("step", "exp_avg", "exp_avg_sq")
        state = {slot: tensors[f"optimizer.{slot}.{name}"] for slot in slots if f"optimizer.{slot}.{name}" in tensors}
        if state:
            optimizer.state[weight] = state
