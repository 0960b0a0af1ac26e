"""The runs that a ladder could hold: budgets in octaves, sizes near the best, plain grids."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import DesignError
from foretoken.ladders.exchange import (
    GRID_BUDGETS,
    GRID_SIZES,
    GRID_SPAN,
    LEARNING_RATES,
    OCTAVES,
    SMALLEST,
    STEP,
    WIDEST,
    isoflop_runs,
    possible_runs,
    round_down,
)
from foretoken.ladders.prior import Prior, make_prior


@cache
def prior(largest: float = 1e20) -> Prior:
    return make_prior(None, "chinchilla", largest, None, 0)


def test_budgets_are_octaves_below_the_largest() -> None:
    runs = possible_runs(prior(), 1e20, (), tuned=False)
    octaves = np.log2(1e20 / runs.flops)
    assert set(np.floor(octaves + 0.01)) == set(range(OCTAVES + 1))  # rounding to three digits takes up to 1 %
    assert np.abs(octaves - np.round(octaves)).max() < 0.02


def test_sizes_are_half_octaves_within_a_factor_of_the_best() -> None:
    drawn = prior()
    runs = possible_runs(drawn, 1e20, (), tuned=False)
    sizes = np.unique(runs.params)
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], STEP, rtol=0.02)
    budgets = 1e20 * 2.0 ** -np.round(np.log2(1e20 / runs.flops))
    off = np.abs(np.log(runs.params / drawn.best_size(budgets)))
    assert off.max() <= np.log(WIDEST) * (1 + 1e-6)
    assert off.max() > np.log(WIDEST) - np.log(STEP)


def test_no_run_costs_more_than_its_budget() -> None:
    runs = possible_runs(prior(), 1e20, (), tuned=False)
    assert (runs.flops <= 1e20 * (1 + 1e-12)).all()
    np.testing.assert_allclose(runs.flops, 6 * runs.params * runs.tokens)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.sampled_from([1e7, 2.5e7, 6e7, 1.5e8, 4e8, 1e9]), min_size=1, unique=True))
def test_only_sizes_that_can_be_built_are_offered(sizes: list[float]) -> None:
    runs = possible_runs(prior(), 1e20, tuple(sizes), tuned=False)
    assert set(runs.params) <= set(sizes)


@pytest.mark.parametrize("sizes", [(1e3,), (1e13, 1e14)])
def test_sizes_far_from_the_best_are_refused_with_those_that_would_do(sizes: tuple[float, ...]) -> None:
    with pytest.raises(DesignError, match="within a factor 8 of the best"):
        possible_runs(prior(), 1e20, sizes, tuned=False)


def test_tuned_runs_are_the_same_runs_at_three_rates_too() -> None:
    plain, tuned = (possible_runs(prior(), 1e20, (), tuned=tuned) for tuned in (False, True))
    half = len(plain.params)
    assert len(tuned.params) == 2 * half
    for name in ("params", "tokens", "flops"):
        assert np.array_equal(getattr(tuned, name)[:half], getattr(plain, name))
        assert np.array_equal(getattr(tuned, name)[half:], getattr(plain, name))
    assert np.array_equal(tuned.configuration[:half], tuned.configuration[half:])
    np.testing.assert_allclose(tuned.cost[half:], LEARNING_RATES * tuned.cost[:half])


def test_a_place_is_the_logarithms_of_size_and_length() -> None:
    runs = possible_runs(prior(), 1e20, (), tuned=False)
    np.testing.assert_allclose(np.exp(runs.x).T, [runs.params, runs.tokens])


def test_tiny_ladders_keep_to_runs_that_make_sense() -> None:
    runs = possible_runs(make_prior(None, "chinchilla", 1e11, None, 0), 1e11, (), tuned=False)
    assert runs.params.min() >= SMALLEST
    assert runs.tokens.min() >= SMALLEST * 0.99
    with pytest.raises(DesignError, match="no size suits"):
        possible_runs(make_prior(None, "chinchilla", 1e6, None, 0), 1e6, (), tuned=False)


@settings(deadline=None, max_examples=10)
@given(st.floats(17, 23))
def test_the_plain_grid_has_its_budgets_and_sizes_and_costs_what_it_may(power: float) -> None:
    grid = isoflop_runs(prior(), 10**power)
    flops = grid.flops.reshape(GRID_BUDGETS, GRID_SIZES)
    assert 0.99 * 10**power <= grid.cost.sum() <= 10**power * (1 + 1e-9)
    assert np.median(flops[-1]) / np.median(flops[0]) == pytest.approx(GRID_SPAN, rel=0.02)
    sizes = grid.params.reshape(GRID_BUDGETS, GRID_SIZES)
    np.testing.assert_allclose(sizes[:, -1] / sizes[:, 0], WIDEST**2)
    np.testing.assert_allclose(sizes[:, GRID_SIZES // 2], prior().best_size(np.median(flops, axis=1)), rtol=0.02)


@settings(deadline=None)
@given(st.floats(1e-3, 1e15))
def test_rounding_twice_is_rounding_once_give_or_take_a_last_digit(value: float) -> None:
    once = round_down(np.array(value))
    assert float(round_down(once * (1 + 1e-12))) == pytest.approx(float(once), rel=1e-9)
    assert 0.99 * value * (1 - 1e-9) <= float(once) <= value * (1 + 1e-12)
