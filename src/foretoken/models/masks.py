"""Which positions a position may attend to, as numbers added to the scores: 0 where it may, else minus infinity.

Shapes: B sequences, T positions that attend, S positions attended to.
"""

from __future__ import annotations

import torch
from torch import Tensor


def allowed_BTS(
    tokens_BT: Tensor,
    *,
    bidirectional: bool,
    prefix_B: Tensor | None = None,
    documents_BT: Tensor | None = None,
    padding_mask_BT: Tensor | None = None,
) -> Tensor | None:
    """Which positions of its own sequence each position may attend to; None for all, or for the causal ones alone.

    `prefix_B` positions at the start see each other in both directions; positions of different `documents_BT` never see
    each other; `padding_mask_BT` is False at padding, which nobody attends to.
    """
    if prefix_B is None and documents_BT is None and padding_mask_BT is None:
        return None
    length = tokens_BT.shape[1]
    allowed = torch.ones(1, length, length, dtype=torch.bool, device=tokens_BT.device)
    if not bidirectional:
        allowed = allowed.tril()
    if prefix_B is not None:
        allowed = allowed | (torch.arange(length, device=prefix_B.device) < prefix_B[:, None])[:, None, :]
    if documents_BT is not None:
        allowed = allowed & (documents_BT[:, :, None] == documents_BT[:, None, :])
    if padding_mask_BT is not None:
        allowed = allowed & padding_mask_BT[:, None, :]
    return allowed


def causal_TT(length: int) -> Tensor:
    """Each position and those before it."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where attention is allowed, minus infinity where it is not."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))
