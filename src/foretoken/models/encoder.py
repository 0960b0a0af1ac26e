"""An encoder: every position sees all others (Devlin et al. 2018, arXiv 1810.04805).

Shapes: B sequences, T positions, W width, V vocabulary, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.layers import make_norm
from foretoken.models.stack import Stack, StackSizes


class Encoder(Stack):
    """`network(tokens_BT)` gives logits [B, T, vocabulary]; with classes, also theirs from the first state, [B, C]."""

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__(shape, dropout, StackSizes(shape.layers, shape.context, bidirectional=True))
        transforms = shape.head_kind.transforms
        self.transform = nn.Linear(shape.width, shape.width, bias=shape.bias) if transforms else None
        self.transform_norm = make_norm(shape) if transforms else None
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.head_bias = nn.Parameter(torch.zeros(shape.vocabulary)) if transforms and shape.bias else None
        self.pooler = nn.Linear(shape.width, shape.width, bias=shape.bias) if shape.pooler else None
        self.classifier = nn.Linear(shape.width, shape.classes, bias=shape.bias) if shape.classes else None

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def transformed(self, features: Tensor) -> Tensor:
        """What the output head reads, any leading dimensions: BERT has a layer before it."""
        if self.transform is None or self.transform_norm is None:
            return features
        out: Tensor = self.transform_norm(functional.gelu(self.transform(features)))
        return out

    def pooled(self, features_BTW: Tensor) -> Tensor:
        """The first position's state, [B, W], after the pooler where there is one."""
        first = features_BTW[:, 0]
        return first if self.pooler is None else torch.tanh(self.pooler(first))

    def forward(
        self,
        tokens_BT: Tensor,
        segments: Tensor | None = None,
        *,
        padding_mask: Tensor | None = None,
        documents: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of the token at every position (and of the classes)."""
        features = self.features(tokens_BT, segments=segments, padding_mask=padding_mask, documents=documents)
        logits = functional.linear(self.transformed(features), self.head_weight, self.head_bias)
        return logits if self.classifier is None else (logits, self.classifier(self.pooled(features)))
