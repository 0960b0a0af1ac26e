"""Routed experts in place of a feed-forward: a router sends each token to a few of them.

Shazeer et al. 2017 (arXiv 1701.06538); balance loss: Fedus et al. 2021 (arXiv 2101.03961); z loss: Zoph et al. 2022
(arXiv 2202.08906). Shapes: N tokens, E experts, A active ones per token, W width, F hidden size of an expert.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.feed_forward import ACTIVATION, FeedForward


class Experts(nn.Module):
    """The sum of the experts that the router chose, by its weights, and of the shared ones."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        hidden, bias, number = shape.expert_width or shape.feed_forward, shape.bias, shape.experts
        self.active, self.capacity, self.gated = shape.active_experts, shape.expert_capacity, shape.gated
        self.activation = ACTIVATION[shape.activation]
        self.router = nn.Linear(shape.width, number, bias=False)
        self.up = nn.Parameter(torch.empty(number, hidden * (1 + self.gated), shape.width))
        self.up_bias = nn.Parameter(torch.empty(number, hidden * (1 + self.gated))) if bias else None
        self.down = nn.Parameter(torch.empty(number, shape.width, hidden))
        self.down_bias = nn.Parameter(torch.empty(number, shape.width)) if bias else None
        self.shared = nn.ModuleList(FeedForward(shape, hidden) for _ in range(shape.shared_experts))
        self.losses: tuple[Tensor, Tensor] | None = None
        """Balance and z loss of the last forward pass: 1 and small are best."""

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Transform each position by itself."""
        x_NW = x_BTW.flatten(0, -2)
        weights_NA, chosen_NA = self._route(x_NW)
        order = chosen_NA.flatten().argsort(stable=True)
        counts = torch.bincount(chosen_NA.flatten(), minlength=len(self.up)).tolist()
        order, counts = self._within_capacity(order, counts)
        rows = order // self.active
        parts = torch.split(x_NW[rows], counts)
        made = torch.cat([self._expert(index, part) for index, part in enumerate(parts) if len(part)])
        made = made * weights_NA.flatten()[order, None].to(made.dtype)
        out_NW = torch.zeros_like(x_NW, dtype=made.dtype).index_add(0, rows, made)
        for expert in self.shared:
            out_NW = out_NW + expert(x_NW)
        return out_NW.view(x_BTW.shape)

    def _route(self, x_NW: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of the experts of each token. Several share a weight of 1; a single one keeps its
        probability, or the router would have no gradient.
        """
        logits_NE = functional.linear(x_NW.float(), self.router.weight.float())
        probabilities_NE = logits_NE.softmax(-1)
        weights_NA, chosen_NA = probabilities_NE.topk(self.active, dim=-1)
        share_E = torch.bincount(chosen_NA.flatten(), minlength=len(self.up)) / chosen_NA.numel()
        balance = len(self.up) * (share_E * probabilities_NE.mean(0)).sum()
        self.losses = balance, logits_NE.logsumexp(-1).square().mean()
        if self.active > 1:
            weights_NA = weights_NA / weights_NA.sum(-1, keepdim=True)
        return weights_NA, chosen_NA

    def _within_capacity(self, order: Tensor, counts: list[int]) -> tuple[Tensor, list[int]]:
        """Leave out what an expert cannot take: the last of its tokens."""
        if not self.capacity:
            return order, counts
        most = max(1, math.ceil(self.capacity * len(order) / len(counts)))
        kept = torch.cat([part[:most] for part in torch.split(order, counts)])
        return kept, [min(count, most) for count in counts]

    def _expert(self, index: int, x_NW: Tensor) -> Tensor:
        up_bias = None if self.up_bias is None else self.up_bias[index]
        down_bias = None if self.down_bias is None else self.down_bias[index]
        hidden_NF = functional.linear(x_NW, self.up[index], up_bias)
        if self.gated:
            gate, value = hidden_NF.chunk(2, dim=-1)
            hidden_NF = self.activation(gate) * value
        else:
            hidden_NF = self.activation(hidden_NF)
        return functional.linear(hidden_NF, self.down[index], down_bias)
