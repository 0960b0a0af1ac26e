"""The feed-forward of a block. Shapes: B sequences, T positions, W width, F hidden size."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape

ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_exact": functional.gelu,
    "relu": functional.relu,
    "swiglu": functional.silu,
    "geglu": lambda x: functional.gelu(x, approximate="tanh"),
}
"""What stands between the two matrices; of gated ones, on the gate (Shazeer 2020, arXiv 2002.05202)."""


class FeedForward(nn.Module):
    """Two matrices around an activation, or a gated one with a third."""

    output = "down.weight"
    """The parameter that gives the output."""

    def __init__(self, shape: ModelShape, hidden: int = 0) -> None:
        super().__init__()
        self.gated, self.activation = shape.gated, ACTIVATION[shape.activation]
        hidden = hidden or shape.feed_forward
        # gate and value are one product: the gate is its first half
        self.up = nn.Linear(shape.width, hidden * (1 + self.gated), bias=shape.bias)
        self.down = nn.Linear(hidden, shape.width, bias=shape.bias)

    def forward(self, x_BTW: Tensor) -> Tensor:
        """Transform each position by itself."""
        hidden_BTF = self.up(x_BTW)
        if self.gated:
            gate, value = hidden_BTF.chunk(2, dim=-1)
            hidden_BTF = self.activation(gate) * value
        else:
            hidden_BTF = self.activation(hidden_BTF)
        down: Tensor = self.down(hidden_BTF)
        return down
