"""Initial weights of every family, drawn from a seed.

All start alike, but for those of which their module says otherwise: it has a dict `initial` of its own parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foretoken.compute.shape import ModelShape

INIT_STD, INIT_WIDTH = 0.02, 768
"""GPT-2's standard deviation of initial weights at its smallest width; other widths scale it by 1/sqrt(width)."""


@dataclass(frozen=True)
class Initial:
    """How a parameter starts where it does not start as the others do."""

    std: float | None = None
    """Standard deviation; None for the usual one."""
    residual: bool = False
    """Whether it writes into the residual stream: divided by the root of how many write, sqrt(2 layers), so that
    the stream's variance does not grow with the depth (GPT-2)."""
    first_rows: int = 0
    first_rows_factor: float = 1.0
    """Factor of so many rows at the beginning."""
    ones: tuple[int, int] = (0, 0)
    """Beginning and end of the part of a bias that starts at 1 and not at 0."""


def initialise(network: nn.Module, shape: ModelShape, seed: int) -> None:
    """Draw the initial weights: normal, biases 0, norms 1, and what modules say of their own."""
    generator = torch.Generator().manual_seed(seed)
    own, scales = _own_starts(network), _norm_scales(network)
    usual = INIT_STD * math.sqrt(INIT_WIDTH / shape.width)
    with torch.no_grad():
        # one generator for all, so the order of the parameters belongs to what a seed means
        for weight in network.parameters():
            start = own.get(id(weight), Initial())
            if weight.ndim >= 2:
                std = usual if start.std is None else start.std
                std = std / math.sqrt(2 * shape.layers) if start.residual else std
                weight.normal_(0.0, std, generator=generator)
                weight[: start.first_rows] *= start.first_rows_factor
            else:
                weight.fill_(1.0 if id(weight) in scales else 0.0)
                weight[slice(*start.ones)] = 1.0


def _own_starts(network: nn.Module) -> dict[int, Initial]:
    """By the identity of the parameter, for some are shared by two modules."""
    starts: dict[int, Initial] = {}
    for module in network.modules():
        initial: dict[str, Initial] = getattr(module, "initial", {})
        starts |= {id(module.get_parameter(name)): start for name, start in initial.items()}
    return starts


def _norm_scales(network: nn.Module) -> set[int]:
    norms = (module for module in network.modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm))
    scales: list[Tensor] = [norm.weight for norm in norms]
    return {id(scale) for scale in scales}
