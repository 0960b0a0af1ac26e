"""An encoder and a decoder that attends to it (Raffel et al. 2019, arXiv 1910.10683).

Shapes: B sequences, S positions of the source, T of the target, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.masks import additive
from foretoken.models.stack import Stack, StackSizes


class EncoderDecoder(nn.Module):
    """`network(source_BS, target_BT)` gives logits [B, T, vocabulary] of the token after each of the target.

    `target` is what the decoder reads: the start token, then the tokens so far.
    """

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Stack(shape, dropout, StackSizes(shape.layers, shape.context, bidirectional=True))
        second = StackSizes(shape.target_layers, shape.second_context, bidirectional=False, cross_attention=True)
        self.decoder = Stack(shape, dropout, second, self.encoder.embedding)
        if shape.shared_stacks:
            _share(self.encoder, self.decoder)
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.encoder.embedding.weight if self.head is None else self.head.weight

    def features(self, tokens: Tensor, target: Tensor, *, padding_mask: Tensor | None = None) -> Tensor:
        """What the head reads at every position of the target, [B, T, W]; `padding_mask` [B, S] is False for padding.

        With a tied head it is divided by the root of the width, as T5 does.
        """
        source_BSW = self.encoder.features(tokens, padding_mask=padding_mask)
        cross_mask = None if padding_mask is None else additive(padding_mask, source_BSW.dtype)[:, None, None]
        features_BTW = self.decoder.features(target, source=source_BSW, cross_mask=cross_mask)
        # T5 divides what a tied head reads by the root of the width, as its embeddings have a variance of 1
        return features_BTW if self.head is not None else features_BTW * self.shape.width**-0.5

    def forward(self, source: Tensor, target: Tensor, *, padding_mask: Tensor | None = None) -> Tensor:
        """Logits of the target's next tokens."""
        return functional.linear(self.features(source, target, padding_mask=padding_mask), self.head_weight)

    def encode(self, source: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """The encoder's output, [B, S, W]."""
        with torch.no_grad():
            return self.encoder.features(source, padding_mask=padding_mask)


def _share(encoder: Stack, decoder: Stack) -> None:
    """Give the decoder the encoder's blocks, but not its cross-attention."""
    for first, second in zip(encoder.blocks, decoder.blocks, strict=True):
        for name in ("attention_norm", "attention", "feed_forward_norm", "feed_forward"):
            setattr(second, name, getattr(first, name))
