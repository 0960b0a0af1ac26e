"""The recurrence of an LSTM whose state is emptied now and then, which torch's own does not offer, with its gradient.

One small product per position, all others at once.

Shapes: T positions, B sequences, W width of the state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def recur(gates_TBG: Tensor, weight_GW: Tensor, fresh_TB: Tensor | None = None) -> Tensor:
    """States [T, B, W] of an LSTM whose gates (input, forget, cell, output; G = 4 W) get `gates_TBG` from the inputs.

    Where `fresh_TB` is true, the state before is taken as empty.
    """
    states: Tensor = _Recurrence.apply(gates_TBG, weight_GW, fresh_TB)  # type: ignore[no-untyped-call]
    return states


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates_TBG: Tensor, weight_GW: Tensor, fresh_TB: Tensor | None) -> Tensor:
        length, batch, wide = gates_TBG.shape
        width = wide // 4
        kept = None if fresh_TB is None else (~fresh_TB).to(gates_TBG.dtype)[..., None]
        gates = gates_TBG.detach().clone(memory_format=torch.contiguous_format)
        state = gates.new_zeros(length + 1, batch, width)
        cell, squashed = torch.zeros_like(state), gates.new_empty(length, batch, width)
        weight_WG = weight_GW.detach().to(gates.dtype).t()
        before = (state[:-1], cell[:-1]) if kept is None else (torch.empty_like(state[1:]), torch.empty_like(cell[1:]))
        for now in range(length):
            if kept is not None:
                torch.mul(state[now], kept[now], out=before[0][now])
                torch.mul(cell[now], kept[now], out=before[1][now])
            gate = gates[now].addmm_(before[0][now], weight_WG)
            first, new, last = gate[:, : 2 * width], gate[:, 2 * width : 3 * width], gate[:, 3 * width :]
            first.sigmoid_(), new.tanh_(), last.sigmoid_()
            torch.mul(first[:, width:], before[1][now], out=cell[now + 1]).addcmul_(first[:, :width], new)
            torch.tanh(cell[now + 1], out=squashed[now])
            torch.mul(last, squashed[now], out=state[now + 1])
        ctx.saved = gates, *before, squashed, weight_GW.detach(), kept
        return state[1:]

    @staticmethod
    def backward(ctx: Any, grad_TBW: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, states_before, cells_before, squashed, weight_GW, kept = ctx.saved
        length, batch, width = grad_TBW.shape
        weight = weight_GW.to(gates.dtype)
        back = torch.empty_like(gates)
        i, f, new, o = gates.split(width, dim=-1)
        # what multiplies the gradient of the state and of the cell, for all positions at once
        by_cell = o * (1 - squashed * squashed)
        to_o = squashed * o * (1 - o)
        to_i, to_f, to_new = new * i * (1 - i), cells_before * f * (1 - f), i * (1 - new * new)
        into_state = grad_TBW.new_zeros(batch, width)
        into_cell = grad_TBW.new_zeros(batch, width)
        for now in range(length - 1, -1, -1):
            d_state = into_state.add_(grad_TBW[now])
            d_cell = into_cell.addcmul_(d_state, by_cell[now])
            row = back[now]
            torch.mul(d_cell, to_i[now], out=row[:, :width])
            torch.mul(d_cell, to_f[now], out=row[:, width : 2 * width])
            torch.mul(d_cell, to_new[now], out=row[:, 2 * width : 3 * width])
            torch.mul(d_state, to_o[now], out=row[:, 3 * width :])
            into_cell = d_cell.mul_(f[now])
            into_state = torch.mm(row, weight, out=into_state)
            if kept is not None:
                into_cell.mul_(kept[now])
                into_state.mul_(kept[now])
        d_weight = torch.mm(back.view(length * batch, -1).t(), states_before.reshape(length * batch, width))
        return back, d_weight.to(weight_GW.dtype), None
