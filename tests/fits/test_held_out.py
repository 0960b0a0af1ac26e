"""Held-out errors and patterns by hand: zero on exact runs, growing with distance, a chance that is a chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.fits import misfit as module
from foretoken.fits.estimate import Sample
from foretoken.fits.misfit import LEAST_GROWTH, OWN_SHARE, WRONG, assumed_growth, misfit_growth, pattern_p_value
from foretoken.fits.noise import NoiseModel
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws import POWER
from foretoken.runs.table import RunTable

TRUTH = {"a": 30.0, "b": 0.07}
NOISE = NoiseModel(0.002, 0.0)


def runs_of(bend: float = 0.0, noise: float = 0.0, runs: int = 30, seed: int = 0) -> tuple[Sample, Rows, np.ndarray]:
    """Runs of a power law that bends with ln compute above the middle, their rows, and theta of the least squares."""
    import pandas as pd

    flops = np.geomspace(1e15, 1e19, runs)
    beyond = np.maximum(0.0, np.log(flops / np.median(flops)))
    loss = POWER.evaluate(TRUTH, flops=flops) * np.exp(bend * beyond**2)
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(runs))
    size = np.sqrt(flops / 120)
    frame = pd.DataFrame({"params_total": size, "tokens": 20 * size, "flops": flops, "loss": loss})
    rows = clean_rows(RunTable(frame, "a test"), law=POWER)
    sample = Sample.of(POWER, rows.features(POWER), rows.y, rows.tokens)
    slope, level = np.polyfit(sample.x[:, 0], sample.y, 1)
    return sample, rows, np.array([level, np.log(-slope)])


def test_exact_runs_are_foretold_exactly_at_every_distance() -> None:
    sample, rows, theta = runs_of()
    growth, tests = misfit_growth(sample, rows, theta, NOISE, 0.0, 1.0)
    assert 0 < growth < 1.1 * LEAST_GROWTH  # small, and never nothing: the law may be wrong beyond them
    assert tests
    assert max(test.square for test in tests) < 1e-10
    assert all(test.explained >= NOISE.sd for test in tests)


def test_a_law_that_bends_errs_more_the_farther_the_forecast() -> None:
    sample, rows, theta = runs_of(bend=0.005)
    growth, tests = misfit_growth(sample, rows, theta, NOISE, 0.0, 1e-6)
    by_distance = sorted(tests, key=lambda test: test.distance)
    assert by_distance[-1].square > 4 * by_distance[0].square
    assert all(test.error < 0 for test in by_distance[-3:])
    assert growth > WRONG


@pytest.mark.parametrize("bend", [0.0, 0.001, 0.002, 0.004, 0.008])
def test_growth_is_the_geometric_mean_of_what_is_measured_and_assumed(bend: float) -> None:
    sample, rows, theta = runs_of(bend=bend)
    growth, tests = misfit_growth(sample, rows, theta, NOISE, 0.0, 1e-6)
    excess = sum(test.square for test in tests) - sum(test.explained**2 for test in tests)
    measured = max(np.sqrt(max(0.0, excess) / sum(test.distance**2 for test in tests)), LEAST_GROWTH)
    assert np.log(growth) == pytest.approx(
        OWN_SHARE * np.log(measured) + (1 - OWN_SHARE) * np.log(assumed_growth(1e-6))
    )


def test_growth_rises_with_the_bend() -> None:
    grown = [misfit_growth(*runs_of(bend=bend), NOISE, 0.0, 1e-6)[0] for bend in (0.0, 0.003, 0.006, 0.012)]
    assert grown == sorted(grown)
    assert grown[-1] > 1.5 * grown[0]


def test_forecasts_that_surprise_count_although_no_pattern_shows() -> None:
    sample, rows, theta = runs_of(bend=0.01)
    expected = replace(NOISE, sd=1.0)
    surprised, foreseen = (misfit_growth(sample, rows, theta, noise, 0.0, 0.5)[0] for noise in (NOISE, expected))
    assert surprised > 1.2 * foreseen > 0


@given(st.floats(1e-12, 1.0), st.floats(1e-12, 1.0))
def test_a_surer_pattern_never_means_less_misfit(one: float, other: float) -> None:
    surer, less_sure = sorted((one, other))
    assert assumed_growth(surer) >= assumed_growth(less_sure)
    assert abs(np.log(assumed_growth(one * 1.01) / assumed_growth(one))) < 0.01  # and nowhere is there a switch


def test_what_budgets_share_is_taken_off_unless_a_pattern_is_certain() -> None:
    sample, rows, theta = runs_of(bend=0.004)
    shared, certain = (misfit_growth(sample, rows, theta, NOISE, 0.05, chance)[1] for chance in (0.01, 1e-4))
    assert all(one.explained > 0.05 > other.explained for one, other in zip(shared, certain, strict=True))


def test_a_table_too_small_to_hold_runs_out_takes_what_is_assumed() -> None:
    sample, rows, theta = runs_of(runs=8)
    assert misfit_growth(sample, rows, theta, NOISE, 0.0, 0.0) == (assumed_growth(0.0), [])


def test_distance_is_the_largest_factor_beyond_what_was_trained() -> None:
    _, rows, _ = runs_of()
    trained = np.arange(30) < 20
    distance = module._distance(rows, trained)
    assert distance[:20].max() == 0.0
    np.testing.assert_allclose(distance[20:], np.log(rows.flops[20:] / rows.flops[19]))


def test_octaves_are_factors_of_two_of_the_distance() -> None:
    factors = np.log([1.0, 1.0, 2.0, 2.1, 4.0, 8.0, 8.3, 1.2])
    assert [octave.tolist() for octave in module._octaves(factors)] == [[2, 3], [4], [5, 6]]
    assert module._octaves(np.zeros(3)) == []


@pytest.mark.parametrize(("features", "patterns"), [(1, 2), (2, 7), (3, 16)])
def test_patterns_are_all_products_of_two_and_three_features(features: int, patterns: int) -> None:
    x = np.random.default_rng(0).standard_normal((20, features))
    columns = module._patterns(x)
    assert columns.shape == (20, patterns)
    assert np.linalg.matrix_rank(columns) == patterns
    u = x / x.std(axis=0)
    np.testing.assert_allclose(columns[:, 0], u[:, 0] ** 2)
    np.testing.assert_allclose(columns[:, -1], u[:, -1] ** 3)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_columns_leave_what_least_squares_leaves(seed: int) -> None:
    generator = np.random.default_rng(seed)
    columns, z = generator.standard_normal((15, 4)), generator.standard_normal(15)
    doubled = np.concatenate([columns, columns[:, :1] - columns[:, 2:3]], axis=1)
    left, rank = module._left(z, doubled)
    assert rank == 4
    assert left == pytest.approx(np.linalg.lstsq(columns, z, rcond=None)[1][0], rel=1e-9)


def test_the_chance_of_a_pattern_is_even_under_a_right_law() -> None:
    chances = []
    for seed in range(40):
        sample, _, theta = runs_of(noise=0.002, seed=seed)
        chances.append(pattern_p_value(sample, theta, np.full(30, 0.002), None))
    assert np.mean(np.array(chances) < 0.5) == pytest.approx(0.5, abs=0.17)
    assert min(chances) > 1e-5


@pytest.mark.parametrize(("bend", "certain"), [(0.003, True), (0.0, False)])
def test_a_bend_is_a_pattern(bend: float, certain: bool) -> None:
    sample, _, theta = runs_of(bend=bend, noise=0.002)
    assert (pattern_p_value(sample, theta, np.full(30, 0.002), None) < 1e-3) == certain


def test_a_pattern_that_budgets_could_have_in_common_is_none() -> None:
    sample, _, theta = runs_of(noise=0.002)
    budget = np.arange(30) // 5
    common = replace(sample, y=sample.y + np.random.default_rng(1).normal(0, 0.02, 6)[budget])
    alone, beside = (pattern_p_value(common, theta, np.full(30, 0.002), clusters) for clusters in (None, budget))
    assert alone < 0.01 < beside


def test_a_short_table_cannot_be_tested_for_patterns() -> None:
    sample, _, theta = runs_of(noise=0.002, runs=15)
    assert pattern_p_value(sample, theta, np.full(15, 0.002), None) == 0.0
