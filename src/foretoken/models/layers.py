"""Layers that every transformer shares.

Shapes: B sequences, T positions, S positions attended to, W width, H heads, G heads of keys and values, K width of a
head, J heads of queries, keys and values together (H + 2 G).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foretoken.compute.shape import ModelShape
from foretoken.models.attention import attention, causal_attention
from foretoken.models.experts import Experts
from foretoken.models.feed_forward import FeedForward
from foretoken.models.weights import Initial


@dataclass(frozen=True)
class AttentionInputs:
    """What the attention of all blocks of a stack reads beside the residual stream."""

    rotary: Tensor | None = None
    """Cosines and sines of rotary positions, [2, T, K/2]."""
    bias: Tensor | None = None
    """Added to the scores, [1 or B, 1 or H, T, S]: relative positions, and minus infinity where a mask forbids.
    None where each position sees all before it (`causal`), or all."""
    causal: bool = True


def make_norm(shape: ModelShape) -> nn.Module:
    """LayerNorm or RMSNorm over the width."""
    if shape.centred_norm:
        return nn.LayerNorm(shape.width, eps=shape.norm_epsilon, bias=shape.bias)
    return nn.RMSNorm(shape.width, eps=shape.norm_epsilon)


def score_scale(shape: ModelShape) -> float:
    """What scores are multiplied by: 1 with T5's relative positions, whose initial weights make up for it."""
    return 1.0 if shape.position_kind.relative else shape.head_width**-0.5


def _initial_queries(shape: ModelShape) -> Initial:
    """Queries whose scores are not scaled start that much smaller; keys and values as all weights do."""
    return Initial(first_rows=shape.query_width, first_rows_factor=shape.head_width**-0.5)


class Attention(nn.Module):
    """Self-attention."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.groups, self.head_width = shape.heads, shape.kv_heads or shape.heads, shape.head_width
        self.scale = score_scale(shape)
        self.qkv = nn.Linear(shape.width, shape.query_width + 2 * shape.kv_width, bias=shape.bias)
        self.out = nn.Linear(shape.query_width, shape.width, bias=shape.bias)
        self.initial = {"out.weight": Initial(residual=True)}
        if shape.position_kind.relative:
            self.initial["qkv.weight"] = _initial_queries(shape)

    def forward(self, x_BTW: Tensor, inputs: AttentionInputs) -> Tensor:
        """Mix each position with those it sees."""
        batch, length, _ = x_BTW.shape
        heads = self.qkv(x_BTW).view(batch, length, self.heads + 2 * self.groups, self.head_width)
        # plain causal attention skips the half of the products that a mask would remove
        if inputs.causal and inputs.bias is None:
            mixed = causal_attention(self._equal_heads(heads), inputs.rotary)
        else:
            mixed = self._masked(heads, inputs)
        merged: Tensor = self.out(mixed.reshape(batch, length, self.heads * self.head_width))
        return merged

    def _equal_heads(self, heads_BTJK: Tensor) -> Tensor:
        """[B, T, 3, H, K], keys and values repeated for the queries that share them."""
        batch, length, _, width = heads_BTJK.shape
        if self.groups == self.heads:
            return heads_BTJK.view(batch, length, 3, self.heads, width)
        q, k, v = torch.split(heads_BTJK, [self.heads, self.groups, self.groups], dim=2)
        k, v = (part.repeat_interleave(self.heads // self.groups, dim=2) for part in (k, v))
        return torch.stack([q, k, v], dim=2)

    def _masked(self, heads_BTJK: Tensor, inputs: AttentionInputs) -> Tensor:
        q, k, v = torch.split(heads_BTJK.transpose(1, 2), [self.heads, self.groups, self.groups], dim=1)
        if inputs.rotary is not None:
            q, k = apply_rotary(q, inputs.rotary), apply_rotary(k, inputs.rotary)
        return attention(q, k, v, inputs.bias, self.scale)


class CrossAttention(nn.Module):
    """Attention of a decoder to the output of an encoder."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.groups, self.head_width = shape.heads, shape.kv_heads or shape.heads, shape.head_width
        self.scale = score_scale(shape)
        self.q = nn.Linear(shape.width, shape.query_width, bias=shape.bias)
        self.kv = nn.Linear(shape.width, 2 * shape.kv_width, bias=shape.bias)
        self.out = nn.Linear(shape.query_width, shape.width, bias=shape.bias)
        self.initial = {"out.weight": Initial(residual=True)}
        if shape.position_kind.relative:
            self.initial["q.weight"] = _initial_queries(shape)

    def forward(self, x_BTW: Tensor, source_BSW: Tensor, cross_mask: Tensor | None) -> Tensor:
        """Mix the source into each position; `cross_mask` is added to the scores, [B, 1, 1, S]."""
        batch, length, _ = x_BTW.shape
        q = self.q(x_BTW).view(batch, length, self.heads, self.head_width).transpose(1, 2)
        kv = self.kv(source_BSW).view(batch, source_BSW.shape[1], 2 * self.groups, self.head_width).transpose(1, 2)
        k, v = kv.split([self.groups, self.groups], dim=1)
        mixed = attention(q, k, v, cross_mask, self.scale)
        merged: Tensor = self.out(mixed.reshape(batch, length, self.heads * self.head_width))
        return merged


def apply_rotary(x_BHTK: Tensor, rotary: Tensor) -> Tensor:
    """Rotary positions with a gradient by torch: each pair (a, b) becomes (a cos - b sin, b cos + a sin)."""
    cos, sin = rotary[:, : x_BHTK.shape[-2]].to(x_BHTK.dtype)
    left, right = x_BHTK.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Block(nn.Module):
    """Transformer block: self-attention, optional cross-attention, feed-forward; pre- or post-norm."""

    def __init__(
        self, shape: ModelShape, dropout: float, *, cross_attention: bool = False, experts: bool = False
    ) -> None:
        super().__init__()
        self.post_norm = shape.post_norm
        self.attention_norm, self.attention = make_norm(shape), Attention(shape)
        if cross_attention:
            self.cross_attention_norm, self.cross_attention = make_norm(shape), CrossAttention(shape)
        self.feed_forward_norm = make_norm(shape)
        self.feed_forward: Experts | FeedForward = Experts(shape) if experts else FeedForward(shape)
        self.dropout = nn.Dropout(dropout)
        self.initial = {f"feed_forward.{self.feed_forward.output}": Initial(residual=True)}

    def forward(
        self,
        x_BTW: Tensor,
        inputs: AttentionInputs,
        source_BSW: Tensor | None = None,
        cross_mask: Tensor | None = None,
    ) -> Tensor:
        """One block."""
        x_BTW = self.residual(x_BTW, self.attention_norm, lambda x: self.attention(x, inputs))
        if source_BSW is not None:
            x_BTW = self.residual(
                x_BTW, self.cross_attention_norm, lambda x: self.cross_attention(x, source_BSW, cross_mask)
            )
        return self.residual(x_BTW, self.feed_forward_norm, self.feed_forward)

    def residual(self, x_BTW: Tensor, norm: nn.Module, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual stream after a layer: x + layer(norm(x)), or norm(x + layer(x)) with post-norm."""
        if not self.post_norm:
            pre: Tensor = x_BTW + self.dropout(layer(norm(x_BTW)))
            return pre
        post: Tensor = norm(x_BTW + self.dropout(layer(x_BTW)))
        return post
