"""The output head and its cross-entropy as one operation, without a second copy of the logits.

Their buffer becomes the probabilities in the forward pass and their gradient in the backward pass.

Shapes: N positions, V vocabulary, W width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def cross_entropy(features_NW: Tensor, head_VW: Tensor, targets_N: Tensor, bias_V: Tensor | None = None) -> Tensor:
    """Loss of each position, [N], in nats and float32. A probability below float32's smallest counts as that one."""
    losses: Tensor = _CrossEntropy.apply(features_NW, head_VW, targets_N, bias_V)  # type: ignore[no-untyped-call]
    return losses


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features_NW: Tensor, head_VW: Tensor, targets_N: Tensor, bias_V: Tensor | None) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            features_NW, head_VW = features_NW.to(dtype), head_VW.to(dtype)
        logits_NV = torch.mm(features_NW, head_VW.t())
        if bias_V is not None:
            logits_NV += bias_V
        probabilities_NV = torch.softmax(logits_NV, -1, out=logits_NV)
        ctx.saved = features_NW, head_VW, probabilities_NV, targets_N
        likelihood_N = probabilities_NV.gather(1, targets_N[:, None])[:, 0].float()
        ctx.biased = bias_V is not None
        return likelihood_N.clamp_(min=torch.finfo(torch.float32).tiny).log_().neg_()

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        """Probabilities less one at the target, times the gradient: a factor per row, so the small sides take it."""
        features_NW, head_VW, residual_NV, targets_N = ctx.saved
        residual_NV[torch.arange(len(targets_N)), targets_N] -= 1.0
        grad_N1 = grad_N[:, None].to(residual_NV.dtype)
        grad_features_NW = torch.mm(residual_NV, head_VW).mul_(grad_N1)
        grad_bias_V = torch.mv(residual_NV.t(), grad_N1[:, 0]).float() if ctx.biased else None
        return grad_features_NW, torch.mm(residual_NV.t(), features_NW * grad_N1), None, grad_bias_V
