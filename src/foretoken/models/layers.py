"""Layers that every transformer shares.

Shapes: B sequences, T positions, W width, H heads, K width of a head, F hidden size of the feed-forward.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.attention import causal_attention


def make_norm(shape: ModelShape) -> nn.Module:
    """LayerNorm or RMSNorm over the width."""
    if shape.norm == "rms":
        return nn.RMSNorm(shape.width, eps=1e-5)
    return nn.LayerNorm(shape.width, eps=1e-5, bias=shape.bias)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.bias)
        self.out = nn.Linear(shape.width, shape.width, bias=shape.bias)

    def forward(self, x_BTW: Tensor, rotary: Tensor | None) -> Tensor:
        """Mix each position with those before it."""
        batch, length, width = x_BTW.shape
        qkv = self.qkv(x_BTW).view(batch, length, 3, self.heads, width // self.heads)
        mixed = causal_attention(qkv, rotary)
        merged: Tensor = self.out(mixed.reshape(batch, length, width))
        return merged


class FeedForward(nn.Module):
    """Two matrices around a GELU, or the gated SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gated = shape.activation == "swiglu"
        self.up = nn.Linear(shape.width, shape.feed_forward * (1 + self.gated), bias=shape.bias)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=shape.bias)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Transform each position by itself."""
        hidden_BTF = self.up(x_BTW)
        if self.gated:
            gate, value = hidden_BTF.chunk(2, dim=-1)
            hidden_BTF = functional.silu(gate) * value
        else:
            hidden_BTF = functional.gelu(hidden_BTF, approximate="tanh")
        down: Tensor = self.down(hidden_BTF)
        return down


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside the residual stream."""

    def __init__(self, shape: ModelShape, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = make_norm(shape), Attention(shape)
        self.feed_forward_norm, self.feed_forward = make_norm(shape), FeedForward(shape)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTW: Tensor, rotary: Tensor | None) -> Tensor:
        """One block."""
        x_BTW = x_BTW + self.dropout(self.attention(self.attention_norm(x_BTW), rotary))
        out: Tensor = x_BTW + self.dropout(self.feed_forward(self.feed_forward_norm(x_BTW)))
        return out
