"""Which shape a number of parameters gets: width and depth grow together."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace
from functools import lru_cache

from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, ModelShape, preset_family
from foretoken.errors import DesignError
from foretoken.runs.schema import ModelSection

SHARED = (
    "norm",
    "positions",
    "activation",
    "tied",
    "bias",
    "shared_stacks",
    "experts",
    "active_experts",
    "shared_experts",
    "expert_every",
    "expert_capacity_factor",
)
"""Fields of a shape that a study may choose for all sizes."""
WIDTH_STEP = 4
MAX_WIDTH = 16_384
SMALL_HEAD, LARGE_HEAD = 16, 64
"""A head has an eighth of the width, at least 16 and at most 64 dimensions, as nearly as divisors allow."""


@lru_cache(maxsize=4096)  # a ladder asks for the same few widths again and again
def shape_of_width(model: ModelSection, objective: Objective, vocabulary: int, width: int) -> ModelShape:
    """The shape of this width: depth = width / width_per_layer (at least 2), heads that divide the width."""
    family, shape_json = preset_family(model.preset), {**PRESETS[model.preset]}
    shape_json |= {name: value for name in SHARED if (value := getattr(model, name)) is not None}
    if not family.recurrent:
        heads = width // head_width(width)
        shared = math.gcd(model.queries_per_kv_head, heads)
        shape_json |= {"heads": heads, "kv_heads": heads // shared if shared > 1 else 0}
    if family.two_stacks:
        target = objective.target_length(model.context) if objective.corrupts_spans else model.context
        shape_json["decoder_context"] = target
    if objective.next_sentence:
        shape_json |= {"token_types": 2, "pooler": True, "classes": 2}
    shape_json |= {"width": width, "context": model.context, "vocabulary": vocabulary}
    shape_json["layers"] = model.layers or max(2, round(width / model.width_per_layer))
    shape = ModelShape.from_json(shape_json)
    if model.expert_width_ratio == 1.0:
        return shape
    return replace(shape, expert_width=max(8, round(shape.feed_forward * model.expert_width_ratio / 8) * 8))


def head_width(width: int) -> int:
    """The even divisor of the width, of at most half of it, nearest in ratio to what a head should have."""
    ideal = min(max(SMALL_HEAD, width // 8), LARGE_HEAD)
    divisors = (k for k in range(2, width // 2 + 1, 2) if width % k == 0)
    return min(divisors, key=lambda k: (abs(math.log(k / ideal)), k))


def nearest_shape(model: ModelSection, objective: Objective, vocabulary: int, params: float) -> ModelShape:
    """The shape whose total parameters are nearest, in ratio, to `params`."""
    widths = range(2 * WIDTH_STEP, MAX_WIDTH + 1, WIDTH_STEP)
    # Parameters grow with the width, so the two widths around the wanted size are found by bisection.
    above = bisect_left(widths, params, key=lambda width: _total(model, objective, vocabulary, width))
    near = widths[max(0, above - 1) : above + 1]
    width = min(near, key=lambda width: abs(math.log(_total(model, objective, vocabulary, width) / params)))
    return shape_of_width(model, objective, vocabulary, width)


def shape_of_params(model: ModelSection, objective: Objective, vocabulary: int, params: float) -> ModelShape:
    """As `nearest_shape`, but raises DesignError when the nearest is twice as large or half as large."""
    shape = nearest_shape(model, objective, vocabulary, params)
    total = count_parameters(shape).total
    if not 0.5 < total / params < 2.0:
        raise DesignError(
            "no network of this size can be built",
            expected=f"about {params:.3g} parameters",
            got=f"{total} with width {shape.width} and vocabulary {vocabulary}",
            cure="change the budgets, the vocabulary or width_per_layer",
        )
    return shape


def _total(model: ModelSection, objective: Objective, vocabulary: int, width: int) -> int:
    return count_parameters(shape_of_width(model, objective, vocabulary, width)).total
