from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.designs import Design, Recipe, TokenSource, extend, group_by_trunk, make_design, own_steps
from foretoken.designs.center import center_params
from foretoken.designs.shapes import nearest_shape, shape_of_params, shape_of_width
from foretoken.errors import DesignError
from foretoken.laws import CHINCHILLA, LAWS, PUBLISHED
from foretoken.runs.schema import ModelSection
from foretoken.runs.study_file import Study

SOURCE = TokenSource(address="c0ffee", tokenizer="byte", eval_set="v", vocabulary=256, train_tokens=10**7)


def recipe(**design: object) -> Recipe:
    training = {"batch_tokens": {"value": 1024}}
    study = Study.model_validate(
        {"name": "t", "design": {"budgets": [1e11, 2e11, 4e11], **design}, "training": training}
    )
    return Recipe(study=study, source=SOURCE, torch_version="2.13.0", bfloat16=False)


def test_isoflop_runs_meet_their_budgets_and_share_trunks() -> None:
    design = make_design(recipe(), target_threads=2)
    for budget in (1e11, 2e11, 4e11):
        curve = [run for run in design.runs if abs(run.flops / budget - 1) < 0.05]
        sizes = [run.parameters.total for run in curve]
        assert len(sizes) == 5
        assert sizes == sorted(set(sizes))
    assert len(design.trunks) < len(design.runs)
    assert all(len({run.warmup_tokens for run in trunk}) == 1 for trunk in design.trunks)


def test_the_target_has_the_factor_asked_for() -> None:
    plan = recipe()
    design = make_design(plan, target_threads=2)
    assert 8 <= design.compute_factor < 8.1
    assert design.target.group == "target"
    assert design.target.threads == 2


def test_branches_cost_less_than_runs_of_their_own() -> None:
    design = make_design(recipe(), 1)
    assert design.total_flops < design.separate_flops
    cosine = Design([run for run in design.runs if run.group == design.runs[0].group], design.target)
    assert cosine.total_flops == pytest.approx(cosine.separate_flops)


def test_own_steps_add_up() -> None:
    design = make_design(recipe(), 1)
    for trunk in group_by_trunk(design.runs):
        steps = [steps for _, steps in own_steps(trunk)]
        assert steps[0] == trunk[0].steps
        assert sum(steps) == trunk[-1].steps + sum(run.cooldown_steps for run in trunk[:-1])


@pytest.mark.parametrize("center", [20.0, 80.0])
def test_the_middle_of_a_curve_is_where_it_was_asked(center: float) -> None:
    plan = recipe(center=center)
    for budget in (1e11, 4e11):
        shape = plan.nearest_shape(center_params(plan, budget))
        tokens = budget / plan.flops_per_token(shape)
        assert 0.4 < tokens / count_parameters(shape).total / center < 2.5


def test_a_published_law_can_be_the_centre() -> None:
    plan = recipe(center="besiroglu_2024")
    budget = 4e11
    params = center_params(plan, budget)
    per_param = plan.flops_per_token(plan.nearest_shape(params)) / count_parameters(plan.nearest_shape(params)).total
    assert CHINCHILLA.optimum
    expected = CHINCHILLA.optimum(PUBLISHED["besiroglu_2024"].parameters, budget, per_param)[0]
    assert params == pytest.approx(float(expected), rel=0.5)


@pytest.mark.parametrize("center", [name for name, entry in PUBLISHED.items() if LAWS[entry.law].optimum is None])
def test_a_published_law_without_a_split_is_no_centre(center: str) -> None:
    with pytest.raises(DesignError, match=r"(?s)besiroglu_2024.*tokens per parameter"):
        make_design(recipe(center=center), target_threads=1)


@pytest.mark.parametrize("side", ["edge_small", "edge_large"])
def test_recentring_adds_the_next_size_on_the_short_side(side: str) -> None:
    plan = recipe()
    design = make_design(plan, 1)
    group = design.runs[-1].group
    new = extend(plan, design.runs, {group: side})
    curve = [run.parameters.total for run in design.runs if run.group == group]
    assert [run.group for run in new] == [group]
    size = new[0].parameters.total
    assert size < min(curve) if side == "edge_small" else size > max(curve)
    known = {run.shape: run.warmup_tokens for run in design.runs}
    assert all(run.warmup_tokens == known[run.shape] for run in new if run.shape in known)


def test_recentring_stays_within_the_corpus_and_the_largest_budget() -> None:
    plan = recipe(sizes_per_budget=4, size_ratio=2.0)
    design = make_design(plan, 1)
    most = max(run.flops for run in design.runs)
    for side in ("edge_small", "edge_large"):
        new = extend(plan, design.runs, dict.fromkeys({run.group for run in design.runs}, side))
        assert new
        assert all(run.flops <= most for run in new)
    poor = replace(plan, source=replace(SOURCE, train_tokens=min(run.tokens for run in new)))
    assert not extend(poor, design.runs, dict.fromkeys({run.group for run in design.runs}, "edge_small"))


def test_equal_budgets_and_sizes_are_one() -> None:
    with pytest.raises(DesignError, match="equal to three digits"):
        make_design(recipe(budgets=[1e11, 1.0001e11]), 1)
    design = make_design(recipe(kind="ladder", params=[2e4, 2.001e4, 5e4], tokens_per_param=[20, 40]), 1)
    assert len({run.key for run in design.runs}) == len(design.runs)


def test_ladder_is_the_full_grid() -> None:
    design = make_design(recipe(kind="ladder", params=[2e4, 5e4], tokens_per_param=[20, 40, 80]), 1)
    assert len(design.runs) == 6
    assert len(design.trunks) == 2
    ratios = sorted({round(run.tokens / run.parameters.total) for run in design.runs})
    assert ratios == [20, 40, 80]


def test_design_json_round_trip() -> None:
    design = make_design(recipe(), 1)
    assert Design.from_json(design.to_json()) == design


def test_a_budget_below_one_step_is_refused() -> None:
    with pytest.raises(DesignError, match="too small for one step"):
        make_design(recipe(budgets=[1e7]), 1)


def test_a_size_that_no_shape_has_is_refused() -> None:
    with pytest.raises(DesignError, match="no network of this size"):
        shape_of_params(ModelSection(), Objective(), 50_000, 1e4)


@settings(max_examples=50)
@given(width=st.integers(2, 400).map(lambda n: 4 * n), vocabulary=st.integers(16, 50_000))
def test_the_nearest_shape_of_a_shape_is_itself(width: int, vocabulary: int) -> None:
    shape = shape_of_width(ModelSection(), Objective(), vocabulary, width)
    assert shape.head_width % 2 == 0
    assert shape.heads >= 2
    assert nearest_shape(ModelSection(), Objective(), vocabulary, count_parameters(shape).total) == shape
