"""An LSTM whose state is emptied against torch's own on the parts, and its gradient against differences."""

from __future__ import annotations

import torch

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.models import build
from foretoken.models.lstm import recur


def test_gradients_are_those_of_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    gates = torch.randn(5, 3, 16, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(16, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    fresh = torch.rand(5, 3, generator=generator) < 0.4
    assert torch.autograd.gradcheck(lambda g, w: recur(g, w, None), (gates, weight))
    assert torch.autograd.gradcheck(lambda g, w: recur(g, w, fresh), (gates, weight))


def test_a_document_reads_as_if_it_stood_alone() -> None:
    shape = ModelShape(layers=2, width=16, context=12, vocabulary=30, **PRESETS["lstm"])  # type: ignore[arg-type]
    network = build(shape)
    tokens = torch.randint(30, (2, 12), generator=torch.Generator().manual_seed(0))
    documents = torch.tensor([[0] * 5 + [1] * 7] * 2)
    together = network(tokens, documents=documents)
    alone = torch.cat([network(tokens[:, :5]), network(tokens[:, 5:])], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
