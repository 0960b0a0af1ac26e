"""The learning rate at each step, as a share of its peak."""

from __future__ import annotations

import math

from foretoken.runs.spec import RunSpec


def learning_rate_share(spec: RunSpec, step: int) -> float:
    """Linear warm-up, then `wsd` (flat, then down with 1 - sqrt: Hägele et al. 2024, arXiv 2405.18392) or `cosine`.

    Before its cooldown a wsd run's share does not depend on the run's length: that is what makes a trunk.
    """
    if step < spec.warmup_steps:
        return (step + 1) / spec.warmup_steps
    if spec.has_trunk:
        into = step - spec.fork_step
        # Step s of the cooldown (from 0 to n - 1) has 1 - sqrt((s + 1) / (n + 1)): neither its first step is at the
        # peak, which the trunk has had, nor its last at zero, which would train nothing.
        decay = 1.0 - math.sqrt((into + 1) / (spec.cooldown_steps + 1)) if into >= 0 else 1.0
    else:
        progress = (step - spec.warmup_steps) / max(1, spec.steps - spec.warmup_steps)
        decay = 0.5 * (1.0 + math.cos(math.pi * progress))
    return spec.final_learning_rate_share + (1.0 - spec.final_learning_rate_share) * decay
