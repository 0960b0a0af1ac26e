"""Attention that keeps its probabilities: what a processor is fastest with at short contexts.

Causal attention goes in blocks of rows: those of a block attend only to the keys up to its end, so with two blocks a
quarter of the products is saved, and only the square on the diagonal needs the mask. Beyond LONGEST positions the
probabilities would fill the memory, and torch's fused attention takes over.

Shapes: B sequences, T positions, S positions attended to, H heads, G heads of keys and values, K width of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 128
"""Positions per block."""
LONGEST = 512
"""Longest context whose probabilities are kept."""


def rotary_table(context: int, head_width: int, base: float = 10_000.0) -> Tensor:
    """Cosines and sines of rotary positions, [2, T, K/2] (Su et al. 2021, arXiv 2104.09864)."""
    frequency = base ** (-torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle = torch.arange(context, dtype=torch.float32)[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate the halves of each head (the last dimension) by the angle of its position (the one before)."""
    cos, sin = table[:, : x.shape[-2]].to(x.dtype)
    # Feature i turns with feature i + K/2, as in the checkpoints of Llama; the paper pairs neighbours, which is the
    # same up to a permutation of the features of queries and keys.
    left, right = x.chunk(2, dim=-1)
    rotated = torch.empty(x.shape, dtype=x.dtype)
    torch.mul(left, cos, out=rotated[..., : cos.shape[-1]]).addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=rotated[..., cos.shape[-1] :]).addcmul_(left, sin)
    return rotated


def causal_attention(qkv_BT3HK: Tensor, rotary: Tensor | None) -> Tensor:
    """Each position's mixture of the values up to it, [B, T, H, K]; queries and keys are rotated first if asked."""
    heads_3BHTK: Tensor = _Heads.apply(qkv_BT3HK, rotary)  # type: ignore[no-untyped-call]
    mixed: Tensor
    if qkv_BT3HK.shape[1] > LONGEST:
        q, k, v = heads_3BHTK.unbind()
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
    else:
        mixed = _Attention.apply(heads_3BHTK)  # type: ignore[no-untyped-call]
    return mixed


class _Heads(torch.autograd.Function):
    """[B, T, 3, H, K] -> [3, B, H, T, K], with queries and keys rotated: one pass for both."""

    @staticmethod
    def forward(ctx: Any, qkv_BT3HK: Tensor, rotary: Tensor | None) -> Tensor:
        ctx.rotary = rotary
        heads = qkv_BT3HK.permute(2, 0, 3, 1, 4)
        if rotary is None:
            return heads.contiguous()
        return torch.cat([rotate(heads[:2], rotary), heads[2:]])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        back = grad.permute(1, 3, 0, 2, 4)
        if ctx.rotary is not None:  # a rotation's transpose is the rotation by the opposite angle
            cos, sin = ctx.rotary
            grad[:2] = rotate(grad[:2], torch.stack([cos, -sin]))
        return back, None


class _Attention(torch.autograd.Function):
    """softmax(q k' / sqrt(K)) v over the past, [3, B, H, T, K] -> [B, T, H, K]."""

    @staticmethod
    def forward(ctx: Any, qkv_3BHTK: Tensor) -> Tensor:
        _, batch, heads, length, width = qkv_3BHTK.shape
        q, k, v = qkv_3BHTK.flatten(1, 2)
        q = q * width**-0.5  # scaled here once rather than every score
        mixed = torch.empty_like(q)
        # Only the square on the diagonal needs a mask.
        future = torch.full((ROWS, ROWS), float("-inf"), dtype=q.dtype).triu_(1)
        ctx.saved, ctx.blocks = (q, k, v), []
        # By rows: scores to the right of a block's diagonal are never computed, which halves the products.
        for start in range(0, length, ROWS):
            end = min(start + ROWS, length)
            scores = torch.bmm(q[:, start:end], k[:, :end].transpose(1, 2))
            scores[:, :, start:] += future[: end - start, : end - start]
            torch.softmax(scores, -1, out=scores)
            torch.bmm(scores, v[:, :end], out=mixed[:, start:end])
            ctx.blocks.append((start, end, scores))
        return mixed.view(batch, heads, length, width).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (q, k, v), (batch, length, heads, width) = ctx.saved, grad.shape
        grad = grad.transpose(1, 2).reshape(q.shape)
        back = torch.empty((3, *q.shape), dtype=q.dtype)
        dq, dk, dv = back
        for start, end, probabilities in reversed(ctx.blocks):  # the last one reaches every key, so it writes first
            dmixed, first = grad[:, start:end], end == length
            _product(probabilities, dmixed, dv[:, :end], first)
            ds = torch.bmm(dmixed, v[:, :end].transpose(1, 2))
            # of a softmax: ds = p (dp - sum p dp), in place
            torch._softmax_backward_data(ds, probabilities, -1, ds.dtype, grad_input=ds)
            torch.bmm(ds, k[:, :end], out=dq[:, start:end])
            _product(ds, q[:, start:end], dk[:, :end], first)
        dq *= width**-0.5
        return back.view(3, batch, heads, length, width)


