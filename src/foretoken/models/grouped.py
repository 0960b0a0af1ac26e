"""Products of rows with the weights of their group, rows of a group side by side.

Groups are filled up with zeros to a multiple of ROWS: kernels are made anew for each size, so that sizes which
differ at each step would cost more than the products themselves.
Shapes: N rows, P rows with those filled up, G groups, I and O sizes of inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

ROWS = 16
"""Rows that a group is filled up to a multiple of."""


def grouped_product(x_PI: Tensor, weight_GOI: Tensor, counts: Sequence[int]) -> Tensor:
    """Each row times the weights of its group, [P, O]; the first `counts[0]` rows are of group 0, and so on."""
    product: Tensor = _Grouped.apply(x_PI, weight_GOI, tuple(counts))  # type: ignore[no-untyped-call]
    return product


def filled_up(counts: Sequence[int]) -> list[int]:
    """Rows of each group with those filled up.

    >>> filled_up([0, 1, 16, 17])
    [0, 16, 16, 32]
    """
    return [-(-count // ROWS) * ROWS for count in counts]


def placed(x_NI: Tensor, place_N: Tensor, rows: int) -> Tensor:
    """Each row at its place, zeros between, [P, I]."""
    out: Tensor = _Placed.apply(x_NI, place_N, rows)  # type: ignore[no-untyped-call]
    return out


def taken(x_PI: Tensor, place_N: Tensor) -> Tensor:
    """The inverse of `placed`, [N, I]."""
    out: Tensor = _Taken.apply(x_PI, place_N)  # type: ignore[no-untyped-call]
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


class _Placed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NI: Tensor, place_N: Tensor, rows: int) -> Tensor:
        ctx.place = place_N
        return x_NI.new_zeros(rows, x_NI.shape[1]).index_copy_(0, place_N, x_NI)

    @staticmethod
    def backward(ctx: Any, grad_PI: Tensor) -> tuple[Tensor, None, None]:
        return grad_PI.index_select(0, ctx.place), None, None


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_PI: Tensor, place_N: Tensor) -> Tensor:
        ctx.place, ctx.rows = place_N, len(x_PI)
        return x_PI.index_select(0, place_N)

    @staticmethod
    def backward(ctx: Any, grad_NI: Tensor) -> tuple[Tensor, None]:
        return grad_NI.new_zeros(ctx.rows, grad_NI.shape[1]).index_copy_(0, ctx.place, grad_NI), None
