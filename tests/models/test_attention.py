"""Attention against torch's own, forward and backward, within and beyond one block of rows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foretoken.models import attention
from foretoken.models.attention import ROWS, causal_attention, rotary_table


def reference(qkv: Tensor, table: Tensor | None) -> Tensor:
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    if table is not None:
        q, k = turned(q, table), turned(k, table)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mixed.transpose(1, 2)


def turned(x: Tensor, table: Tensor) -> Tensor:
    cos, sin = table[:, : x.shape[2]]
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("length", [1, 7, ROWS, ROWS + 1, 2 * ROWS, 2 * ROWS + 33])
def test_attention_and_its_gradient_are_those_of_torch(length: int, rotary: bool) -> None:
    generator = torch.Generator().manual_seed(length)
    qkv = torch.randn(2, length, 3, 2, 8, generator=generator, dtype=torch.float64).requires_grad_()
    table = rotary_table(length + 5, 8).double() if rotary else None
    ours, theirs = causal_attention(qkv, table), reference(qkv, table)
    direction = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad(out, qkv, direction)[0] for out in (ours, theirs)]
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_long_contexts_take_the_fused_kernel_and_mean_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    qkv, table = torch.randn(2, 40, 3, 2, 8, generator=generator).requires_grad_(), rotary_table(40, 8)
    short = causal_attention(qkv, table)
    monkeypatch.setattr(attention, "LONGEST", 39)
    long = causal_attention(qkv, table)
    gradients = [torch.autograd.grad(out.square().sum(), qkv)[0] for out in (short, long)]
    torch.testing.assert_close(short, long)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
