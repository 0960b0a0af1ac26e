from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import huber as scipy_huber

from foretoken.fits.solvers import Common, Problem, huber, solve
from foretoken.laws import CHINCHILLA

TRUTH = np.log([1.0, 0.5, 0.6, 0.4, 0.35])


def problem(noise: np.ndarray, delta: float = 1e-3, weight: np.ndarray | None = None) -> Problem:
    n, d = np.meshgrid(np.linspace(-1.5, 1.5, 5), np.linspace(-1.5, 1.5, 5))
    x = np.stack([n.ravel(), d.ravel()], axis=1)
    y = CHINCHILLA.value_and_grad(TRUTH[None], x)[0] + noise
    nothing = np.zeros((1, 5))
    weight = np.ones((1, 25)) if weight is None else weight
    return Problem(CHINCHILLA, x, y, weight, delta, nothing, nothing[0], *CHINCHILLA.bounds(y[0]))


def test_huber_is_scipys() -> None:
    residual = np.linspace(-0.01, 0.01, 41)
    np.testing.assert_allclose(huber(residual, 1e-3), scipy_huber(1e-3, residual))


def test_every_member_of_a_batch_finds_its_own_truth() -> None:
    theta, value = solve(problem(np.zeros((3, 25))), TRUTH + np.array([[0.2], [-0.2], [0.4]]), 1e-12, steps=2000)
    assert value.max() < 1e-10
    np.testing.assert_allclose(theta, np.repeat(TRUTH[None], 3, axis=0), atol=2e-3)


def test_batch_reaches_what_scipy_reaches_on_noisy_data() -> None:
    one = problem(0.003 * np.random.default_rng(0).standard_normal((1, 25)))
    theta, value = solve(one, TRUTH[None], 1e-13, steps=2000)
    rival = minimize(
        lambda p: 1e4 * one.objective(p[None])[0],
        theta[0] + 0.01,
        method="Nelder-Mead",
        options={"maxiter": 4000, "maxfev": 4000, "xatol": 1e-9, "fatol": 1e-12},
    )
    assert value[0] <= rival.fun / 1e4 * (1 + 1e-6)


def test_a_weight_of_zero_holds_a_run_out() -> None:
    noise = np.zeros((1, 25))
    noise[0, 7] = 0.5
    weight = np.ones((1, 25))
    weight[0, 7] = 0.0
    theta, _ = solve(problem(noise, weight=weight), TRUTH[None] + 0.1, 1e-12, steps=2000)
    np.testing.assert_allclose(theta[0], TRUTH, atol=2e-3)


def test_descent_never_ends_above_its_start() -> None:
    one = problem(0.01 * np.random.default_rng(1).standard_normal((8, 25)))
    start = TRUTH + np.random.default_rng(2).normal(0, 0.7, (8, 5))
    begun = one.objective(np.clip(start, one.low, one.high))
    assert (solve(one, start, steps=5)[1] <= begun).all()


@pytest.mark.parametrize("delta", [1e-3, 1e-1])
def test_a_strong_assumption_wins_over_the_data(delta: float) -> None:
    from dataclasses import replace

    one = replace(problem(np.zeros((1, 25)), delta), mean=TRUTH[None] + 0.3, precision=np.full(5, 1e6))
    np.testing.assert_allclose(solve(one, TRUTH[None])[0][0], TRUTH + 0.3, atol=1e-3)


def test_what_a_cluster_shares_is_taken_off_as_generalised_least_squares_does() -> None:
    """The sum of squares over sigma^2 is r' S^-1 r with the dense covariance of runs that share an error."""
    generator = np.random.default_rng(4)
    of_run, sigma, sd = np.arange(25) // 5, generator.uniform(0.002, 0.01, 25), 0.006
    common = Common.of(of_run, sd, sigma, np.ones(25))
    residual = generator.normal(0, 0.01, (3, 25))
    dense = np.diag(sigma**2) + sd**2 * (of_run[:, None] == of_run)
    expected = [one @ np.linalg.solve(dense, one) for one in residual]
    np.testing.assert_allclose(((common.taken_off(residual) / sigma) ** 2).sum(axis=1), expected)
    gradient = generator.normal(size=(3, 25, 2))
    both = np.stack([common.taken_off(gradient[..., k]) for k in range(2)], axis=-1)
    np.testing.assert_allclose(common.taken_off(gradient), both)


def test_a_shared_error_of_one_budget_moves_an_estimate_little() -> None:
    noise = np.zeros((1, 25))
    noise[0, :5] = 0.02
    plain = replace(problem(noise), delta=1.0)
    common = Common.of(np.arange(25) // 5, 0.02, np.full(25, 1e-4), np.ones(25))
    far, near = (solve(one, TRUTH[None], 1e-13, steps=2000)[0][0] for one in (plain, replace(plain, common=common)))
    assert np.abs(near[3:] - TRUTH[3:]).max() < 0.2 * np.abs(far[3:] - TRUTH[3:]).max()
