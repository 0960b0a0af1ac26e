"""Point estimates: what a sample holds, what is minimised, and that a row which stands for many counts as many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.fits.estimate import (
    AGREE,
    DELTA,
    REFERENCE_FACTOR,
    ROBUST,
    Sample,
    estimate_map,
    estimate_unpenalised,
    sensitivity,
)
from foretoken.fits.objectives import ESTIMATORS, MAP, OBJECTIVES
from foretoken.fits.solvers import Problem, solve
from foretoken.laws import CHINCHILLA, LAWS, POWER

TRUTH = {"a": 30.0, "b": 0.07}
FLOPS = np.geomspace(1e15, 1e18, 12)


def power_sample(noise: float = 0.0, seed: int = 0) -> Sample:
    """Twelve runs of a power law of compute, the shortest first."""
    loss = POWER.evaluate(TRUTH, flops=FLOPS) * np.exp(noise * np.random.default_rng(seed).standard_normal(12))
    return Sample.of(POWER, np.log(FLOPS)[:, None], loss, tokens=np.geomspace(1e6, 1e8, 12))


def surface_sample(noise: float = 0.0) -> Sample:
    """Twenty-five runs of the Chinchilla law on a grid."""
    n, d = (np.exp(side.ravel()) for side in np.meshgrid(np.linspace(9, 12, 5), np.linspace(14, 17, 5)))
    law = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}
    loss = CHINCHILLA.evaluate(law, params=n, tokens=d)
    loss = loss * np.exp(noise * np.random.default_rng(3).standard_normal(25))
    return Sample.of(CHINCHILLA, np.log(np.stack([n, d], axis=1)), loss, d)


def named(sample: Sample, theta: np.ndarray) -> dict[str, float]:
    return sample.law.named(sample.law.shift(theta, sample.origin))


def test_a_sample_is_centred_and_remembers_where_its_centre_was() -> None:
    sample = power_sample()
    np.testing.assert_allclose(np.exp(sample.x + sample.origin)[:, 0], FLOPS)
    assert abs(sample.x.mean()) < 1.0
    np.testing.assert_allclose(np.exp(sample.y), POWER.evaluate(TRUTH, flops=FLOPS))


def test_effort_is_the_log_share_of_the_longest_run() -> None:
    sample = power_sample()
    assert sample.effort[-1] == 0.0
    assert sample.effort[0] == pytest.approx(np.log(1e-2))
    bare = Sample.of(POWER, np.log(FLOPS)[:, None], np.exp(sample.y))
    assert bare.effort.tolist() == [0.0] * 12
    assert bare.count.tolist() == [1.0] * 12


def test_what_a_law_of_scores_predicts_is_not_taken_as_a_logarithm() -> None:
    law = next(law for law in LAWS.values() if not law.is_logarithmic and not law.sequence_input)
    features = np.log(np.random.default_rng(0).uniform(1, 2, (4, len(law.features))))
    assert Sample.of(law, features, np.array([0.0, 0.25, 0.5, 1.0])).y.tolist() == [0.0, 0.25, 0.5, 1.0]


def test_the_residuals_of_the_truth_are_the_noise() -> None:
    exact, noisy = power_sample(), power_sample(0.01)
    theta = POWER.shift(POWER.theta(TRUTH), -exact.origin)
    np.testing.assert_allclose(exact.residual(theta), 0.0, atol=1e-12)
    np.testing.assert_allclose(noisy.residual(theta), noisy.y - exact.y, atol=1e-12)


def slope_of(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """The gradient of what is minimised [p], by the weights that a step of reweighted least squares uses."""
    residual, gradient = problem.fitted(theta[None])
    weight = problem.weight * problem.cost.weight(residual, problem.delta)
    return np.asarray(np.einsum("br,br,brp->p", weight, residual, gradient)) + (
        problem.precision * (theta - problem.mean[0])
    )


def by_differences(problem: Problem, theta: np.ndarray, step: float = 1e-6) -> np.ndarray:
    sides = [problem.objective(theta + sign * step * np.eye(len(theta))) for sign in (1.0, -1.0)]
    return np.asarray((sides[0] - sides[1]) / (2 * step))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_step_goes_down_the_gradient_of_each_objective(name: str) -> None:
    sample = surface_sample(0.02)
    batch = sample.unpenalised_problem(sample.y[None], np.ones((1, 25)), OBJECTIVES[name], 0.01)
    problem = replace(batch, y=np.repeat(batch.y, 5, axis=0))
    theta = estimate_unpenalised(sample).theta + np.array([0.1, -0.05, 0.03, 0.02, -0.04])
    np.testing.assert_allclose(by_differences(problem, theta), slope_of(batch, theta), rtol=2e-3, atol=1e-6)


def test_the_gradient_of_the_map_problem_holds_the_prior() -> None:
    sample = surface_sample(0.02)
    sigma = np.linspace(0.01, 0.03, 25)
    batch = sample.map_problem(sample.y[None], np.ones((1, 25)), sigma)
    centre, scale = CHINCHILLA.prior(sample.y)
    theta = np.where(np.isfinite(scale), centre + 0.3, 0.0)
    np.testing.assert_allclose(by_differences(batch, theta), slope_of(batch, theta), rtol=2e-3, atol=1e-4)
    far = replace(batch, weight=np.zeros((1, 25)))
    np.testing.assert_allclose(
        far.objective(theta[None]), (0.3**2 / 2 * scale[np.isfinite(scale)] ** -2.0).sum(), rtol=1e-9
    )


def test_the_map_problem_counts_each_run_by_its_noise() -> None:
    sample, sigma = power_sample(), np.linspace(0.01, 0.04, 12)
    problem = sample.map_problem(sample.y[None], np.ones((1, 12)), sigma)
    np.testing.assert_allclose(problem.weight, sigma[None] ** -2.0)
    np.testing.assert_allclose(problem.delta, ROBUST * sigma)


def test_exact_runs_give_back_their_law_from_every_start() -> None:
    sample = power_sample()
    best = estimate_unpenalised(sample)
    assert named(sample, best.theta) == pytest.approx(TRUTH, rel=1e-4)
    assert best.huber_sum < 1e-12
    assert 0 < best.agree <= best.tried
    assert (best.objective, best.scale) == ("huber", DELTA)


@pytest.mark.parametrize("name", ["huber", "least_squares", "asymmetric"])
def test_a_row_that_stands_for_three_runs_counts_as_three(name: str) -> None:
    once = power_sample(0.01)
    counts = np.array([3.0] + [1.0] * 11)
    weighed = replace(once, count=counts)
    rows = np.repeat(np.arange(12), counts.astype(int))
    repeated = replace(once, x=once.x[rows], y=once.y[rows], effort=once.effort[rows], count=np.ones(14))
    one, other, plain = (estimate_unpenalised(sample, name) for sample in (weighed, repeated, once))
    assert named(once, one.theta) == pytest.approx(named(once, other.theta), rel=1e-4)
    assert one.huber_sum == pytest.approx(other.huber_sum, rel=1e-4)
    assert one.huber_sum > plain.huber_sum


def test_a_known_estimate_nearby_saves_starts_and_leads_to_the_same() -> None:
    sample = surface_sample(0.005)
    far = estimate_unpenalised(sample)
    near = estimate_unpenalised(sample, near=far.theta)
    assert near.tried < far.tried
    assert near.huber_sum == pytest.approx(far.huber_sum, rel=AGREE)


def test_student_t_takes_its_scale_from_the_spread_of_the_runs() -> None:
    assert estimate_unpenalised(power_sample(0.02), "student_t").scale == pytest.approx(0.02, rel=0.5)
    assert estimate_unpenalised(power_sample(0.02), "least_squares").scale == DELTA


def test_least_squares_is_the_regression_line() -> None:
    sample = power_sample(0.02)
    slope, level = np.polyfit(np.log(FLOPS), sample.y, 1)
    found = named(sample, estimate_unpenalised(sample, "least_squares").theta)
    assert found == pytest.approx({"a": np.exp(level), "b": -slope}, rel=1e-5)


@given(st.floats(0.1, 10.0))
@settings(max_examples=4, deadline=None)
def test_losses_times_a_factor_move_the_scale_alone(factor: float) -> None:
    sample = power_sample(0.01)
    scaled = named(sample, estimate_unpenalised(replace(sample, y=sample.y + np.log(factor))).theta)
    plain = named(sample, estimate_unpenalised(sample).theta)
    assert scaled == pytest.approx({"a": factor * plain["a"], "b": plain["b"]}, rel=1e-3)


def test_a_prior_pulls_the_map_estimate_where_the_data_are_noisy() -> None:
    exact, noisy = surface_sample(), surface_sample(0.05)
    centre, scale = CHINCHILLA.prior(noisy.y)
    pulled = np.isfinite(scale)

    def distance(sample: Sample) -> float:
        theta, _ = estimate_map(sample, estimate_unpenalised(sample).theta)
        unpenalised = estimate_unpenalised(sample).theta
        off = [float((((at - centre) / scale)[pulled] ** 2).sum()) for at in (theta, unpenalised)]
        return off[0] / off[1]

    assert distance(noisy) < 1.0
    assert distance(exact) == pytest.approx(1.0, abs=0.05)


def test_the_map_estimate_tells_the_noise_of_the_runs() -> None:
    noise = estimate_map(power_sample(0.01), estimate_unpenalised(power_sample(0.01)).theta)[1]
    assert noise.sd == pytest.approx(0.01, rel=0.6)


def test_sensitivity_gives_each_objective_once_with_the_law_far_out() -> None:
    sample = power_sample(0.01)
    best = estimate_unpenalised(sample)
    entries = sensitivity(sample, best, estimate_map(sample, best.theta)[0])
    assert [entry.objective for entry in entries] == list(ESTIMATORS)
    for entry in entries:
        there = POWER.evaluate(entry.parameters, flops=np.array([REFERENCE_FACTOR * FLOPS[-1]]))[0]
        assert entry.loss == pytest.approx(there, rel=1e-9)
    assert entries[0].objective == MAP


def test_squares_of_a_score_and_of_its_logarithm_are_not_both_listed() -> None:
    law = next(law for law in LAWS.values() if not law.is_logarithmic and len(law.features) == 1)
    x = np.linspace(-1.0, 1.0, 9)[:, None]
    theta = law.starts(x, np.linspace(0.2, 0.8, 9))[0]
    sample = Sample.of(law, x, law.value_and_grad(theta[None], x - law.origin(x))[0][0])
    names = [entry.objective for entry in sensitivity(sample, estimate_unpenalised(sample), theta)]
    assert "least_squares" in names
    assert "least_squares_raw" not in names


@pytest.mark.parametrize("held", [0, 1])
def test_infinite_precision_holds_a_parameter_where_it_starts(held: int) -> None:
    sample = power_sample(0.01)
    # Squares, since residuals of one sign would leave a Huber sum flat over b.
    problem = sample.unpenalised_problem(sample.y[None], np.ones((1, 12)), OBJECTIVES["least_squares"])
    precision = np.where(np.arange(2) == held, np.inf, 0.0)
    best = estimate_unpenalised(sample, "least_squares").theta
    start = best + 0.1
    theta, value = solve(replace(problem, precision=precision), start[None], 1e-10)
    assert theta[0, held] == start[held]
    assert theta[0, 1 - held] != start[1 - held]
    assert problem.objective(best[None])[0] < value[0] < problem.objective(start[None])[0]
