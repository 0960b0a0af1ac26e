"""The parts of a ladder, each alone: requests, prior draws, candidates, limits, and what planned runs already show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import DesignError, ForetokenError
from foretoken.ladders.exchange import OCTAVES, WIDEST, LadderLimits, isoflop_runs, possible_runs, round_down
from foretoken.ladders.information import geometric_mean
from foretoken.ladders.order import read_order
from foretoken.ladders.planned import check_planned_runs
from foretoken.ladders.prior import DRAWS, Prior, RunNoise, can_be_drawn, has_best_size, make_prior
from foretoken.ladders.request import NextRunRequest
from foretoken.ladders.target import expected_estimate, half_way_to_estimate, make_target
from foretoken.laws import CHINCHILLA, LAWS, find_law

DRAWN = [name for name, law in LAWS.items() if can_be_drawn(law)]


def prior(formula: str = "coupled", known: str | None = None, largest: float = 1e20) -> Prior:
    return make_prior(known, formula, largest, None, 0)


# The request


def test_texts_with_units_become_the_same_order_as_numbers() -> None:
    texts = read_order(NextRunRequest("1e22 FLOP", spend="5e20", largest="1e20", sizes=["10M", "25M"]))
    numbers = read_order(NextRunRequest(1e22, spend=5e20, largest=1e20, sizes=[1e7, 2.5e7]))
    assert texts == numbers
    assert texts.target_flops == 1e22
    assert read_order(NextRunRequest(params="7B", tokens="140B")).target_flops == pytest.approx(6 * 7e9 * 140e9)


def test_money_gives_the_price_of_a_flop_unless_one_is_named() -> None:
    order = read_order(NextRunRequest("1e22", spend="$5000 of H100"))
    assert order.usd_per_flop is not None
    assert order.spend is not None
    assert order.usd_per_flop * order.spend == pytest.approx(5000)
    assert any("mfu" in sentence for sentence in order.assumed)
    assert read_order(NextRunRequest("1e22", spend="$5000 of H100", usd_per_flop=1e-18)).usd_per_flop == 1e-18


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"compute": 1e22, "fit": "fit.json", "law": "besiroglu_2024"}, "a published law were given"),
        ({"compute": 1e22, "tokens": 1e9}, "the target is not given"),
        ({"tokens": 1e9}, "the target is not given"),
        ({"compute": 1e22, "goal": "sizes"}, "unknown goal"),
        ({"compute": 1e22, "usd_per_flop": -1.0}, "usd_per_flop"),
        ({"compute": 1e22, "runs": 7}, "so few or so many"),
    ],
)
def test_what_no_ladder_meets_is_refused_before_anything_is_read(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        NextRunRequest(**fields)


# The prior


@pytest.mark.parametrize("formula", DRAWN)
def test_draws_have_loss_one_at_the_origin_and_their_best_size_near_it(formula: str) -> None:
    drawn = prior(formula)
    assert drawn.theta.shape == (DRAWS, len(drawn.law.parameters))
    at_origin = drawn.law.value_and_grad(drawn.theta, np.zeros((1, 2)))[0]
    np.testing.assert_allclose(at_origin, 0.0, atol=1e-9)
    best = drawn.best_sizes(1e20)
    assert float(np.median(np.log(best))) == pytest.approx(drawn.origin[0], abs=0.1)
    assert np.log(best).std() > 0.1


def test_a_published_law_narrows_the_draws() -> None:
    loose, near = prior("chinchilla"), prior("chinchilla", "besiroglu_2024")
    assert near.theta[:, 0].std() < loose.theta[:, 0].std()
    assert np.log(near.best_sizes(1e20)).std() < np.log(loose.best_sizes(1e20)).std()
    assert np.array_equal(prior().theta, prior().theta)
    assert not np.array_equal(prior().theta, make_prior(None, "coupled", 1e20, None, 1).theta)


def test_only_laws_with_a_closed_form_have_a_prior() -> None:
    assert DRAWN == ["chinchilla", "coupled"]
    assert all(has_best_size(find_law(name)) for name in DRAWN)
    with pytest.raises(ForetokenError, match="chinchilla or coupled"):
        prior("power")
    with pytest.raises(ForetokenError, match="besiroglu_2024"):
        prior("coupled", "besiroglu_2023")


@settings(deadline=None)
@given(st.floats(0.0, 1.5), st.floats(6, 13))
def test_short_runs_scatter_more_and_long_ones_no_less(power: float, log_tokens: float) -> None:
    noise = RunNoise(run_sd=0.004, tokens_power=power, cell_sd=0.001, tokens=1e10)
    sd = float(noise.of(np.array(10**log_tokens)))
    assert sd >= 0.004 * (1 - 1e-12)
    assert sd == pytest.approx(0.004 * max(1.0, (1e10 / 10**log_tokens) ** (power / 2)))


def test_a_discrepancy_grows_with_the_square_of_the_distance_whatever_its_direction() -> None:
    drawn, target = prior(), np.array([20.0, 23.0])
    angles = np.linspace(0, 2 * math.pi, 9)
    near = drawn.discrepancy(target, target + np.stack([np.cos(angles), np.sin(angles)], axis=1))
    size = np.sqrt((near**2).sum(axis=1))
    np.testing.assert_allclose(size, drawn.discrepancy_rate)
    far = drawn.discrepancy(target, target + 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    np.testing.assert_allclose(far, 9 * near, atol=1e-12)


# The target


def test_the_estimate_expected_of_runs_without_noise_is_the_draw_itself_where_the_prior_is_weak() -> None:
    drawn = prior("chinchilla")
    target = make_target(drawn, 1e22, None, None, "both")
    x = np.log(
        np.stack([grid.ravel() for grid in np.meshgrid(np.geomspace(1e6, 1e9, 8), np.geomspace(1e8, 1e11, 8))], 1)
    )
    sharp = expected_estimate(drawn, target, x, np.full(64, 1e-14))
    np.testing.assert_allclose(
        drawn.law.value_and_grad(sharp, x - drawn.origin)[0],
        drawn.law.value_and_grad(drawn.theta, x - drawn.origin)[0],
        atol=2e-3,
    )
    blurred = expected_estimate(drawn, target, x, np.full(64, 1e4))
    pulled = np.abs(blurred - drawn.theta) > 1e-3
    assert pulled.any()
    half = half_way_to_estimate(drawn, target, x, np.full(64, 1e4))
    np.testing.assert_allclose(half.linearise_at, (drawn.theta + blurred) / 2)


@pytest.mark.parametrize(("goal", "quantities"), [("size", 1), ("loss", 1), ("both", 2)])
def test_a_goal_picks_its_quantities(goal: str, quantities: int) -> None:
    target = make_target(prior(), 1e22, None, None, goal)
    assert target.quantities.shape == (DRAWS, quantities, 6)
    assert target.quantities_discrepancy.shape == (DRAWS, quantities, 3)
    assert target.params * target.tokens * 6 == pytest.approx(1e22)


# Candidates and limits


@settings(deadline=None, max_examples=15)
@given(st.floats(17, 23), st.booleans())
def test_candidates_keep_to_their_budgets_and_stay_near_the_best_size(power: float, tuned: bool) -> None:
    drawn = prior(largest=10**power)
    runs = possible_runs(drawn, 10**power, (), tuned=tuned)
    assert (runs.flops <= 10**power * (1 + 1e-9)).all()
    assert runs.flops.min() >= 10**power / 2**OCTAVES * 0.9
    assert set(runs.learning_rates) == ({1.0, 3.0} if tuned else {1.0})
    assert np.array_equal(runs.cost, runs.flops * runs.learning_rates)
    assert len(np.unique(runs.configuration)) == len(runs.params) / (2 if tuned else 1)
    best = drawn.best_size(np.array([10**power]))[0]
    assert runs.params.max() <= best * WIDEST * 1.01


@settings(deadline=None)
@given(st.floats(1e3, 1e15))
def test_rounding_keeps_three_digits_and_never_rounds_up(value: float) -> None:
    rounded = float(round_down(np.array(value)))
    assert value * (1 - 1e-2) <= rounded <= value * (1 + 1e-9)
    assert float(f"{rounded:.3g}") == pytest.approx(rounded, rel=1e-9)


def test_the_plain_grid_costs_what_it_may() -> None:
    grid = isoflop_runs(prior(), 1e20)
    assert len(grid.params) == 35
    assert 0.97e20 < grid.flops.sum() <= 1e20
    with pytest.raises(DesignError, match="no size suits"):
        possible_runs(prior(), 1e20, (5.0,), tuned=False)


def test_limits_count_cost_trainings_and_seeds() -> None:
    limits = LadderLimits(
        cost=np.array([1.0, 3.0, 2.0]),
        trainings=np.array([1.0, 3.0, 1.0]),
        spend=5.0,
        max_trainings=4,
        max_seeds=1,
        configuration=np.array([0, 0, 1]),
    )
    assert limits.allow(np.zeros(3)).tolist() == [True, True, True]
    assert limits.allow(np.array([1.0, 0, 0])).tolist() == [False, False, True]  # one seed of a configuration
    assert limits.allow(np.array([0, 1.0, 0])).tolist() == [False, False, True]  # three trainings are used up
    assert limits.allow(np.array([0, 1.0, 1.0])).tolist() == [False, False, False]


def test_no_single_draw_decides() -> None:
    assert geometric_mean(np.array([1e-4, 1.0])) == pytest.approx(1e-2)
    assert np.isfinite(geometric_mean(np.array([0.0, 1.0])))


# What planned runs show


@pytest.mark.parametrize(
    ("n", "d", "codes"),
    [
        ([1e6, 2e6, 4e6], [1e8, 2e8, 1e8], {"too_few_runs"}),
        ([1e6] * 8, list(np.geomspace(1e8, 1e9, 8)), {"one_size"}),
        (list(np.geomspace(1e6, 1e7, 8)), [1e9] * 8, {"one_token_count"}),
        (list(np.geomspace(1e6, 1e7, 8)), list(np.geomspace(1e8, 1e9, 8)), {"collinear"}),
    ],
)
def test_runs_that_no_law_can_be_fitted_to_are_known_before_they_are_trained(
    n: list[float], d: list[float], codes: set[str]
) -> None:
    params, tokens = np.array(n), np.array(d)
    loss = 2.0 + 1e3 / params**0.5 + 1e3 / tokens**0.4
    checks = check_planned_runs(CHINCHILLA, params, tokens, 6 * params * tokens, loss)
    assert codes <= {check.code for check in checks if check.is_refusal}


def test_a_wide_grid_is_refused_nothing() -> None:
    grid = isoflop_runs(prior("chinchilla"), 1e20)
    loss = 2.0 + 1e3 / grid.params**0.5 + 1e3 / grid.tokens**0.4
    assert check_planned_runs(CHINCHILLA, grid.params, grid.tokens, grid.flops, loss) == []
