"""Relative positions as T5 has them: a learned number per bucket of distances and head, added to attention's scores.

Raffel et al. 2019 (arXiv 1910.10683). Half of the buckets are single distances, the others grow with the logarithm up
to FARTHEST; where attention is bidirectional, half of all are for those after.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from foretoken.models.weights import Initial

FARTHEST = 128
"""Distance from which on all share the last bucket."""


class RelativePositions(nn.Module):
    """`relative(T, S)` gives the scores' additions, [1, H, T, S]."""

    def __init__(self, buckets: int, heads: int, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.table = nn.Embedding(buckets, heads)
        self.initial = {"table.weight": Initial(std=0.0)}  # no position is preferred before training

    def forward(self, queries: int, keys: int, first: int = 0) -> Tensor:
        """Additions for so many positions that attend, from `first` on, and so many attended to."""
        distance = torch.arange(keys)[None, :] - torch.arange(first, first + queries)[:, None]
        buckets_TS = bucket(distance, self.table.num_embeddings, self.bidirectional).to(self.table.weight.device)
        bias_TSH: Tensor = self.table(buckets_TS)
        return bias_TSH.permute(2, 0, 1)[None]


def bucket(distance: Tensor, buckets: int, bidirectional: bool) -> Tensor:
    """The bucket of each distance (position attended to, less the position that attends).

    >>> bucket(torch.tensor([-300, -20, -3, 0, 3]), 32, bidirectional=False).tolist()
    [31, 17, 3, 0, 0]
    """
    first = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        first = (distance > 0).long() * buckets
        far = distance.abs()
    else:
        far = -distance.clamp(max=0)
    single = buckets // 2
    # distances from `single` to FARTHEST share the other buckets evenly in their logarithm
    steps = torch.log(far.clamp(min=1).float() / single) / math.log(FARTHEST / single) * (buckets - single)
    grown = (single + steps.long()).clamp(max=buckets - 1)
    return first + torch.where(far < single, far, grown)
