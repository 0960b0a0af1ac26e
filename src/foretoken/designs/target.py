"""The big run that the small ones are to foretell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foretoken.designs.center import center_params
from foretoken.designs.recipe import Recipe
from foretoken.runs.spec import TARGET, RunSpec


def target(recipe: Recipe, runs: Sequence[RunSpec], threads: int) -> RunSpec:
    """`compute_factor` times the FLOPs of the largest small run, rounded up to a whole step."""
    section = recipe.study.target
    budget = section.compute_factor * max(spec.flops for spec in runs)
    shape = recipe.target_shape(center_params(recipe, budget, section.tokens_per_param))
    planned = recipe.spec(shape, budget / recipe.flops_per_token(shape), group=TARGET, threads=threads)
    # Rounded up, not to the nearest: the target must not fall short of the factor that was asked for.
    steps = math.ceil(budget / recipe.flops_per_token(shape) / planned.batch_tokens)
    return recipe.with_warmups([planned.with_tokens(steps * planned.batch_tokens)])[0]
