"""The optimizer's steps are those of torch, to the bit, and it does not wait for a compiler."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from foretoken.training.optimizer import AdamW


def test_its_steps_are_torchs_to_the_bit() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    unused = nn.Linear(2, 2)  # a parameter without a gradient stays as it is
    ours.append(unused)
    matrices, vectors = ([weight for weight in theirs.parameters() if (weight.ndim >= 2) == is_matrix]
                         for is_matrix in (True, False))  # fmt: skip
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, reference = AdamW(ours, 0.1, 0.9, 0.95), torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)
    for step in range(5):
        x, rate = torch.randn(4, 6), 0.01 / (step + 1)
        for network in (ours[:3], theirs):
            network(x).square().mean().backward()
        optimizer.step(rate)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        optimizer.zero_grad()
        reference.zero_grad()
        assert all(torch.equal(a, b) for a, b in zip(ours[:3].parameters(), theirs.parameters(), strict=True))
    assert all(weight.grad is None for weight in ours.parameters())
    assert set(optimizer.state) == set(ours[:3].parameters())
    assert optimizer.state[ours[0].weight]["step"].item() == 5


def test_training_does_not_load_the_compiler() -> None:
    program = (
        "import sys, torch; from foretoken.training.optimizer import AdamW; import foretoken.training.train;"
        "n = torch.nn.Linear(2, 2); n(torch.ones(2)).sum().backward();"
        "torch.nn.utils.clip_grad_norm_(n.parameters(), 1.0); AdamW(n, 0.1).step(0.1);"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
