"""Routed experts in place of a feed-forward: a router sends each token to a few of them.

Shazeer et al. 2017 (arXiv 1701.06538); balance loss: Fedus et al. 2021 (arXiv 2101.03961); z loss: Zoph et al. 2022
(arXiv 2202.08906).

Rows of one expert are put side by side, so that each expert is one product. They are filled up with zeros to a multiple
of ROWS: kernels are made anew for each size, so that sizes which differ at each step would cost more than the products.

Shapes: N tokens, E experts, A active ones per token, W width, F hidden size of an expert; P rows with those filled up,
G groups (experts), I and O sizes of inputs and outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.feed_forward import ACTIVATION, FeedForward

ROWS = 16
"""Rows that a group is filled up to a multiple of."""


class Experts(nn.Module):
    """The sum of the experts that the router chose, by its weights, and of the shared ones."""

    output = "down"
    """The parameter that gives the output of the routed experts."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        hidden, bias, number = shape.expert_width or shape.feed_forward, shape.bias, shape.experts
        self.active, self.capacity, self.gated = shape.active_experts, shape.expert_capacity_factor, shape.gated
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
        expert = chosen_NA.flatten()
        rank, counts = _ranks(expert, len(self.up))
        rows = padded_counts(counts)
        row = _starts(rows, expert.device)[expert] + rank
        repeated = x_NW[:, None].expand(-1, self.active, -1).reshape(len(expert), -1)
        transformed = self._transform(scatter_rows(repeated, row, sum(rows)), rows)
        mixed_NAW = gather_rows(transformed, row).view(len(x_NW), self.active, -1)
        # what is beyond a capacity is transformed all the same, and weighed by 0: shapes do not depend on the tokens
        weights_NA = weights_NA * self._within_capacity(rank).view(weights_NA.shape)
        out_NW = torch.bmm(weights_NA[:, None].to(mixed_NAW.dtype), mixed_NAW)[:, 0]
        for part in self.shared:
            out_NW = out_NW + part(x_NW)
        return out_NW.view(x_BTW.shape)

    def _route(self, x_NW: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of the experts of each token. Several share a weight of 1; a single one keeps its
        probability, or the router would have no gradient.
        """
        # in float32 under autocast too: a router in 16 bits is unstable (Fedus et al. 2021, section 2.4)
        logits_NE = functional.linear(x_NW.float(), self.router.weight.float())
        probabilities_NE = logits_NE.softmax(-1)
        weights_NA, chosen_NA = probabilities_NE.topk(self.active, dim=-1)
        # E sum_e (share of the tokens sent to e) x (mean probability of e): 1 where all experts get as much
        share_E = torch.bincount(chosen_NA.flatten(), minlength=len(self.up)) / chosen_NA.numel()
        balance = len(self.up) * (share_E * probabilities_NE.mean(0)).sum()
        self.losses = balance, logits_NE.logsumexp(-1).square().mean()
        if self.active > 1:
            weights_NA = weights_NA / weights_NA.sum(-1, keepdim=True)
        return weights_NA, chosen_NA

    def _within_capacity(self, rank: Tensor) -> Tensor:
        """1 for what an expert takes, 0 for the last of its tokens where they are beyond its capacity.

        Only in training: elsewhere all are taken, so that the output for a sequence does not depend on its batch.
        """
        if not (self.capacity and self.training):
            return torch.ones_like(rank, dtype=torch.float32)
        return (rank < max(1, math.ceil(self.capacity * len(rank) / len(self.up)))).float()

    def _transform(self, x_NW: Tensor, rows: list[int]) -> Tensor:
        """Each row by its own expert: the first `rows[0]` by the first, and so on."""
        expert_N = torch.repeat_interleave(torch.tensor(rows)) if self.up_bias is not None else None
        hidden_NF = grouped_product(x_NW, self.up, rows)
        if self.up_bias is not None:
            hidden_NF = hidden_NF + self.up_bias[expert_N]
        if self.gated:
            gate, value = hidden_NF.chunk(2, dim=-1)
            hidden_NF = self.activation(gate) * value
        else:
            hidden_NF = self.activation(hidden_NF)
        out_NW = grouped_product(hidden_NF, self.down, rows)
        return out_NW if self.down_bias is None else out_NW + self.down_bias[expert_N]


def _ranks(expert: Tensor, experts: int) -> tuple[Tensor, list[int]]:
    """How many entries before each have the same expert, and the entries of each expert."""
    counts = torch.bincount(expert, minlength=experts).tolist()
    # a stable sort keeps the order of the tokens of one expert, so that the last ones are dropped first
    order = expert.argsort(stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return rank - _starts(counts, expert.device)[expert], counts


def _starts(counts: list[int], device: torch.device) -> Tensor:
    return torch.tensor([0, *accumulate(counts)][:-1], device=device)


def grouped_product(x_PI: Tensor, weight_GOI: Tensor, counts: Sequence[int]) -> Tensor:
    """Each row times the weights of its group, [P, O]; the first `counts[0]` rows are of group 0, and so on."""
    product: Tensor = _Grouped.apply(x_PI, weight_GOI, tuple(counts))  # type: ignore[no-untyped-call]
    return product


def padded_counts(counts: Sequence[int]) -> list[int]:
    """Rows of each group with those filled up.

    >>> padded_counts([0, 1, 16, 17])
    [0, 16, 16, 32]
    """
    return [-(-count // ROWS) * ROWS for count in counts]


def scatter_rows(x_NI: Tensor, row_N: Tensor, rows: int) -> Tensor:
    """Each row at its index, zeros between, [P, I]."""
    out: Tensor = _Scatter.apply(x_NI, row_N, rows)  # type: ignore[no-untyped-call]
    return out


def gather_rows(x_PI: Tensor, row_N: Tensor) -> Tensor:
    """The inverse of `scatter_rows`, [N, I]."""
    out: Tensor = _Gather.apply(x_PI, row_N)  # type: ignore[no-untyped-call]
    return out


class _Grouped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, weight_GOI: Tensor, counts: tuple[int, ...]) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x_NI, weight_GOI = x_NI.to(dtype), weight_GOI.to(dtype)
        ctx.saved, ctx.counts = (x_NI, weight_GOI), counts
        out = x_NI.new_empty(len(x_NI), weight_GOI.shape[1])
        for group, rows in _slices(counts):
            torch.mm(x_NI[rows], weight_GOI[group].t(), out=out[rows])
        return out

    @staticmethod
    def backward(ctx: Any, grad_NO: Tensor) -> tuple[Tensor, Tensor, None]:
        x_NI, weight_GOI = ctx.saved
        grad_NO = grad_NO.to(x_NI.dtype).contiguous()
        dx, dweight = torch.empty_like(x_NI), torch.empty_like(weight_GOI)
        for group, rows in _slices(ctx.counts):
            torch.mm(grad_NO[rows], weight_GOI[group], out=dx[rows])
            torch.mm(grad_NO[rows].t(), x_NI[rows], out=dweight[group])
        return dx, dweight, None


def _slices(counts: Sequence[int]) -> list[tuple[int, slice]]:
    ends = list(accumulate(counts))
    return [(group, slice(end - count, end)) for group, (end, count) in enumerate(zip(ends, counts, strict=True))]


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, row_N: Tensor, rows: int) -> Tensor:
        ctx.row = row_N
        return x_NI.new_zeros(rows, x_NI.shape[1]).index_copy_(0, row_N, x_NI)

    @staticmethod
    def backward(ctx: Any, grad_PI: Tensor) -> tuple[Tensor, None, None]:
        return grad_PI.index_select(0, ctx.row), None, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_PI: Tensor, row_N: Tensor) -> Tensor:
        ctx.row, ctx.rows = row_N, len(x_PI)
        return x_PI.index_select(0, row_N)

    @staticmethod
    def backward(ctx: Any, grad_NI: Tensor) -> tuple[Tensor, None]:
        return grad_NI.new_zeros(ctx.rows, grad_NI.shape[1]).index_copy_(0, ctx.row, grad_NI), None
