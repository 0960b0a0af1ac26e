"""Sampling of the next token: temperature, top-k and top-p. Shapes: B sequences, V vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foretoken.errors import ForetokenError


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the next token is chosen. Raises ForetokenError for invalid values."""

    temperature: float = 0.8
    """The logits are divided by it; 0 takes the most probable token."""
    top_k: int = 40
    """Only this many tokens, the most probable ones; 0 for all."""
    top_p: float = 0.95
    """Of these the most probable ones that have this share together (Holtzman et al. 2019, arXiv 1904.09751)."""

    def __post_init__(self) -> None:
        for name, valid, expected in (
            ("temperature", 0 <= self.temperature < float("inf"), "0 or more"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
        ):
            if not valid:
                raise ForetokenError(f"invalid value of {name}", expected=expected, got=str(getattr(self, name)))

    def probabilities(self, logits_BV: Tensor) -> Tensor:
        """The distribution that tokens are drawn from, [B, V].

        >>> options = SamplingOptions(temperature=1.0, top_k=3, top_p=0.8)
        >>> [round(p, 3) for p in options.probabilities(torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log())[0].tolist()]
        [0.625, 0.375, 0.0, 0.0]
        """
        if not self.temperature:
            return torch.nn.functional.one_hot(logits_BV.argmax(-1), logits_BV.shape[-1]).to(logits_BV.dtype)
        candidates = min(self.top_k or logits_BV.shape[-1], logits_BV.shape[-1])
        # The largest logit is subtracted first, so that no low temperature overflows.
        scaled = (logits_BV - logits_BV.amax(-1, keepdim=True)) / self.temperature
        sorted_BK, order_BK = torch.topk(scaled, candidates, dim=-1)
        shares_BK = sorted_BK.softmax(-1)
        # A token stays while the share of those before it is below top_p: so at least one always does.
        shares_BK = shares_BK * (shares_BK.cumsum(-1) - shares_BK < self.top_p)
        shares_BK = shares_BK / shares_BK.sum(-1, keepdim=True)
        return torch.zeros_like(logits_BV).scatter_(-1, order_BK, shares_BK)


class RandomStreams:
    """A stream of random numbers for each of several samples: the first of many is the same as a single one."""

    def __init__(self, seed: int, samples: int) -> None:
        if seed < 0:
            raise ForetokenError("a seed must not be negative", got=str(seed))
        self.generators = [
            np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number])) for number in range(samples)
        ]

    def draw(self, probabilities_BV: Tensor) -> Tensor:
        """One token of each row, [B]."""
        uniform = torch.tensor([generator.random() for generator in self.generators], dtype=torch.float64)
        # Inverse of the cumulative distribution, scaled by its last value, which rounding leaves beside 1.
        sums_BV = probabilities_BV.double().cumsum(-1)
        token_B = (sums_BV <= uniform[:, None] * sums_BV[:, -1:]).sum(-1)
        return token_B.clamp(max=probabilities_BV.shape[-1] - 1)


def mask_logits(logits: Tensor, allowed: Tensor) -> Tensor:
    """The logits, minus infinity where a token is not allowed."""
    return logits.masked_fill(~allowed, float("-inf"))
