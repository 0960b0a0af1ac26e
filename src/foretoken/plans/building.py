"""What a plan builds: a recipe and the layout that carries it, made to fit each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from foretoken.compute.layout import Layout, find_layout, lay_out
from foretoken.compute.machine import Machine
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.compute.serving import serve
from foretoken.errors import DesignError, ForetokenError
from foretoken.plans.recipe import Recipe, recipe
from foretoken.plans.split import Allocation

LARGE, SHARED = 2e10, 8
"""From this size on, each layer is shared by so many accelerators, where there are as many."""
HELD = 0.8
"""Share of the memory that a served model's weights take at most."""
DEEPER = 1.5
"""A depth that the pipeline divides is at most this factor from the one in good proportions."""
FITS_NONE = "fits_no_machine"


@dataclass(frozen=True)
class Built:
    """The recipe of a plan and its layout, each with the reason where there is none."""

    recipe: Recipe | None = None
    recipe_reason: str | None = None
    layout: Layout | None = None
    layout_reason: str | None = None


def build(
    found: Allocation, machine: Machine, count: float | None, like: Proportions, count_is_fixed: bool = False
) -> Built:
    """The recipe of a split and the layout that carries it over `count` accelerators.

    The depth is a multiple of the pipeline's stages, heads and feed-forward of the tensor-parallel group, the batch of
    the sequences that are handled at once. Raises DesignError where the model fits no layout and `count_is_fixed`
    forbids more machines.
    """
    if found.params >= LARGE and count and count >= SHARED:
        like = replace(like, tensor_parallel=SHARED)

    def made(like: Proportions, sequences: int = 1) -> Recipe:
        return recipe(found.params, found.tokens, found.loss, like, sequences=sequences)

    try:
        first = made(like)
    except DesignError as error:
        return Built(recipe_reason=error.message, layout_reason="there is no shape to lay out")
    try:
        layout = find_layout(first.shape, machine, round(count or 1), first.batch_tokens.value)
        like, layout = _evened(found.params, first, layout, machine, like)
        whole = made(like, layout.split.data * layout.micro_batch)
        layout = lay_out(whole.shape, machine, layout.split, layout.micro_batch, whole.batch_tokens.value)
    except ForetokenError as error:
        if count_is_fixed and error.code == FITS_NONE:
            raise
        return Built(recipe=first, layout_reason=" ".join(str(error).split()))
    return Built(recipe=whole, layout=layout)


def _evened(
    params: float, first: Recipe, layout: Layout, machine: Machine, like: Proportions
) -> tuple[Proportions, Layout]:
    """Proportions that the layout divides, and the fastest layout of their shape; as they are where nothing is near."""
    cut = layout.split
    if first.shape.layers % (cut.pipeline * cut.interleave) == 0:
        return like, layout
    shared = math.lcm(like.tensor_parallel, cut.tensor)
    for stages in (cut.pipeline * cut.interleave, cut.pipeline):
        even = replace(like, tensor_parallel=shared, pipeline=stages)
        try:
            shape = shape_of(params, even)
            if max(shape.layers / first.shape.layers, first.shape.layers / shape.layers) < DEEPER:
                return even, find_layout(shape, machine, cut.accelerators, first.batch_tokens.value, even=True)
        except DesignError:
            continue
    return like, layout


def served(made: Recipe, machine: Machine) -> dict[str, Any]:
    """One request of 512 tokens in and 512 out, at the limit of the fewest accelerators (a power of two)."""
    held = made.params_total * 2.0 / (HELD * machine.accelerator.memory)
    count = 2 ** max(0, math.ceil(math.log2(held)))
    try:
        told = serve(made.shape, machine, prompt=512, answer=512, count=count)
    except ForetokenError as error:
        return {"count": count, "reason": error.message}
    return {"accelerator": machine.accelerator.name, "count": count, "prompt": 512, "answer": 512, **told.to_json()}
