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
        self.lstm = nn.LSTM(
            shape.width, shape.width, shape.layers, bias=shape.bias, dropout=dropout * (shape.layers > 1)
        )
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def features(self, tokens_BT: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """What the head reads at every position, [B, T, W]; at the first token of a document the state is empty."""
        x_TBW = self.dropout(self.embedding(tokens_BT.t()))
        x_TBW = self.lstm(x_TBW)[0] if documents is None else self._apart(x_TBW, documents.t())
        out_TBW: Tensor = self.dropout(x_TBW)
        return out_TBW.transpose(0, 1)

    def _apart(self, x_TBW: Tensor, documents_TB: Tensor) -> Tensor:
        """The same layers, with an empty state at the first token of each document."""
        fresh_TB = torch.zeros_like(documents_TB, dtype=torch.bool)
        fresh_TB[1:] = documents_TB[1:] != documents_TB[:-1]
        for number, (weight_input, weight_state, *biases) in enumerate(self.lstm.all_weights):
            x_TBW = self.dropout(x_TBW) if number else x_TBW
            bias = sum(biases[1:], biases[0]) if biases else None
            x_TBW = recur(functional.linear(x_TBW, weight_input, bias), weight_state, fresh_TB)
        return x_TBW

    def forward(self, tokens_BT: Tensor, *, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position."""
        return functional.linear(self.features(tokens_BT, documents=documents), self.head_weight)
