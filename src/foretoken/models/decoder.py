"""A decoder-only transformer. Shapes: B sequences, T positions, V vocabulary."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.attention import rotary_table
from foretoken.models.layers import Block, make_norm

INIT_STD, INIT_WIDTH = 0.02, 768
"""GPT-2's standard deviation of initial weights at its smallest width; other widths scale it by 1/sqrt(width)."""


class Decoder(nn.Module):
    """`network(tokens_BT)` gives logits_BTV."""

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.context, shape.width) if shape.positions == "learned" else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.norm = make_norm(shape)
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)
        rotary = rotary_table(shape.context, shape.head_width) if shape.positions == "rotary" else None
        self.register_buffer("rotary", rotary, persistent=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def features(self, tokens_BT: Tensor) -> Tensor:
        """What the head reads at every position, [B, T, W]."""
        x_BTW = self.embedding(tokens_BT)
        if self.position is not None:
            x_BTW = x_BTW + self.position.weight[: tokens_BT.shape[1]]
        x_BTW = self.dropout(x_BTW)
        for block in self.blocks:
            x_BTW = block(x_BTW, self.rotary)
        normed: Tensor = self.norm(x_BTW)
        return normed

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the next token at every position."""
        return functional.linear(self.features(tokens_BT), self.head_weight)


def initialise(network: Decoder, seed: int) -> None:
    """Draw the initial weights: normal, residual outputs divided by sqrt(2 layers), biases 0, norms 1."""
    generator = torch.Generator().manual_seed(seed)
    std = INIT_STD * math.sqrt(INIT_WIDTH / network.shape.width)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim == 2:
                residual = name.endswith(("attention.out.weight", "feed_forward.down.weight"))
                scale = std / math.sqrt(2 * network.shape.layers) if residual else std
                weight.normal_(0.0, scale, generator=generator)
            else:
                weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
