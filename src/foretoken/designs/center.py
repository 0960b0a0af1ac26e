"""Where the middle of an IsoFLOP curve, or the target, should lie: N*(C) by a law or by tokens per parameter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from foretoken.designs.recipe import Recipe
from foretoken.errors import DesignError
from foretoken.laws import LAWS, PUBLISHED

Split = Callable[..., Any]


def center_params(recipe: Recipe, budget: float, tokens_per_param: float | None = None) -> float:
    """Parameters at which `budget` FLOPs buy `tokens_per_param` tokens each (default: the design's centre).

    FLOPs per parameter and token are those of the shape itself, so small networks with much attention come out right.
    Raises DesignError for a published id whose law does not split compute into N and D.
    """
    center = recipe.study.design.center if tokens_per_param is None else tokens_per_param
    # C = k N D with D = r N gives N = sqrt(C / (k r)). Here k, the FLOPs per parameter and token, depends on N itself,
    # so a fixed point is sought from k = 6 and r = 20; the geometric mean of old and new keeps it from oscillating.
    params = math.sqrt(budget / (6.0 * 20.0))
    for _ in range(50):
        shape = recipe.nearest_shape(params)
        per_param = recipe.flops_per_token(shape) / recipe.params(shape)
        if isinstance(center, str):
            wanted = float(_split(center)(PUBLISHED[center].parameters, budget, per_param)[0])
        else:
            wanted = math.sqrt(budget / (per_param * center))
        if abs(wanted / params - 1.0) < 1e-3:
            break
        params = math.sqrt(params * wanted)
    return wanted


def _split(center: str) -> Split:
    """How a published law splits compute."""
    optimum = LAWS[PUBLISHED[center].law].optimum if center in PUBLISHED else None
    if optimum is None:
        raise DesignError(
            "design.center names no published law that splits compute into params and tokens",
            expected=", ".join(name for name, entry in PUBLISHED.items() if LAWS[entry.law].optimum),
            got=repr(center),
            cure="take one of these, or a number of tokens per parameter",
        )
    return optimum
