"""Cache of what a network has read, so that one more token costs one position.

A transformer's is the keys and values of every block, an LSTM's its states. The logits are those that the network gives
when it reads everything at once.

Shapes: B sequences, T new positions, S positions so far and new, W width, H heads, G heads of keys and values, K width
of a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.families import FAMILIES, cannot
from foretoken.models import EncoderDecoder, Lstm, Network
from foretoken.models.attention import attention, rotate
from foretoken.models.layers import Attention, Block
from foretoken.models.masks import additive
from foretoken.models.stack import Stack


class Cache(Protocol):
    """A network in the middle of a text."""

    length: int
    """Positions read."""

    def read(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the token after each of these, [B, T, V]."""

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences, in this order; one may come several times."""


class StackCache:
    """Keys and values of a stack of blocks; of the first tokens, `prefix` see each other in both directions."""

    def __init__(self, network: Stack | EncoderDecoder, *, prefix: int = 0, source_BSW: Tensor | None = None) -> None:
        self.network = network
        self.stack = network.decoder if isinstance(network, EncoderDecoder) else network
        self.prefix, self.source = prefix, source_BSW
        self.length = 0
        self.past: list[tuple[Tensor, Tensor] | None] = [None] * len(self.stack.blocks)

    def read(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the token after each of these, [B, T, V]; a prefix must be read at once."""
        stack, new = self.stack, tokens_BT.shape[1]
        places = slice(self.length, self.length + new)
        x_BTW = stack.embedding(tokens_BT)
        if stack.position is not None:
            x_BTW = x_BTW + stack.position.weight[places]
        if stack.embedding_norm is not None:
            x_BTW = stack.embedding_norm(x_BTW)
        rotary, added = None if stack.rotary is None else stack.rotary[:, places], self._added(new, x_BTW.dtype)
        for layer, block in enumerate(stack.blocks):
            assert isinstance(block, Block)
            x_BTW = self._block(layer, block, x_BTW, rotary, added)
        self.length += new
        return self._logits(x_BTW if stack.norm is None else stack.norm(x_BTW))

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences."""
        self.past = [pair and (pair[0][rows], pair[1][rows]) for pair in self.past]
        if self.source is not None:
            self.source = self.source[rows]

    def _added(self, new: int, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of the new positions, [1, 1 or H, T, S]."""
        reached = self.length + new
        keys = torch.arange(reached)
        allowed_TS = keys <= torch.arange(self.length, reached)[:, None]
        added = additive(allowed_TS | (keys < self.prefix), dtype)[None, None]
        if self.stack.relative is not None:
            added = added + self.stack.relative(reached, reached)[:, :, self.length :]
        return added

    def _block(self, layer: int, block: Block, x_BTW: Tensor, rotary: Tensor | None, added: Tensor) -> Tensor:
        def attend(x_BTW: Tensor) -> Tensor:
            return self._attend(layer, block.attention, x_BTW, rotary, added)

        def attend_source(x_BTW: Tensor) -> Tensor:
            mixed: Tensor = block.cross_attention(x_BTW, self.source, None)
            return mixed

        parts: list[tuple[nn.Module, Callable[[Tensor], Tensor]]] = [(block.attention_norm, attend)]
        if self.source is not None:
            parts.append((block.cross_attention_norm, attend_source))
        parts.append((block.feed_forward_norm, block.feed_forward))
        for norm, part in parts:
            x_BTW = norm(x_BTW + part(x_BTW)) if block.post_norm else x_BTW + part(norm(x_BTW))
        return x_BTW

    def _attend(self, layer: int, part: Attention, x_BTW: Tensor, rotary: Tensor | None, added: Tensor) -> Tensor:
        batch, new, _ = x_BTW.shape
        heads = part.qkv(x_BTW).view(batch, new, part.heads + 2 * part.groups, part.head_width).transpose(1, 2)
        q_BHTK, k_BGSK, v_BGSK = torch.split(heads, [part.heads, part.groups, part.groups], dim=1)
        if rotary is not None:
            q_BHTK, k_BGSK = rotate(q_BHTK, rotary), rotate(k_BGSK, rotary)
        past = self.past[layer]
        if past is not None:
            # Keys are stored after their rotation: rotary positions are absolute, so it never changes.
            k_BGSK, v_BGSK = torch.cat([past[0], k_BGSK], dim=2), torch.cat([past[1], v_BGSK], dim=2)
        self.past[layer] = k_BGSK, v_BGSK
        mixed = attention(q_BHTK, k_BGSK, v_BGSK, added, part.scale)
        out: Tensor = part.out(mixed.reshape(batch, new, part.heads * part.head_width))
        return out

    def _logits(self, features_BTW: Tensor) -> Tensor:
        network = self.network
        if isinstance(network, EncoderDecoder) and network.head is None:
            # T5 scales the states before a tied output layer (Raffel et al. 2019).
            features_BTW = features_BTW * network.shape.width**-0.5
        head_weight = network.head_weight
        assert isinstance(head_weight, Tensor)
        return functional.linear(features_BTW, head_weight)


class LstmCache:
    """The state and the cell of every layer, [layers, B, W]."""

    def __init__(self, network: Lstm) -> None:
        self.network, self.length = network, 0
        self.state: tuple[Tensor, Tensor] | None = None

    def read(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the token after each of these, [B, T, V]."""
        x_TBW, self.state = self.network.lstm(self.network.embedding(tokens_BT.t()), self.state)
        self.length += tokens_BT.shape[1]
        return functional.linear(x_TBW.transpose(0, 1), self.network.head_weight)

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences."""
        self.state = self.state and (self.state[0][:, rows], self.state[1][:, rows])


def start_cache(network: Network, *, prefix: int = 0, source_BS: Tensor | None = None) -> Cache:
    """A network before its first token; an encoder-decoder has read its source."""
    if isinstance(network, Lstm):
        return LstmCache(network)
    if isinstance(network, EncoderDecoder):
        assert source_BS is not None
        return StackCache(network, source_BSW=network.encode(source_BS))
    if isinstance(network, Stack):
        return StackCache(network, prefix=prefix)
    able = [family for family in FAMILIES.values() if family.generates]
    raise cannot(network.shape.family, "write text: nothing keeps what it has read", able)
