"""The loss of each prediction.

The output head and its cross-entropy are one operation, without a second copy of the logits: their buffer becomes the
probabilities in the forward pass and their gradient in the backward pass.

Shapes: B sequences, T positions, N predictions, V vocabulary, W width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from foretoken.models import Encoder, Network
from foretoken.objectives.examples import Examples


def losses(network: Network, examples: Examples) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy of each prediction in nats, [B, T] or [N] as the targets are; and the mean loss of the labels."""
    return loss_from_features(network, forward(network, examples), examples)


def forward(network: Network, examples: Examples) -> Tensor:
    """The features of each position, [B, T, W]."""
    inputs = {name: torch.from_numpy(values) for name, values in examples.inputs.items()}
    features_BTW: Tensor = network.features(inputs.pop("tokens"), **inputs)
    return features_BTW


def loss_from_features(network: Network, features_BTW: Tensor, examples: Examples) -> tuple[Tensor, Tensor | None]:
    """As `losses`, from what `forward` gives."""
    rows_NW, bias = features_BTW.flatten(0, 1), None
    if examples.positions is not None:
        rows_NW = rows_NW[torch.from_numpy(examples.positions)]
    if isinstance(network, Encoder):
        rows_NW, bias = network.transformed(rows_NW), network.head_bias
    targets = torch.from_numpy(examples.targets)
    loss = cross_entropy(rows_NW, network.head_weight, targets.flatten(), bias).view(targets.shape)
    return loss, _label_loss(network, features_BTW, examples)


def _label_loss(network: Network, features_BTW: Tensor, examples: Examples) -> Tensor | None:
    if examples.labels is None or not isinstance(network, Encoder) or network.classifier is None:
        return None
    logits_BC = network.classifier(network.pooled(features_BTW))
    return functional.cross_entropy(logits_BC.float(), torch.from_numpy(examples.labels))


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
        # Only the target's probability is needed; the buffer itself is kept for the backward pass.
        likelihood_N = probabilities_NV.gather(1, targets_N[:, None])[:, 0].float()
        ctx.biased = bias_V is not None
        return likelihood_N.clamp_(min=torch.finfo(torch.float32).tiny).log_().neg_()

    @staticmethod
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of features, head and bias."""
        features_NW, head_VW, residual_NV, targets_N = ctx.saved
        # d loss / d logits = softmax - one-hot of the target, times the gradient of the loss. That factor per row goes
        # to the small sides of the products (N x W), not to the large residual (N x V).
        residual_NV[torch.arange(len(targets_N)), targets_N] -= 1.0
        grad_N1 = grad_N[:, None].to(residual_NV.dtype)
        grad_features_NW = torch.mm(residual_NV, head_VW).mul_(grad_N1)
        grad_bias_V = torch.mv(residual_NV.t(), grad_N1[:, 0]).float() if ctx.biased else None
        return grad_features_NW, torch.mm(residual_NV.t(), features_NW * grad_N1), None, grad_bias_V
