"""Ladder: sizes at fixed numbers of tokens per parameter (Bhagia et al. 2024, arXiv 2412.04403)."""

from __future__ import annotations

from foretoken.designs.recipe import Recipe
from foretoken.runs.spec import RunSpec


def ladder(recipe: Recipe, threads: int = 1) -> list[RunSpec]:
    """Every size at every number of tokens per parameter; one trunk per size."""
    design = recipe.study.design
    # All sizes that are listed, but those that the study asks for where it does.
    shapes = [recipe.shape(size) for size in sorted(design.params)] or sorted(recipe.listed, key=recipe.params)
    runs = []
    for ratio in sorted(design.tokens_per_param):
        for shape in shapes:
            # of the shape's own parameters, not of those that were asked for, so that the ratio holds to half a batch
            tokens = ratio * recipe.params(shape)
            runs.append(recipe.spec(shape, tokens, group=f"{ratio:g} tokens per parameter", threads=threads))
    return recipe.with_warmups(runs)
