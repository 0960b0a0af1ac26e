"""The IsoFLOP grid: one series of sizes for all budgets, in steps of the ratio; re-centring follows the minimum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from foretoken.compute.parameters import count_parameters
from foretoken.designs import Recipe, extend, make_design
from foretoken.designs.center import center_params
from foretoken.designs.isoflop import cell, group_name, isoflop, size_series
from foretoken.errors import DesignError
from foretoken.runs.spec import RunSpec

from .test_designs import SOURCE, recipe

BUDGETS = [1e11, 2e11, 4e11]


@cache
def grid() -> tuple[Recipe, list[RunSpec]]:
    """A recipe with room for re-centring, and its grid."""
    plan = recipe(recenter_rounds=3)
    return plan, isoflop(plan)


def sizes(runs: Sequence[RunSpec], group: str) -> list[int]:
    return sorted(run.parameters.total for run in runs if run.group == group)


@pytest.mark.parametrize(("ratio", "per_budget", "rounds"), [(1.3, 4, 0), (1.5, 5, 1), (2.0, 6, 1)])
def test_sizes_stand_in_equal_ratios_and_reach_beyond_every_budget(ratio: float, per_budget: int, rounds: int) -> None:
    plan = recipe(size_ratio=ratio, sizes_per_budget=per_budget, recenter_rounds=rounds, budgets=[1e15, 4e15])
    series = [count_parameters(shape).total for shape in size_series(plan)]
    assert series == sorted(set(series))
    # widths are multiples of 4, so a step is off the ratio by a little
    assert [above / below for below, above in pairwise(series)] == pytest.approx([ratio] * (len(series) - 1), rel=0.2)
    middles = [center_params(plan, budget) for budget in plan.study.design.budgets]
    around = per_budget // 2 + rounds
    assert sum(size < min(middles) for size in series) >= around
    assert sum(size > max(middles) for size in series) >= around
    assert len(series) == pytest.approx(2 * (around + 1) + math.log(max(middles) / min(middles), ratio), abs=2)


@pytest.mark.parametrize("center", [10.0, 40.0])
def test_more_tokens_per_parameter_are_fewer_parameters(center: float) -> None:
    plan = recipe()
    few, many = center_params(plan, 1e11, center), center_params(plan, 1e11, 2 * center)
    assert many < few
    # N = sqrt(C / k r), and the FLOPs per parameter and token k grow where networks get smaller
    assert few / many == pytest.approx(math.sqrt(2), rel=0.15)


def test_the_middle_grows_as_the_square_root_of_the_budget() -> None:
    plan = recipe()
    middles = [center_params(plan, budget) for budget in (1e14, 4e14, 16e14)]
    assert [after / before for before, after in pairwise(middles)] == pytest.approx([2.0, 2.0], rel=0.1)


def test_a_budget_takes_the_neighbours_of_its_middle_on_both_sides() -> None:
    plan, runs = grid()
    series = sorted(count_parameters(shape).total for shape in size_series(plan))
    for budget in BUDGETS:
        taken = sizes(runs, group_name(budget))
        first = series.index(taken[0])
        assert taken == series[first : first + 5]
        assert taken[0] < center_params(plan, budget) < taken[-1]


def test_a_cell_is_within_half_a_step_of_its_budget() -> None:
    _, runs = grid()
    for run in runs:
        budget = next(budget for budget in BUDGETS if group_name(budget) == run.group)
        per_step = run.flops / run.steps
        assert abs(run.flops - budget) <= per_step / 2 * (1 + 1e-9)
        assert run.tokens % run.batch_tokens == 0


def recentred(best: float, rounds: int) -> list[RunSpec]:
    """Extend as a study does, where the loss of every run is the distance of its size from a known minimum."""
    plan, first = grid()
    runs = list(first)
    for _ in range(rounds):
        edges = {}
        for budget in BUDGETS:
            curve = sizes(runs, group_name(budget))
            minimum = min(curve, key=lambda size: abs(math.log(size / best)))
            if minimum in (curve[0], curve[-1]):
                edges[group_name(budget)] = "edge_small" if minimum == curve[0] else "edge_large"
        runs += extend(plan, runs, edges)
    return runs


@pytest.mark.parametrize("side", ["smaller", "larger"])
def test_recentring_reaches_a_minimum_beyond_the_first_sizes(side: str) -> None:
    curve = sizes(grid()[1], group_name(2e11))
    # one and a half steps beyond the edge of the middle budget: two rounds bracket it
    best = curve[0] / 1.5**1.5 if side == "smaller" else curve[-1] * 1.5**1.5
    after = sizes(recentred(best, 3), group_name(2e11))
    assert after[0] < best < after[-1]
    assert set(curve) < set(after)
    assert len(set(after)) == len(after)


def test_a_minimum_inside_adds_nothing() -> None:
    plan, runs = grid()
    assert extend(plan, runs, {}) == []
    middle = sizes(runs, group_name(2e11))[2]
    assert sizes(recentred(middle, 1), group_name(2e11)) == sizes(runs, group_name(2e11))


def test_where_the_series_ends_nothing_is_added() -> None:
    plan, runs = grid()
    largest = max(size_series(plan), key=lambda shape: count_parameters(shape).total)
    own = [cell(plan, largest, 4e11, 1)]
    assert extend(plan, [*runs, *own], {group_name(4e11): "edge_large"}) == []


def test_repeated_text_lets_a_short_corpus_be_extended() -> None:
    plan, runs = grid()
    group = group_name(4e11)
    poor = replace(plan, source=replace(SOURCE, train_tokens=1000))
    assert extend(poor, runs, {group: "edge_small"}) == []
    again = plan.study.model_copy(update={"corpus": plan.study.corpus.model_copy(update={"repeat": True})})
    assert len(extend(replace(poor, study=again), runs, {group: "edge_small"})) == 1


@pytest.mark.parametrize("second", [1.004e11, 0.9996e11])
def test_budgets_that_read_alike_are_refused(second: float) -> None:
    with pytest.raises(DesignError, match=r"1\.00e11 FLOP, 1\.00e11 FLOP"):
        isoflop(recipe(budgets=[1e11, second]))


def test_the_order_of_budgets_does_not_matter() -> None:
    up, down = (make_design(recipe(budgets=budgets), 1) for budgets in (BUDGETS, BUDGETS[::-1]))
    assert [run.key for run in up.runs] == [run.key for run in down.runs]
    assert up.target == down.target
