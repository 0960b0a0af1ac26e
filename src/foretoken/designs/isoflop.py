"""IsoFLOP: several sizes at each of several budgets (approach 2 of Hoffmann et al. 2022, arXiv 2203.15556)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence

from foretoken.compute.shape import ModelShape
from foretoken.designs.center import center_params
from foretoken.designs.recipe import Recipe
from foretoken.errors import DesignError
from foretoken.runs.spec import RunSpec
from foretoken.units import format_flops


def isoflop(recipe: Recipe, threads: int = 1) -> list[RunSpec]:
    """The grid: at each budget the sizes nearest to the centre, from one series of sizes that all budgets share.

    Shared sizes are shared trunks: the runs of one size at several budgets are branches of the longest.
    """
    design = recipe.study.design
    names = [group_name(budget) for budget in design.budgets]
    if len(set(names)) < len(names):
        raise DesignError("two budgets are equal to three digits", got=", ".join(names), cure="leave one of them out")
    sizes = size_series(recipe)
    runs = []
    for budget in sorted(design.budgets):
        middle = center_params(recipe, budget)
        near = sorted(sizes, key=lambda shape: abs(math.log(recipe.params(shape) / middle)))[: design.sizes_per_budget]
        runs += [cell(recipe, shape, budget, threads) for shape in sorted(near, key=recipe.params)]
    return recipe.with_warmups(runs)


def extend(recipe: Recipe, runs: Sequence[RunSpec], edges: Mapping[str, str], threads: int = 1) -> list[RunSpec]:
    """New cells where a curve has its minimum at an edge: `edges` maps a group to `edge_small` or `edge_large`.

    Each such budget gets the next size of the series on that side, unless it would be shorter than two steps or longer
    than the corpus. Warm-ups of sizes that have run stay as they are, and no new run exceeds the largest budget.
    """
    sizes = sorted(size_series(recipe), key=recipe.params)
    warmups = {spec.shape: spec.warmup_tokens for spec in runs}
    most = max(run.flops for run in runs)
    new = []
    for group, side in edges.items():
        shapes = sorted((spec.shape for spec in runs if spec.group == group), key=recipe.params)
        smaller = [shape for shape in sizes if recipe.params(shape) < recipe.params(shapes[0])][-1:]
        larger = [shape for shape in sizes if recipe.params(shape) > recipe.params(shapes[-1])][:1]
        budget = next(b for b in recipe.study.design.budgets if group_name(b) == group)
        for shape in smaller if side == "edge_small" else larger:
            with contextlib.suppress(DesignError):
                run = cell(recipe, shape, budget, threads)
                # Rounding to whole steps may exceed the largest budget, by which the target is sized: one step less.
                run = run.with_tokens(run.tokens - run.batch_tokens) if run.flops > most else run
                if recipe.study.corpus.repeat or run.tokens < recipe.source.train_tokens:
                    new.append(run)
    return recipe.with_warmups(new, known=warmups)


def size_series(recipe: Recipe) -> list[ModelShape]:
    """Sizes in steps of about `size_ratio`, wide enough for every budget and its re-centring."""
    design = recipe.study.design
    if recipe.listed:
        return sorted(recipe.listed, key=recipe.params)
    middles = [center_params(recipe, budget) for budget in design.budgets]
    ratio, around = design.size_ratio, design.sizes_per_budget // 2 + 1 + design.recenter_rounds
    first = min(middles) / ratio**around
    # Sizes from `first` in equal ratios until the largest middle, with as many on its far side, is covered.
    count = math.ceil(math.log(max(middles) * ratio**around / first, ratio)) + 1
    return list(dict.fromkeys(recipe.nearest_shape(first * ratio**step) for step in range(count)))


def cell(recipe: Recipe, shape: ModelShape, budget: float, threads: int) -> RunSpec:
    """One size at one budget."""
    return recipe.spec(shape, budget / recipe.flops_per_token(shape), group=group_name(budget), threads=threads)


def group_name(budget: float) -> str:
    """The group of a budget's runs."""
    return format_flops(budget)
