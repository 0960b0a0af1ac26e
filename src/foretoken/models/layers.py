"""Layers that every transformer shares.

Shapes: B sequences, T positions, S positions looked at, W width, H heads, G heads of keys and values, K width of a
head, F hidden size of the feed-forward.
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


@dataclass(frozen=True)
class Sight:
    """What the positions of a stack see of each other, and where they are."""

    rotary: Tensor | None = None
    """Cosines and sines of rotary positions, [2, T, K/2]."""
    added: Tensor | None = None
    """Added to the scores, [1 or B, 1 or H, T, S]: relative positions, and minus infinity where a look is barred.
    None where each position sees all before it (`causal`), or all."""
    causal: bool = True


def make_norm(shape: ModelShape) -> nn.Module:
    """LayerNorm or RMSNorm over the width."""
    if shape.norm == "rms":
        return nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
    return nn.LayerNorm(shape.width, eps=shape.norm_epsilon, bias=shape.bias)


def score_scale(shape: ModelShape) -> float:
    """What scores are multiplied by: 1 with T5's relative positions, whose initial weights make up for it."""
    return 1.0 if shape.positions == "relative" else shape.head_width**-0.5


class Attention(nn.Module):
    """Self-attention."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.groups, self.head_width = shape.heads, shape.kv_heads or shape.heads, shape.head_width
        self.scale = score_scale(shape)
        self.qkv = nn.Linear(shape.width, shape.query_width + 2 * shape.kv_width, bias=shape.bias)
        self.out = nn.Linear(shape.query_width, shape.width, bias=shape.bias)

    def forward(self, x_BTW: Tensor, sight: Sight) -> Tensor:
        """Mix each position with those it sees."""
        batch, length, _ = x_BTW.shape
        heads = self.qkv(x_BTW).view(batch, length, self.heads + 2 * self.groups, self.head_width)
        plain = sight.causal and sight.added is None
        mixed = causal_attention(self._equal(heads), sight.rotary) if plain else self._mixed(heads, sight)
        merged: Tensor = self.out(mixed.reshape(batch, length, self.heads * self.head_width))
        return merged

    def _equal(self, heads_BTJK: Tensor) -> Tensor:
        """[B, T, 3, H, K], keys and values repeated for the queries that share them."""
        batch, length, _, width = heads_BTJK.shape
        if self.groups == self.heads:
            return heads_BTJK.view(batch, length, 3, self.heads, width)
        q, k, v = torch.split(heads_BTJK, [self.heads, self.groups, self.groups], dim=2)
        k, v = (part.repeat_interleave(self.heads // self.groups, dim=2) for part in (k, v))
        return torch.stack([q, k, v], dim=2)

    def _mixed(self, heads_BTJK: Tensor, sight: Sight) -> Tensor:
        q, k, v = torch.split(heads_BTJK.transpose(1, 2), [self.heads, self.groups, self.groups], dim=1)
        if sight.rotary is not None:
            q, k = _turned(q, sight.rotary), _turned(k, sight.rotary)
        return attention(q, k, v, sight.added, self.scale)


class Look(nn.Module):
    """Attention of a decoder to what an encoder made of the source."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.groups, self.head_width = shape.heads, shape.kv_heads or shape.heads, shape.head_width
        self.scale = score_scale(shape)
        self.q = nn.Linear(shape.width, shape.query_width, bias=shape.bias)
        self.kv = nn.Linear(shape.width, 2 * shape.kv_width, bias=shape.bias)
        self.out = nn.Linear(shape.query_width, shape.width, bias=shape.bias)

    def forward(self, x_BTW: Tensor, source_BSW: Tensor, barred: Tensor | None) -> Tensor:
        """Mix into each position what it looks at; `barred` is added to the scores, [B, 1, 1, S]."""
        batch, length, _ = x_BTW.shape
        q = self.q(x_BTW).view(batch, length, self.heads, self.head_width).transpose(1, 2)
        kv = self.kv(source_BSW).view(batch, source_BSW.shape[1], 2 * self.groups, self.head_width).transpose(1, 2)
        k, v = kv.split([self.groups, self.groups], dim=1)
        mixed = attention(q, k, v, barred, self.scale)
        merged: Tensor = self.out(mixed.reshape(batch, length, self.heads * self.head_width))
        return merged


def _turned(x_BHTK: Tensor, rotary: Tensor) -> Tensor:
    """Rotary positions with a gradient by torch."""
    cos, sin = rotary[:, : x_BHTK.shape[-2]].to(x_BHTK.dtype)
    left, right = x_BHTK.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Block(nn.Module):
    """Attention, a look at the encoder where there is one, and feed-forward, each beside the residual stream.

    The norm stands before each, or behind each sum, as the shape says.
    """

    def __init__(self, shape: ModelShape, dropout: float, *, looks: bool = False, experts: bool = False) -> None:
        super().__init__()
        self.behind = shape.post_norm
        self.attention_norm, self.attention = make_norm(shape), Attention(shape)
        if looks:
            self.look_norm, self.look = make_norm(shape), Look(shape)
        self.feed_forward_norm = make_norm(shape)
        self.feed_forward: nn.Module = Experts(shape) if experts else FeedForward(shape)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x_BTW: Tensor, sight: Sight, source_BSW: Tensor | None = None, barred: Tensor | None = None
    ) -> Tensor:
        """One block."""
        x_BTW = self._beside(x_BTW, self.attention_norm, lambda x: self.attention(x, sight))
        if source_BSW is not None:
            x_BTW = self._beside(x_BTW, self.look_norm, lambda x: self.look(x, source_BSW, barred))
        return self._beside(x_BTW, self.feed_forward_norm, self.feed_forward)

    def _beside(self, x_BTW: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        if not self.behind:
            before: Tensor = x_BTW + self.dropout(part(norm(x_BTW)))
            return before
        behind: Tensor = norm(x_BTW + self.dropout(part(x_BTW)))
        return behind
