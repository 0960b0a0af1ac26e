"""Where the middle of an IsoFLOP curve, or the target, should lie: N*(C) by a law or by tokens per parameter."""

from __future__ import annotations

import math

from foretoken.compute.parameters import count_parameters
from foretoken.designs.recipe import Recipe
from foretoken.laws import LAWS, PUBLISHED


def center_params(recipe: Recipe, budget: float, tokens_per_param: float | None = None) -> float:
    """Parameters at which `budget` FLOPs buy `tokens_per_param` tokens each (default: the design's centre).

    FLOPs per parameter and token are those of the shape itself, so small networks with much attention come out right.
    """
    center = recipe.study.design.center if tokens_per_param is None else tokens_per_param
    params = math.sqrt(budget / (6.0 * 20.0))
    for _ in range(50):
        shape = recipe.nearest_shape(params)
        per_param = recipe.flops_per_token(shape) / count_parameters(shape).total
        if isinstance(center, str):
            published = PUBLISHED[center]
            optimum = LAWS[published.law].optimum
            assert optimum
            wanted = float(optimum(published.parameters, budget, per_param)[0])
        else:
            wanted = math.sqrt(budget / (per_param * center))
        if abs(wanted / params - 1.0) < 1e-3:
            break
        params = math.sqrt(params * wanted)
    return wanted
