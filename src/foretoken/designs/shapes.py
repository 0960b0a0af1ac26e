"""Which shape a number of parameters gets: width and depth grow together."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, ModelShape, preset_family
from foretoken.errors import DesignError
from foretoken.runs.schema import ModelSection

SHARED = (
    "norm", "positions", "activation", "tied", "bias", "shared_stacks", "experts", "active_experts", "shared_experts",
    "expert_every", "expert_capacity_factor",
)  # fmt: skip
"""Fields of a shape that a study may choose for all sizes."""
WIDTH_STEP = 4
MAX_WIDTH = 16_384
SMALL_HEAD, LARGE_HEAD = 16, 64
"""A head has an eighth of the width, at least 16 and at most 64 dimensions, as nearly as divisors allow."""


def shape_of_width(model: ModelSection, objective: Objective, vocabulary: int, width: int) -> ModelShape:
    """The shape of this width: depth = width / width_per_layer (at least 2), heads that divide the width."""
    choices: dict[str, Any] = dict(PRESETS[model.preset])
    choices |= {name: value for name in SHARED if (value := getattr(model, name)) is not None}
    family = preset_family(model.preset)
    if not family.recurrent:
        choices["heads"] = width // head_width(width)
        shared = math.gcd(model.queries_per_kv_head, choices["heads"])
        choices["kv_heads"] = choices["heads"] // shared if shared > 1 else 0
    if family.two_stacks:
        choices["decoder_context"] = (
            objective.target_length(model.context) if objective.corrupts_spans else model.context
        )
    if objective.next_sentence:
        choices |= {"token_types": 2, "pooler": True, "classes": 2}
    if model.expert_width_ratio != 1.0:
        plain = {name: choices[name] for name in ("heads", "activation") if name in choices}
        dense = ModelShape(layers=1, width=width, context=8, vocabulary=8, **plain)
        choices["expert_width"] = max(8, round(dense.feed_forward * model.expert_width_ratio / 8) * 8)
    return ModelShape(
        layers=model.layers or max(2, round(width / model.width_per_layer)),
        width=width,
        context=model.context,
        vocabulary=vocabulary,
        **choices,
    )


def head_width(width: int) -> int:
    """The even divisor of the width, of at most half of it, nearest in ratio to what a head should have."""
    wanted = min(max(SMALL_HEAD, width // 8), LARGE_HEAD)
    divisors = (k for k in range(2, width // 2 + 1, 2) if width % k == 0)
    return min(divisors, key=lambda k: (abs(math.log(k / wanted)), k))


def nearest_shape(model: ModelSection, objective: Objective, vocabulary: int, params: float) -> ModelShape:
    """The shape whose total parameters are nearest, in ratio, to `params`."""
    widths = range(2 * WIDTH_STEP, MAX_WIDTH + 1, WIDTH_STEP)
    above = bisect_left(widths, params, key=lambda width: _total(model, objective, vocabulary, width))
    near = widths[max(0, above - 1) : above + 1]
    width = min(near, key=lambda width: abs(math.log(_total(model, objective, vocabulary, width) / params)))
    return shape_of_width(model, objective, vocabulary, width)


def shape_of_params(model: ModelSection, objective: Objective, vocabulary: int, params: float) -> ModelShape:
    """As `nearest_shape`, but raises DesignError when the nearest is twice as large or half as large."""
    shape = nearest_shape(model, objective, vocabulary, params)
    found = count_parameters(shape).total
    if not 0.5 < found / params < 2.0:
        raise DesignError(
            "no network of this size can be built",
            expected=f"about {params:.3g} parameters",
            got=f"{found} with width {shape.width} and vocabulary {vocabulary}",
            cure="change the budgets, the vocabulary or width_per_layer",
        )
    return shape


def _total(model: ModelSection, objective: Objective, vocabulary: int, width: int) -> int:
    return count_parameters(shape_of_width(model, objective, vocabulary, width)).total
