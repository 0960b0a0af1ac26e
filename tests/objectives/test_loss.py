"""The head's cross-entropy against torch's own, forward and backward."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from foretoken.objectives.loss import cross_entropy

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(50, 8, generator=GENERATOR)
HEAD = torch.randn(30, 8, generator=GENERATOR)
TARGETS = torch.randint(30, (50,), generator=GENERATOR)


def test_losses_and_gradients_are_those_of_torch_for_any_weighting() -> None:
    features, head = FEATURES.clone().requires_grad_(), HEAD.clone().requires_grad_()
    for weights in (torch.full((50,), 1 / 50), torch.rand(50, generator=GENERATOR)):
        ours = cross_entropy(features, head, TARGETS)
        theirs = functional.cross_entropy(features @ head.T, TARGETS, reduction="none")
        torch.testing.assert_close(ours, theirs)
        gradients = [torch.autograd.grad(loss @ weights, (features, head)) for loss in (ours, theirs)]
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other)


def test_autocast_gives_float32_losses_near_the_exact_ones() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        losses = cross_entropy(FEATURES, HEAD, TARGETS)
    assert losses.dtype == torch.float32
    exact = functional.cross_entropy(FEATURES @ HEAD.T, TARGETS, reduction="none")
    assert abs((losses - exact).mean().item()) < 0.02
    assert not torch.equal(losses, exact)


def test_what_is_impossible_costs_much_and_not_a_number_stays_so() -> None:
    head = torch.tensor([[1000.0], [0.0]])
    (loss,) = cross_entropy(torch.ones(1, 1), head, torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(torch.finfo(torch.float32).tiny))
    (loss,) = cross_entropy(torch.full((1, 1), math.inf), head, torch.tensor([1]))
    assert math.isnan(loss.item())
