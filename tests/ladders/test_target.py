"""The target's quantities of interest: scaled so that a squared error is lost compute, against direct counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from foretoken.fits.estimate import LOOSER
from foretoken.ladders.prior import Prior, make_prior
from foretoken.ladders.target import (
    FLAT,
    Target,
    expected_estimate,
    half_way_to_estimate,
    make_target,
    posterior_variance,
)


@cache
def prior(formula: str = "chinchilla", known: str | None = "besiroglu_2024") -> Prior:
    return make_prior(known, formula, 1e20, None, 0)


def target(goal: str = "both", flops: float = 1e22) -> Target:
    return make_target(prior(), flops, None, None, goal)


@pytest.mark.parametrize("flops", [1e20, 1e22, 1e25])
def test_a_target_of_compute_is_the_middle_of_the_best_sizes(flops: float) -> None:
    found = target(flops=flops)
    assert found.params == pytest.approx(float(prior().best_size(np.array([flops]))[0]))
    assert 6 * found.params * found.tokens == pytest.approx(flops)


def test_a_target_of_size_and_length_has_their_compute() -> None:
    found = make_target(prior(), None, 7e9, 1.4e11, "both")
    assert (found.params, found.tokens) == (7e9, 1.4e11)
    assert found.flops == pytest.approx(6 * 7e9 * 1.4e11)


def test_both_goals_are_the_size_then_the_loss() -> None:
    both, size, loss = target("both"), target("size"), target("loss")
    np.testing.assert_allclose(both.quantities[:, :1], size.quantities)
    np.testing.assert_allclose(both.quantities[:, 1:], loss.quantities)
    np.testing.assert_allclose(both.quantities_discrepancy[:, :1], size.quantities_discrepancy)


def test_an_error_of_the_loss_costs_half_its_square_in_e_folds_of_compute() -> None:
    """For each draw: ln loss off by e buys e / slope e-folds; slope is the fall of ln of the least loss per e-fold."""
    drawn, found = prior(), target("loss")
    theta = drawn.law.shift(drawn.theta, drawn.origin)
    step = 1e-3

    def least(row: np.ndarray, flops: float) -> float:
        size, length = (float(half) for half in drawn.law.optimum(drawn.law.named(row), flops, 6.0))
        return float(drawn.law.value_and_grad(row[None], np.log([[size, length]]))[0][0, 0])

    slopes = np.array(
        [(least(row, 1e22 * np.exp(-step)) - least(row, 1e22 * np.exp(step))) / (2 * step) for row in theta]
    )
    expected = found.loss[:, 0] / (np.sqrt(2) * slopes[:, None])
    np.testing.assert_allclose(found.quantities[:, 0], expected, rtol=0.02)


def test_an_error_of_the_size_costs_what_the_wrong_size_loses() -> None:
    """A move of the parameters moves N*; training there what the old N* says loses (quantity . move)^2 of compute."""
    drawn, found = prior(), target("size")
    move = np.array([0.0, 0.02, -0.02, 0.0, 0.0])  # of ln A and ln B: no other slope moves
    true = drawn.law.shift(drawn.theta, drawn.origin)
    moved = drawn.law.shift(drawn.theta + move, drawn.origin)
    for k in range(0, len(true), 16):
        size = float(drawn.law.optimum(drawn.law.named(moved[k]), 1e22, 6.0)[0])
        best = float(drawn.law.optimum(drawn.law.named(true[k]), 1e22, 6.0)[0])

        def ln_loss(params: float, flops: float, row: np.ndarray = true[k]) -> float:
            return float(drawn.law.value_and_grad(row[None], np.log([[params, flops / 6 / params]]))[0][0, 0])

        def least(flops: float, row: np.ndarray = true[k]) -> float:
            return ln_loss(float(drawn.law.optimum(drawn.law.named(row), flops, 6.0)[0]), flops)

        fall = (least(1e22 / 1.1) - least(1e22 * 1.1)) / (2 * np.log(1.1))
        lost = (ln_loss(size, 1e22) - ln_loss(best, 1e22)) / fall
        assert float(found.quantities[k, 0] @ move) ** 2 == pytest.approx(lost, rel=0.1)


def test_what_a_fit_assumes_of_nothing_is_flat() -> None:
    found = target()
    spread = prior().law.prior(np.zeros(1))[1]
    expected = np.where(np.isfinite(spread), spread, FLAT) ** -2.0
    np.testing.assert_allclose(found.prior_precision, expected)
    assert (found.prior_offset[:, ~np.isfinite(spread)] == 0).all()


def test_a_fit_that_trusts_its_law_assumes_less_of_it() -> None:
    """As the fit itself will: E and the exponents are free over a wider range; the rest stays."""
    trusting = make_target(replace(prior(), trust=1.0), 1e22, None, None, "both").prior_precision
    np.testing.assert_allclose(
        target().prior_precision / trusting, [LOOSER["E"] ** 2, 1, 1, LOOSER["alpha"] ** 2, LOOSER["beta"] ** 2]
    )


def test_without_runs_there_is_no_information() -> None:
    found = target()
    assert (found.past.parameters == 0).all()
    assert (found.past.discrepancy == 0).all()


def test_runs_that_there_are_give_information_of_every_gradient() -> None:
    x = prior().origin + np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 2.0]])
    richer = replace(prior(), past_runs=x)
    found = make_target(richer, 1e22, None, None, "both")
    gradient, variance = richer.gradient(x), richer.past_variance
    expected = sum(gradient[0, k, :, None] * gradient[0, k] / variance[k] for k in range(3))
    np.testing.assert_allclose(found.past.parameters[0], expected)
    assert (found.past.discrepancy != 0).any()


def test_many_sharp_runs_lead_back_to_the_draw_and_none_to_what_is_assumed() -> None:
    drawn, found = prior(), target()
    nothing = expected_estimate(drawn, found, np.zeros((0, 2)), np.zeros(0))
    assumed = found.prior_precision > 1e-3
    np.testing.assert_allclose(
        np.clip(found.prior_offset, -6, 6)[:, assumed], (nothing - drawn.theta)[:, assumed], atol=1e-6
    )


def test_half_way_is_between_the_draw_and_the_estimate() -> None:
    drawn, found = prior(), target()
    x = drawn.origin + np.random.default_rng(0).uniform(-2, 2, (20, 2))
    variance = np.full(20, 0.004**2)
    estimate = expected_estimate(drawn, found, x, variance)
    half = half_way_to_estimate(drawn, found, x, variance)
    np.testing.assert_allclose(2 * half.linearise_at - drawn.theta, estimate)
    assert np.array_equal(half.theta, drawn.theta)


def test_each_run_more_leaves_less_open_and_far_runs_leave_the_discrepancy() -> None:
    drawn, found = prior(), target("loss")
    generator = np.random.default_rng(0)
    x = np.log([1e8, 2e9]) + generator.normal(0.0, 1.0, (12, 2))
    left = [posterior_variance(drawn, found, x[:k], np.full(k, 1e-5))[0] for k in range(13)]
    assert all((after <= before * (1 + 1e-9)).all() for before, after in pairwise(left))
    # Runs at the target itself have no discrepancy: their mean is the loss, and its variance theirs.
    at = np.repeat(np.log([[found.params, found.tokens]]), 400, axis=0)
    known = posterior_variance(drawn, found, at, np.full(400, 1e-5))[0]
    np.testing.assert_allclose(known, 1e-5 / 400, rtol=1e-3)
    # Far from it all runs share what the law does not say: a tenth of their variance is worth less than a third of it.
    near, precise = (posterior_variance(drawn, found, x, np.full(12, variance))[0] for variance in (1e-5, 1e-6))
    assert (precise > 0.1 * near).all()


def test_what_counts_is_the_sum_of_its_quantities() -> None:
    drawn = prior()
    x, variance = np.log([[1e8, 2e9], [2e8, 2e9], [1e8, 6e9]]), np.full(3, 1e-5)
    both, size, loss = (posterior_variance(drawn, target(goal), x, variance)[1] for goal in ("both", "size", "loss"))
    np.testing.assert_allclose(both, size + loss)
