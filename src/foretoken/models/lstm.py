"""The recurrent baseline: layers of LSTM (Hochreiter and Schmidhuber 1997) between an embedding and a head.

torch's own LSTM cannot empty its state within a sequence, so where documents of one sequence do not see each other a
recurrence of ours runs, with its gradient.

Shapes: B sequences, T positions, W width, which is also that of the state, G gates of one layer together (4 W).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.models.weights import Initial


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
        spread, forget = Initial(std=shape.width**-0.5), Initial(ones=(shape.width, 2 * shape.width))
        # forget gates start open, so that a state lasts before anything is learned (Jozefowicz et al. 2015)
        starts = {name: forget if name.startswith("bias_hh") else spread for name, _ in self.lstm.named_parameters()}
        self.initial = {f"lstm.{name}": start for name, start in starts.items()}
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


def recur(gates_TBG: Tensor, weight_GW: Tensor, fresh_TB: Tensor | None = None) -> Tensor:
    """States [T, B, W] of an LSTM whose gates (input, forget, cell, output; G = 4 W) get `gates_TBG` from the inputs.

    Where `fresh_TB` is true, the state before is taken as empty.
    """
    states: Tensor = _Recurrence.apply(gates_TBG, weight_GW, fresh_TB)  # type: ignore[no-untyped-call]
    return states


class _Recurrence(torch.autograd.Function):
    """c_t = f c_{t-1} + i n and h_t = o tanh(c_t), with gates i, f, o (sigmoid) and n (tanh) of input and h_{t-1}.

    One small product per position; what does not depend on the state before is done for all positions at once.
    """

    @staticmethod
    def forward(ctx: Any, gates_TBG: Tensor, weight_GW: Tensor, fresh_TB: Tensor | None) -> Tensor:
        length, batch, width = *gates_TBG.shape[:2], weight_GW.shape[1]
        keep = None if fresh_TB is None else (~fresh_TB).to(gates_TBG.dtype)[..., None]
        gates = gates_TBG.detach().clone(memory_format=torch.contiguous_format)
        state = gates.new_zeros(length + 1, batch, width)
        cell, squashed = torch.zeros_like(state), gates.new_empty(length, batch, width)
        weight_WG = weight_GW.detach().to(gates.dtype).t()
        before = (state[:-1], cell[:-1]) if keep is None else (torch.empty_like(state[1:]), torch.empty_like(cell[1:]))
        for t in range(length):
            if keep is not None:
                torch.mul(state[t], keep[t], out=before[0][t])
                torch.mul(cell[t], keep[t], out=before[1][t])
            gate = gates[t].addmm_(before[0][t], weight_WG)
            in_and_forget, new, out = gate[:, : 2 * width], gate[:, 2 * width : 3 * width], gate[:, 3 * width :]
            in_and_forget.sigmoid_(), new.tanh_(), out.sigmoid_()
            torch.mul(in_and_forget[:, width:], before[1][t], out=cell[t + 1]).addcmul_(in_and_forget[:, :width], new)
            torch.tanh(cell[t + 1], out=squashed[t])
            torch.mul(out, squashed[t], out=state[t + 1])
        ctx.saved = gates, *before, squashed, weight_GW.detach(), keep
        return state[1:]

    @staticmethod
    def backward(ctx: Any, grad_TBW: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, states_before, cells_before, squashed, weight_GW, keep = ctx.saved
        length, batch, width = grad_TBW.shape
        weight = weight_GW.to(gates.dtype)
        back = torch.empty_like(gates)
        i, f, new, o = gates.split(width, dim=-1)
        # dc_t += dh_t o (1 - tanh^2 c_t); a gate's gradient before its sigmoid has the factor s (1 - s), before its
        # tanh 1 - n^2; all these factors are known before the recurrence runs backwards
        by_cell = o * (1 - squashed * squashed)
        to_o = squashed * o * (1 - o)
        to_i, to_f, to_new = new * i * (1 - i), cells_before * f * (1 - f), i * (1 - new * new)
        into_state = grad_TBW.new_zeros(batch, width)
        into_cell = grad_TBW.new_zeros(batch, width)
        for t in range(length - 1, -1, -1):
            d_state = into_state.add_(grad_TBW[t])
            d_cell = into_cell.addcmul_(d_state, by_cell[t])
            row = back[t]
            torch.mul(d_cell, to_i[t], out=row[:, :width])
            torch.mul(d_cell, to_f[t], out=row[:, width : 2 * width])
            torch.mul(d_cell, to_new[t], out=row[:, 2 * width : 3 * width])
            torch.mul(d_state, to_o[t], out=row[:, 3 * width :])
            into_cell = d_cell.mul_(f[t])
            into_state = torch.mm(row, weight, out=into_state)
            if keep is not None:
                into_cell.mul_(keep[t])
                into_state.mul_(keep[t])
        d_weight = torch.mm(back.view(length * batch, -1).t(), states_before.reshape(length * batch, width))
        return back, d_weight.to(weight_GW.dtype), None
