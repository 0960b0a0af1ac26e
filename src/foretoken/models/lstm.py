"""The recurrent baseline: layers of LSTM (Hochreiter and Schmidhuber 1997) between an embedding and a head.

Shapes: B sequences, T positions, W width, which is also that of the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.recurrence import recur


class Lstm(nn.Module):
    """`network(tokens_BT)` gives logits [B, T, vocabulary]."""

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(LstmLayer(shape) for _ in range(shape.layers))
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def features(self, tokens_BT: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """What the head reads at every position, [B, T, W]; at the first token of a document the state is empty."""
        x_TBW: Tensor = self.dropout(self.embedding(tokens_BT.t()))
        fresh_TB = None
        if documents is not None:
            fresh_TB = torch.zeros_like(documents.t(), dtype=torch.bool)
            fresh_TB[1:] = (documents[:, 1:] != documents[:, :-1]).t()
        for layer in self.layers:
            x_TBW = self.dropout(layer(x_TBW, fresh_TB))
        return x_TBW.transpose(0, 1)

    def forward(self, tokens_BT: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position."""
        return functional.linear(self.features(tokens_BT, documents=documents), self.head_weight)


class LstmLayer(nn.Module):
    """One layer, with the weights of torch's own: four gates (input, forget, cell, output), two biases."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        gates = 4 * shape.width
        self.weight_input = nn.Parameter(torch.empty(gates, shape.width))
        self.weight_state = nn.Parameter(torch.empty(gates, shape.width))
        self.bias_input = nn.Parameter(torch.empty(gates)) if shape.bias else None
        self.bias_state = nn.Parameter(torch.empty(gates)) if shape.bias else None

    def forward(self, x_TBW: Tensor, fresh_TB: Tensor | None = None) -> Tensor:
        """The state after each position, [T, B, W]."""
        bias = None if self.bias_input is None or self.bias_state is None else self.bias_input + self.bias_state
        return recur(functional.linear(x_TBW, self.weight_input, bias), self.weight_state, fresh_TB)
