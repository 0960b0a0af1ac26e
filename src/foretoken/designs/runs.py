"""Runs: every size and length that is listed, with its seeds and learning rates; `foretoken next` writes such lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from foretoken.designs.recipe import Recipe
from foretoken.errors import DesignError
from foretoken.runs.record import RunRecord
from foretoken.runs.schema import PlannedRuns
from foretoken.runs.spec import RunSpec
from foretoken.units import format_count, format_flops

ONE_GROUP = 1.1
"""Runs whose FLOPs differ by less than this factor are of one budget."""


def runs(recipe: Recipe, threads: int = 1) -> list[RunSpec]:
    """Every run of the list; runs of one size, seed and learning rate are branches of one trunk.

    Raises DesignError where two of the sizes are one network, or a run is too short for its batch.
    """
    planned = [spec for listed in recipe.study.design.runs for spec in _listed(recipe, listed, threads)]
    if len({spec.key for spec in planned}) < len(planned):
        raise DesignError(
            "two of the runs that are listed are the same run",
            expected="sizes that are different networks, or lengths that are different numbers of steps",
            got=_twice(planned),
            cure="leave one out, or give one of them `seeds` instead",
        )
    return recipe.with_warmups(_by_budget(planned))


def tuned(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Of runs that differ in their learning rate alone the one of least loss: what an analysis should see.

    Runs that did not finish stay, so that they are counted.
    """
    # With the learning rate set to 0 the keys of runs that differ in nothing else are equal.
    best: dict[str, RunRecord] = {}
    for one in records:
        other = best.setdefault(_untuned(one), one)
        if _loss(one) < _loss(other):
            best[_untuned(one)] = one
    return [one for one in records if not one.is_finished or best[_untuned(one)] is one]


def _untuned(record: RunRecord) -> str:
    return replace(record.spec, learning_rate=0.0).key


def _loss(record: RunRecord) -> float:
    return math.inf if record.loss is None or not record.is_finished else record.loss


def _listed(recipe: Recipe, listed: PlannedRuns, threads: int) -> list[RunSpec]:
    shape = recipe.shape(listed.params)
    spec = recipe.spec(shape, listed.tokens, group="", threads=threads)
    return [
        replace(spec, seed=spec.seed + seed, learning_rate=spec.learning_rate * factor)
        for seed in range(listed.seeds)
        for factor in listed.learning_rate_factors
    ]


def _by_budget(planned: list[RunSpec]) -> list[RunSpec]:
    """Named by their FLOPs, those of nearly the same alike."""
    named: list[RunSpec] = []
    least = 0.0
    for spec in sorted(planned, key=lambda spec: spec.flops):
        least = spec.flops if spec.flops > ONE_GROUP * least else least
        named.append(replace(spec, group=format_flops(least)))
    return named


def _twice(planned: list[RunSpec]) -> str:
    keys = [spec.key for spec in planned]
    spec = next(one for one in planned if keys.count(one.key) > 1)
    return f"{format_count(spec.parameters.total)} parameters on {format_count(spec.tokens)} tokens, twice"
