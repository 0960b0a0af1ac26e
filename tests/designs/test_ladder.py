"""Ladders, targets, shapes and room in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Objective
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, preset_family
from foretoken.designs import Design, check_memory, group_by_trunk, make_design
from foretoken.designs.ladder import ladder
from foretoken.designs.shapes import LARGE_HEAD, MAX_WIDTH, head_width, nearest_shape, shape_of_params, shape_of_width
from foretoken.designs.target import target
from foretoken.errors import DesignError
from foretoken.runs.schema import ModelSection

from .test_designs import recipe

LADDER: dict[str, Any] = {"kind": "ladder", "params": ["100k", "200k", "400k"], "tokens_per_param": [10, 20, 40]}
SMALL_RUNS = ladder(recipe(**LADDER))


def test_a_step_of_a_ladder_has_its_tokens_per_parameter_to_half_a_batch() -> None:
    for run in SMALL_RUNS:
        ratio = float(run.group.split()[0])
        assert abs(run.tokens - ratio * run.parameters.total) <= run.batch_tokens / 2
    runs = SMALL_RUNS
    assert [run.group.split()[0] for run in runs] == ["10"] * 3 + ["20"] * 3 + ["40"] * 3
    assert [run.parameters.total for run in runs[:3]] == sorted({run.parameters.total for run in runs})


def test_a_trunk_per_size_and_a_branch_per_length() -> None:
    trunks = group_by_trunk(SMALL_RUNS)
    assert [len(trunk) for trunk in trunks] == [3, 3, 3]
    for trunk in trunks:
        assert [run.tokens for run in trunk] == sorted(run.tokens for run in trunk)
        assert len({run.warmup_tokens for run in trunk}) == 1
        assert trunk[0].warmup_tokens == round(0.05 * trunk[0].tokens)


def test_flops_of_a_ladder_grow_with_size_squared() -> None:
    runs = [run for run in SMALL_RUNS if run.group.startswith("20 ")]
    for run in runs:
        # 20 tokens per parameter are 6 N x 20 N = 120 N^2, and attention and the head come on top
        assert 0.9 < run.flops / (120 * run.parameters.total**2) < 1.6


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(1.5, 100.0), ratio=st.floats(5.0, 100.0))
def test_the_target_never_falls_short_of_its_factor(factor: float, ratio: float) -> None:
    plan, runs = recipe(), SMALL_RUNS
    section = plan.study.target.model_copy(update={"compute_factor": factor, "tokens_per_param": ratio})
    plan = replace(plan, study=plan.study.model_copy(update={"target": section}))
    big = target(plan, runs, threads=4)
    most = max(run.flops for run in runs)
    assert factor * most <= big.flops * (1 + 1e-12)
    assert big.flops - big.flops / big.steps < factor * most
    assert big.is_target
    assert 0.4 < big.tokens / big.parameters.total / ratio < 2.5


def test_estimates_list_every_run_and_the_target_last() -> None:
    design = make_design(recipe(**LADDER), 1)
    seconds = {run.key: float(number) for number, run in enumerate(design.runs)}
    estimates = design.estimates(seconds)
    assert [estimate.id for estimate in estimates] == [run.key for run in design.all_runs]
    assert [estimate.seconds_estimated for estimate in estimates] == [*seconds.values(), None]
    for estimate, run in zip(estimates, design.all_runs, strict=True):
        assert (estimate.flops, estimate.tokens, estimate.params_total) == (run.flops, run.tokens, run.parameters.total)
        assert estimate.bytes_estimated == run.memory.total
        assert estimate.to_json()["id"] == run.key


def test_shares_are_of_the_runs_as_they_are_trained() -> None:
    design = make_design(recipe(**LADDER), 1)
    assert design.separate_flops == pytest.approx(sum(run.flops for run in design.runs))
    # by hand: each trunk once to the end of its longest run, and the cooldowns of the shorter ones
    trained = sum(
        trunk[-1].flops + sum(run.flops / run.steps * run.cooldown_steps for run in trunk[:-1])
        for trunk in design.trunks
    )
    assert design.total_flops == pytest.approx(trained)
    assert design.share_of_target == pytest.approx(trained / design.target.flops)


def test_without_a_trunk_nothing_is_shared() -> None:
    design = make_design(recipe(**LADDER), 1)
    alone = Design([replace(run, schedule="cosine") for run in design.runs], design.target)
    assert [len(trunk) for trunk in alone.trunks] == [1] * 9
    assert alone.total_flops == pytest.approx(alone.separate_flops)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(2, 1000).map(lambda n: 4 * n))
def test_heads_divide_the_width_and_are_even(width: int) -> None:
    size = head_width(width)
    assert width % size == 0
    assert size % 2 == 0
    assert 2 <= size <= width // 2
    if width % 512 == 0:
        assert size == LARGE_HEAD


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=6, deadline=None)
@given(exponent=st.floats(5.0, 8.0))
def test_a_shape_is_near_its_size_in_every_preset(preset: str, exponent: float) -> None:
    model = ModelSection(preset=preset)
    objective = Objective(kind=preset_family(preset).usual_objective)
    shape = nearest_shape(model, objective, 256, 10**exponent)
    assert 0.6 < count_parameters(shape).total / 10**exponent < 1.7
    assert shape.family == preset_family(preset).name
    assert 8 <= shape.width <= MAX_WIDTH
    assert shape.width % 4 == 0
    assert shape_of_params(model, objective, 256, 10**exponent) == shape


@pytest.mark.parametrize(
    ("choices", "field", "value"),
    [
        ({"layers": 7}, "layers", 7),
        ({"width_per_layer": 32.0}, "layers", 4),
        ({"width_per_layer": 1000.0}, "layers", 2),
        ({"tied": True}, "tied", True),
        ({"queries_per_kv_head": 4}, "kv_heads", 2),
        ({"queries_per_kv_head": 3}, "kv_heads", 0),
        ({"norm": "layer"}, "norm", "layer"),
    ],
)
def test_a_study_chooses_for_all_sizes(choices: dict[str, Any], field: str, value: object) -> None:
    shape = shape_of_width(ModelSection(**choices), Objective(), 256, 128)
    assert shape.heads == 8
    assert getattr(shape, field) == value


def test_a_narrower_expert_is_a_share_of_the_feed_forward() -> None:
    section = ModelSection(preset="mixtral", expert_width_ratio=0.5)
    shape = shape_of_width(section, Objective(), 256, 128)
    assert abs(shape.expert_width - shape.feed_forward / 2) <= 4
    assert shape.expert_width % 8 == 0


def test_a_run_that_does_not_fit_names_what_takes_the_room() -> None:
    runs = SMALL_RUNS
    most = max(run.memory.total for run in runs)
    check_memory(runs, workers=1, available=most)
    with pytest.raises(DesignError, match="a run does not fit") as caught:
        check_memory(runs, workers=1, available=0.99 * most)
    assert caught.value.got
    assert "for the activations of 8 sequences" in caught.value.got


def test_runs_side_by_side_are_counted_once_per_trunk() -> None:
    runs = SMALL_RUNS
    trunks = sorted((max(run.memory.total for run in trunk) for trunk in group_by_trunk(runs)), reverse=True)
    check_memory(runs, workers=9, available=sum(trunks))
    with pytest.raises(DesignError, match="side by side") as caught:
        check_memory(runs, workers=9, available=sum(trunks) - 1)
    assert caught.value.cure == "set launch.workers to 2 or less"
    check_memory(runs, workers=2, available=sum(trunks) - 1)
    with pytest.raises(DesignError, match="side by side") as caught:
        check_memory(runs, workers=2, available=trunks[0])
    assert caught.value.cure == "set launch.workers to 1 or less"
    check_memory([replace(run, threads=2) for run in runs], workers=9, available=trunks[0])
