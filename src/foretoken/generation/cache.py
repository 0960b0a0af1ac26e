"""Cache of what a network has read, so that one more token costs one position.

A transformer's is the keys and values of every block, an LSTM's its states. The logits are those that the network gives
when it reads everything at once.

Shapes: B sequences, T new positions, S positions so far and new, W width, H heads, G heads of keys and values, K width
of a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.families import FAMILIES, cannot
from foretoken.models import EncoderDecoder, Lstm, Network
from foretoken.models.feed_forward import FeedForward
from foretoken.models.layers import Attention, Block, CrossAttention
from foretoken.models.masks import additive
from foretoken.models.stack import Stack

LEAST_ROOM = 32
"""Positions that there is room for beyond those reached."""


class Cache(Protocol):
    """A network in the middle of a text."""

    length: int
    """Positions read."""

    def read(self, tokens_BT: Tensor, *, last: bool = False) -> Tensor:
        """Logits of the token after each of these, [B, T, V]; with `last` after the last one alone, [B, 1, V]."""

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences, in this order; one may come several times."""

    def fork(self, rows: Tensor) -> Cache:
        """A cache of these of the sequences, as `select` takes them; this one stays as it is."""


class StackCache:
    """Keys and values of a stack of blocks; of the first tokens, `prefix` see each other in both directions."""

    def __init__(self, network: Stack | EncoderDecoder, *, prefix: int = 0, source_BSW: Tensor | None = None) -> None:
        self.network, self.prefix, self.length = network, prefix, 0
        stack = network.decoder if isinstance(network, EncoderDecoder) else network
        self.stack, self.layers = stack, [_layer_of(block) for block in stack.blocks]
        self.norm = None if stack.norm is None else without_module(stack.norm)
        self.past: list[Pair | None] = [None] * len(self.layers)
        """Keys and values of each block, [B, G, R, K] with room for R >= S positions."""
        self.source: list[Pair] = []
        """Those of the source that an encoder has read, of each block."""
        if source_BSW is not None:
            self.source = [_source_pair(layer.cross, source_BSW) for layer in self.layers if layer.cross is not None]
        self.turns = None if stack.rotary is None else _turns(stack.rotary)

    def read(self, tokens_BT: Tensor, *, last: bool = False) -> Tensor:
        """Logits of the token after each of these, [B, T, V]; a prefix must be read at once."""
        stack, new = self.stack, tokens_BT.shape[1]
        places = slice(self.length, self.length + new)
        x_BTW = functional.embedding(tokens_BT, stack.embedding.weight)
        if stack.position is not None:
            x_BTW = x_BTW + stack.position.weight[places]
        if stack.embedding_norm is not None:
            x_BTW = stack.embedding_norm(x_BTW)
        turns, added = None if self.turns is None else self.turns[:, places], self._added(new, x_BTW.dtype)
        for number in range(len(self.layers)):
            x_BTW = self._block(number, x_BTW, turns, added)
        self.length += new
        if last:
            x_BTW = x_BTW[:, -1:]
        return self._logits(x_BTW if self.norm is None else self.norm(x_BTW))

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences."""
        read = self.length
        self.past = [pair and (pair[0][rows, :, :read], pair[1][rows, :, :read]) for pair in self.past]
        self.source = [(k_BGSK[rows], v_BGSK[rows]) for k_BGSK, v_BGSK in self.source]

    def fork(self, rows: Tensor) -> StackCache:
        """A cache of these of the sequences."""
        # A shallow copy is enough: `select` makes new tensors, and the old ones are never written to by the fork.
        fork = copy(self)
        fork.select(rows)
        return fork

    def _added(self, new: int, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores of the new positions, [1, 1 or H, T, S]; None for nothing."""
        reached, relative = self.length + new, self.stack.relative
        added = None if relative is None else relative(new, reached, first=self.length)
        # a mask costs as much as a layer's scores, and is needed only where new positions see each other
        if new == 1:  # it sees all before it
            return added
        keys = torch.arange(reached)
        allowed_TS = keys <= torch.arange(self.length, reached)[:, None]
        mask = additive(allowed_TS | (keys < self.prefix), dtype)[None, None]
        return mask if added is None else mask + added

    def _block(self, number: int, x_BTW: Tensor, turns: Tensor | None, added: Tensor | None) -> Tensor:
        layer = self.layers[number]
        x_BTW = layer.attend(x_BTW, lambda x_BTW: self._attend(number, x_BTW, turns, added))
        if layer.cross is not None and layer.cross_norm is not None:
            x_BTW = layer.residual(layer.cross_norm, x_BTW, lambda x_BTW: self._attend_source(number, x_BTW))
        return layer.residual(layer.feed_forward_norm, x_BTW, layer.feed_forward)

    def _attend(self, number: int, x_BTW: Tensor, turns: Tensor | None, added: Tensor | None) -> Tensor:
        (batch, new, _), layer = x_BTW.shape, self.layers[number]
        part = layer.attention
        heads_BJTK = layer.qkv(x_BTW).view(batch, new, part.heads + 2 * part.groups, part.head_width).transpose(1, 2)
        turned = heads_BJTK[:, : part.heads + part.groups]
        if turns is not None:  # queries and keys at once
            turned = torch.addcmul(turned * turns[0], turned.roll(part.head_width // 2, -1), turns[1])
        q_BHTK, k_BGTK = turned[:, : part.heads], turned[:, part.heads :]
        k_BGSK, v_BGSK = self._keep(number, k_BGTK, heads_BJTK[:, part.heads + part.groups :])
        return layer.out(_mixed(q_BHTK, k_BGSK, v_BGSK, added, part.scale))

    def _attend_source(self, number: int, x_BTW: Tensor) -> Tensor:
        cross = self.layers[number].cross
        assert cross is not None
        q_BTW = cross.q(x_BTW)
        q_BHTK = q_BTW.view(*x_BTW.shape[:2], cross.heads, cross.head_width).transpose(1, 2)
        mixed: Tensor = cross.out(_mixed(q_BHTK, *self.source[number], None, cross.scale))
        return mixed

    def _keep(self, number: int, k_BGTK: Tensor, v_BGTK: Tensor) -> Pair:
        """All keys and values so far with the new ones, [B, G, S, K], after these were written behind the others."""
        # Keys are kept after their rotation: rotary positions are absolute, so it never changes.
        past, read, reached = self.past[number], self.length, self.length + k_BGTK.shape[2]
        if past is None:
            self.past[number] = k_BGTK, v_BGTK
            return k_BGTK, v_BGTK
        if past[0].shape[2] < reached:
            past = self.past[number] = _with_room(past[0], read, reached), _with_room(past[1], read, reached)
        past[0][:, :, read:reached], past[1][:, :, read:reached] = k_BGTK, v_BGTK
        return past[0][:, :, :reached], past[1][:, :, :reached]

    def _logits(self, features_BTW: Tensor) -> Tensor:
        network = self.network
        if isinstance(network, EncoderDecoder) and network.head is None:
            # T5 scales the states before a tied output layer (Raffel et al. 2019).
            features_BTW = features_BTW * network.shape.width**-0.5
        head_weight = network.head_weight
        assert isinstance(head_weight, Tensor)
        return functional.linear(features_BTW, head_weight)


Pair = tuple[Tensor, Tensor]
"""Keys and values."""
Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Layer:
    """A block as functions of tensors: looking up and calling modules takes longer than one token's arithmetic."""

    post_norm: bool
    attention: Attention
    qkv: Function
    out: Function
    attention_norm: Function
    feed_forward: Function
    feed_forward_norm: Function
    cross: CrossAttention | None
    cross_norm: Function | None

    def attend(self, x_BTW: Tensor, attention: Function) -> Tensor:
        """The residual stream after attention."""
        return self.residual(self.attention_norm, x_BTW, attention)

    def residual(self, norm: Function, x_BTW: Tensor, part: Function) -> Tensor:
        """The residual stream after a part of the block."""
        return norm(x_BTW + part(x_BTW)) if self.post_norm else x_BTW + part(norm(x_BTW))


def _layer_of(block: nn.Module) -> _Layer:
    assert isinstance(block, Block)
    cross = getattr(block, "cross_attention", None)
    return _Layer(
        post_norm=block.post_norm,
        attention=block.attention,
        qkv=without_module(block.attention.qkv),
        out=without_module(block.attention.out),
        attention_norm=without_module(block.attention_norm),
        feed_forward=without_module(block.feed_forward),
        feed_forward_norm=without_module(block.feed_forward_norm),
        cross=cross,
        cross_norm=None if cross is None else without_module(block.cross_attention_norm),
    )


def without_module(module: nn.Module) -> Function:
    """What a module computes, as a function with its weights in hand; the module itself where it is of another kind."""
    if isinstance(module, nn.Linear):
        return partial(_linear, module.weight, module.bias)
    # the functions below are what the modules call themselves, so the bits are the same
    if isinstance(module, nn.RMSNorm):
        shape, weight, epsilon = list(module.normalized_shape), module.weight, module.eps
        return lambda x: torch.rms_norm(x, shape, weight, epsilon)
    if isinstance(module, nn.LayerNorm):
        shape, weight, bias, epsilon = list(module.normalized_shape), module.weight, module.bias, module.eps
        return lambda x: torch.layer_norm(x, shape, weight, bias, epsilon)
    if isinstance(module, FeedForward):
        up, down, activation = without_module(module.up), without_module(module.down), module.activation
        if not module.gated:
            return lambda x: down(activation(up(x)))
        return partial(_gated, up, down, activation)
    return module


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return functional.linear(x, weight, bias)


def _gated(up: Function, down: Function, activation: Function, x_BTW: Tensor) -> Tensor:
    gate, value = up(x_BTW).chunk(2, dim=-1)
    return down(activation(gate) * value)


def _turns(rotary: Tensor) -> Tensor:
    """[2, T, K]: what a head is multiplied by, and what its halves, exchanged, are multiplied by (see `rotate`)."""
    cos, sin = rotary
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])


