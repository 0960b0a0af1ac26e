"""A decoder-only transformer, causal or with a prefix that is seen both ways. Shapes: B sequences, T positions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.stack import Sizes, Stack


class Decoder(Stack):
    """`network(tokens_BT)` gives logits [B, T, vocabulary]; `prefix` [B] (in the prefix family) is seen both ways."""

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__(shape, dropout, Sizes(shape.layers, shape.context, both_ways=False))
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def forward(self, tokens_BT: Tensor, *, prefix: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position."""
        assert prefix is None or self.shape.family == "prefix", "only the prefix family has a prefix"
        return functional.linear(self.features(tokens_BT, prefix=prefix, documents=documents), self.head_weight)
