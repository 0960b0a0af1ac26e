"""A stack of blocks on an embedding: all of a decoder or an encoder but its head.

Shapes: B sequences, T positions, S positions of a source, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models.attention import rotary_table
from foretoken.models.experts import Experts
from foretoken.models.layers import AttentionInputs, Block, make_norm
from foretoken.models.masks import additive, allowed_BTS, causal_TT
from foretoken.models.relative import RelativePositions


@dataclass(frozen=True)
class StackSizes:
    """What one stack of a network has of its own."""

    layers: int
    context: int
    bidirectional: bool
    cross_attention: bool = False
    """Whether its blocks attend to the output of an encoder."""


class Stack(nn.Module):
    """`stack.features(tokens_BT)` gives what the last block and norm make of each position, [B, T, W]."""

    rotary: Tensor | None

    def __init__(
        self, shape: ModelShape, dropout: float, sizes: StackSizes, embedding: nn.Embedding | None = None
    ) -> None:
        super().__init__()
        self.shape, self.sizes = shape, sizes
        self.embedding = embedding or nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(sizes.context, shape.width) if shape.position_kind.learned else None
        self.segment = nn.Embedding(shape.token_types, shape.width) if shape.token_types else None
        self.embedding_norm = make_norm(shape) if shape.embedding_norm else None
        self.relative = None
        if shape.position_kind.relative:
            self.relative = RelativePositions(shape.position_buckets, shape.heads, sizes.bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(shape, dropout, cross_attention=sizes.cross_attention, experts=has_experts(shape, layer))
            for layer in range(sizes.layers)
        )
        self.norm = make_norm(shape) if shape.final_norm else None
        rotary = None
        if shape.position_kind.rotary:
            rotary = rotary_table(sizes.context, shape.head_width, shape.rotary_base)
        self.register_buffer("rotary", rotary, persistent=False)

    def features(
        self,
        tokens_BT: Tensor,
        *,
        segments: Tensor | None = None,
        prefix: Tensor | None = None,
        documents: Tensor | None = None,
        padding_mask: Tensor | None = None,
        source: Tensor | None = None,
        cross_mask: Tensor | None = None,
    ) -> Tensor:
        """What a head reads at every position, [B, T, W].

        `segments` [B, T]: kinds of segments; `prefix` [B]: positions that see each other in both directions;
        `documents` [B, T]: numbers of documents that do not see each other; `padding_mask` [B, T]: False for padding;
        `source` [B, S, W]: an encoder's output, and `cross_mask` [B, 1, 1, S], added to the scores of cross-attention.

        Raises DesignError for more tokens than there are positions.
        """
        self._check_length(tokens_BT.shape[1])
        x_BTW = self.embedding(tokens_BT)
        if self.position is not None:
            x_BTW = x_BTW + self.position.weight[: tokens_BT.shape[1]]
        if self.segment is not None:
            x_BTW = x_BTW + self.segment(torch.zeros_like(tokens_BT) if segments is None else segments)
        if self.embedding_norm is not None:
            x_BTW = self.embedding_norm(x_BTW)
        x_BTW = self.dropout(x_BTW)
        allowed = allowed_BTS(
            tokens_BT,
            bidirectional=self.sizes.bidirectional,
            prefix_B=prefix,
            documents_BT=documents,
            padding_mask_BT=padding_mask,
        )
        inputs = self._attention_inputs(tokens_BT.shape[1], allowed, x_BTW.dtype)
        for block in self.blocks:
            x_BTW = block(x_BTW, inputs, source, cross_mask)
        normed: Tensor = x_BTW if self.norm is None else self.norm(x_BTW)
        return normed

    def _check_length(self, length: int) -> None:
        if self.shape.position_kind.bounded and length > self.sizes.context:
            raise DesignError(
                "a sequence is longer than the model's context",
                expected=f"at most {self.sizes.context} tokens",
                got=f"{length}",
                cure="cut it, or build a model with a longer context",
            )

    def _attention_inputs(self, length: int, allowed: Tensor | None, dtype: torch.dtype) -> AttentionInputs:
        causal = not self.sizes.bidirectional
        # with a bias on all scores the causal mask must be part of it: there is no half to skip
        if allowed is None and self.relative is not None and causal:
            allowed = causal_TT(length)[None].to(self.embedding.weight.device)
        bias = None if allowed is None else additive(allowed, dtype)[:, None]
        if self.relative is not None:
            relative = self.relative(length, length)
            bias = relative if bias is None else relative + bias
        return AttentionInputs(self.rotary, bias, causal)


def has_experts(shape: ModelShape, layer: int) -> bool:
    """Whether a layer's feed-forward is one of experts: every `expert_every`-th, counted from 1."""
    return bool(shape.experts) and (layer + 1) % shape.expert_every == 0


def router_losses(network: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Mean of the routers' balance and z losses of the last forward pass; None without experts."""
    layers = [part.losses for part in network.modules() if isinstance(part, Experts) and part.losses is not None]
    if not layers:
        return None
    balance, z = (torch.stack(losses).mean() for losses in zip(*layers, strict=True))
    return balance, z
