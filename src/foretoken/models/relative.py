"""Relative positions as T5 has them: a learned number per bucket of distances and head, added to attention's scores.

Raffel et al. 2019 (arXiv 1910.10683). Half of the buckets are single distances, the others grow with the logarithm up
to FARTHEST; where positions see both ways, half of all are for those behind.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FARTHEST = 128
"""Distance from which on all share the last bucket."""


class RelativePositions(nn.Module):
    """`relative(T, S)` gives the scores' additions, [1, H, T, S]."""

    def __init__(self, buckets: int, heads: int, both_ways: bool) -> None:
        super().__init__()
        self.both_ways = both_ways
        self.table = nn.Embedding(buckets, heads)

    def forward(self, length: int, looked_at: int) -> Tensor:
        """Additions for `length` positions that look at `looked_at`."""
        distance = torch.arange(looked_at)[None, :] - torch.arange(length)[:, None]
        buckets_TS = bucket(distance, self.table.num_embeddings, self.both_ways).to(self.table.weight.device)
        added_TSH: Tensor = self.table(buckets_TS)
        return added_TSH.permute(2, 0, 1)[None]


def bucket(distance: Tensor, buckets: int, both_ways: bool) -> Tensor:
    """The bucket of each distance (position looked at, less the position that looks).

    >>> bucket(torch.tensor([-300, -20, -3, 0, 3]), 32, both_ways=False).tolist()
    [31, 17, 3, 0, 0]
    """
    first = torch.zeros_like(distance)
    if both_ways:
        buckets //= 2
        first = (distance > 0).long() * buckets
        far = distance.abs()
    else:
        far = -distance.clamp(max=0)
    single = buckets // 2
    steps = torch.log(far.clamp(min=1).float() / single) / math.log(FARTHEST / single) * (buckets - single)
    grown = (single + steps.long()).clamp(max=buckets - 1)
    return first + torch.where(far < single, far, grown)
