"""What a position may look at, as numbers that are added to attention's scores: 0 where it may, minus infinity else.

Shapes: B sequences, T positions that look, S positions looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor


def allowed_BTS(
    tokens_BT: Tensor,
    *,
    both_ways: bool,
    prefix_B: Tensor | None = None,
    documents_BT: Tensor | None = None,
    real_BT: Tensor | None = None,
) -> Tensor | None:
    """Which positions of its own sequence each position may look at; None for all, or for the causal ones alone.

    `prefix_B` positions at the start see each other both ways; positions of different `documents_BT` never see each
    other; positions that are not `real_BT` are padding, which nobody looks at.
    """
    if prefix_B is None and documents_BT is None and real_BT is None:
        return None
    length = tokens_BT.shape[1]
    allowed = torch.ones(1, length, length, dtype=torch.bool, device=tokens_BT.device)
    if not both_ways:
        allowed = allowed.tril()
    if prefix_B is not None:
        allowed = allowed | (torch.arange(length, device=prefix_B.device) < prefix_B[:, None])[:, None, :]
    if documents_BT is not None:
        allowed = allowed & (documents_BT[:, :, None] == documents_BT[:, None, :])
    if real_BT is not None:
        allowed = allowed & real_BT[:, None, :]
    return allowed


def causal_TT(length: int) -> Tensor:
    """Each position and those before it."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a look is allowed, minus infinity where it is not."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))