def _product(left: Tensor, right: Tensor, out: Tensor, first: bool) -> None:
    """Write left' right to `out`, or add it."""
    if first:
        torch.bmm(left.transpose(1, 2), right, out=out)
    else:
        out.baddbmm_(left.transpose(1, 2), right)


def attention(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """softmax(scale q k' + bias) v, [B, T, H, K]: any mask, relative positions, keys shared by several queries.

    `bias` is [1 or B, 1 or H, 1 or T, S] and gets a gradient where it needs one.
    """
    mixed: Tensor
    if k_BGSK.shape[2] > LONGEST:
        mixed = functional.scaled_dot_product_attention(
            q_BHTK, k_BGSK, v_BGSK, bias, scale=scale, enable_gqa=q_BHTK.shape[1] != k_BGSK.shape[1]
        )
    else:
        mixed = _Masked.apply(q_BHTK, k_BGSK, v_BGSK, bias, scale)  # type: ignore[no-untyped-call]
    return mixed.transpose(1, 2)


class _Masked(torch.autograd.Function):
    """Queries that share keys are rows of one product."""

    @staticmethod
    def forward(ctx: Any, q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, bias: Tensor | None, scale: float) -> Tensor:
        (batch, heads, length, width), groups = q_BHTK.shape, k_BGSK.shape[1]
        q = (q_BHTK * scale).reshape(batch * groups, heads // groups * length, width)
        k, v = k_BGSK.flatten(0, 1), v_BGSK.flatten(0, 1)
        scores = torch.bmm(q, k.transpose(1, 2))
        if bias is not None:
            scores.view(batch, heads, length, -1).add_(bias)
        probabilities = torch.softmax(scores, -1, out=scores)
        ctx.saved, ctx.shape, ctx.scale = (q, k, v, probabilities), q_BHTK.shape, scale
        ctx.bias_shape = None if bias is None else bias.shape
        return torch.bmm(probabilities, v).view(q_BHTK.shape)

    @staticmethod
    def backward(ctx: Any, grad_BHTK: Tensor) -> tuple[Tensor | None, ...]:
        (q, k, v, probabilities), (batch, heads, length, width) = ctx.saved, ctx.shape
        grad = grad_BHTK.reshape(q.shape)
        dv = torch.bmm(probabilities.transpose(1, 2), grad)
        ds = torch.bmm(grad, v.transpose(1, 2))
        torch._softmax_backward_data(ds, probabilities, -1, ds.dtype, grad_input=ds)
        dq = torch.bmm(ds, k).mul_(ctx.scale).view(ctx.shape)
        dk = torch.bmm(ds.transpose(1, 2), q)
        d_bias = None
        if ctx.needs_input_grad[3]:
            d_bias = ds.view(batch, heads, length, -1).sum_to_size(ctx.bias_shape)
        keys = (batch, -1, k.shape[1], width)
        return dq, dk.view(keys), dv.view(keys), d_bias, None
