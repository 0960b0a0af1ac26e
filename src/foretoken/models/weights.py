"""Initial weights of every family, drawn from a seed."""

from __future__ import annotations

import math

import torch
from torch import nn

from foretoken.compute.shape import ModelShape

INIT_STD, INIT_WIDTH = 0.02, 768
"""GPT-2's standard deviation of initial weights at its smallest width; other widths scale it by 1/sqrt(width)."""
RESIDUAL = ("attention.out.weight", "look.out.weight", "feed_forward.down.weight", "feed_forward.down")
"""Names of what writes into the residual stream; its weights are divided by the root of how many write."""


def initialise(network: nn.Module, shape: ModelShape, seed: int) -> None:
    """Draw the initial weights: normal, residual outputs divided by sqrt(2 layers), biases 0, norms 1.

    Queries whose scores are not scaled start that much smaller; an LSTM's forget gates start open.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim >= 2:
                weight.normal_(0.0, _std(name, shape), generator=generator)
                _shrink_queries(name, weight, shape)
            else:
                weight.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
            if name.startswith("lstm.bias_hh"):
                weight[shape.width : 2 * shape.width] = 1.0


def _std(name: str, shape: ModelShape) -> float:
    std = INIT_STD * math.sqrt(INIT_WIDTH / shape.width)
    if name.endswith(RESIDUAL):
        return std / math.sqrt(2 * shape.layers)
    if "relative" in name:
        return 0.0
    return shape.width**-0.5 if name.startswith("lstm.") else std


def _shrink_queries(name: str, weight: torch.Tensor, shape: ModelShape) -> None:
    if shape.positions == "relative" and name.endswith(("attention.qkv.weight", "look.q.weight")):
        weight[: shape.query_width] *= shape.head_width**-0.5
