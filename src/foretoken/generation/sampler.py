"""Choosing the next token. Shapes: B sequences, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foretoken.errors import ForetokenError


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How the next token is chosen. Raises ForetokenError for values that cannot be."""

    temperature: float = 0.8
    """The logits are divided by it; 0 takes the most probable token."""
    top_k: int = 40
    """Only so many tokens, the most probable ones; 0 for all."""
    top_p: float = 0.95
    """Of these the most probable ones that have this share together (Holtzman et al. 2019, arXiv 1904.09751)."""

    def __post_init__(self) -> None:
        for name, good, expected in (
            ("temperature", 0 <= self.temperature < float("inf"), "0 or more"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
        ):
            if not good:
                raise ForetokenError(f"{name} cannot be so", expected=expected, got=str(getattr(self, name)))

    def probabilities(self, logits_BV: Tensor) -> Tensor:
        """What is drawn from, [B, V].

        >>> choice = Choice(temperature=1.0, top_k=3, top_p=0.8)
        >>> [round(p, 3) for p in choice.probabilities(torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log())[0].tolist()]
        [0.625, 0.375, 0.0, 0.0]
        """
        if not self.temperature:
            return torch.nn.functional.one_hot(logits_BV.argmax(-1), logits_BV.shape[-1]).to(logits_BV.dtype)
        kept = min(self.top_k or logits_BV.shape[-1], logits_BV.shape[-1])
        scaled = (logits_BV - logits_BV.amax(-1, keepdim=True)) / self.temperature
        sorted_BK, order_BK = torch.topk(scaled, kept, dim=-1)
        shares_BK = sorted_BK.softmax(-1)
        shares_BK = shares_BK * (shares_BK.cumsum(-1) - shares_BK < self.top_p)
        shares_BK = shares_BK / shares_BK.sum(-1, keepdim=True)
        return torch.zeros_like(logits_BV).scatter_(-1, order_BK, shares_BK)


class Chance:
    """Uniform numbers for each of several samples: the first of many is the same as the only one."""

    def __init__(self, seed: int, samples: int) -> None:
        if seed < 0:
            raise ForetokenError("a seed must not be negative", got=str(seed))
        self.generators = [
            np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number])) for number in range(samples)
        ]

    def draw(self, probabilities_BV: Tensor) -> Tensor:
        """One token of each row, [B]."""
        uniform = torch.tensor([generator.random() for generator in self.generators], dtype=torch.float64)
        sums_BV = probabilities_BV.double().cumsum(-1)
        chosen = (sums_BV <= uniform[:, None] * sums_BV[:, -1:]).sum(-1)
        return chosen.clamp(max=probabilities_BV.shape[-1] - 1)


def barred(logits: Tensor, allowed: Tensor | Sequence[bool]) -> Tensor:
    """The logits, minus infinity where a token may not come."""
    return logits.masked_fill(~torch.as_tensor(allowed), float("-inf"))