def _mixed(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, added: Tensor | None, scale: float) -> Tensor:
    """Each position's mixture of the values, [B, T, H K]."""
    grouped = q_BHTK.shape[1] != k_BGSK.shape[1]
    mixed = functional.scaled_dot_product_attention(q_BHTK, k_BGSK, v_BGSK, added, scale=scale, enable_gqa=grouped)
    return mixed.transpose(1, 2).flatten(2)


def _source_pair(part: CrossAttention, source_BSW: Tensor) -> Pair:
    """Keys and values of what an encoder has read, [B, G, S, K]."""
    kv = part.kv(source_BSW).view(*source_BSW.shape[:2], 2 * part.groups, part.head_width).transpose(1, 2)
    k_BGSK, v_BGSK = kv.split([part.groups, part.groups], dim=1)
    return k_BGSK, v_BGSK


def _with_room(kept_BGSK: Tensor, read: int, reached: int) -> Tensor:
    """What was kept of the positions read, with room for more than are reached, so that copies are rare."""
    batch, groups, _, width = kept_BGSK.shape
    roomy = kept_BGSK.new_empty(batch, groups, reached + max(LEAST_ROOM, reached // 2), width)
    roomy[:, :, :read] = kept_BGSK[:, :, :read]
    return roomy


class LstmCache:
    """The state and the cell of every layer, [layers, B, W]."""

    def __init__(self, network: Lstm) -> None:
        self.network, self.length = network, 0
        self.state: tuple[Tensor, Tensor] | None = None

    def read(self, tokens_BT: Tensor, *, last: bool = False) -> Tensor:
        """Logits of the token after each of these, [B, T, V]."""
        x_TBW, self.state = self.network.lstm(self.network.embedding(tokens_BT.t()), self.state)
        self.length += tokens_BT.shape[1]
        if last:
            x_TBW = x_TBW[-1:]
        return functional.linear(x_TBW.transpose(0, 1), self.network.head_weight)

    def select(self, rows: Tensor) -> None:
        """Continue with these of the sequences."""
        self.state = self.state and (self.state[0][:, rows], self.state[1][:, rows])

    def fork(self, rows: Tensor) -> LstmCache:
        """A cache of these of the sequences."""
        fork = copy(self)
        fork.select(rows)
        return fork


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
