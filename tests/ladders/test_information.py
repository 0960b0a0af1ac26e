"""The expected error of a fit: against finite differences, brute force, and a simulation of the linear model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.ladders.information import Criterion, FisherInformation, geometric_mean
from foretoken.ladders.prior import make_prior
from foretoken.ladders.target import make_target

DRAWS, RUNS, PARAMETERS, QUANTITIES, TERMS = 3, 6, 4, 2, 3


def made_up(seed: int, discrepancy: float = 0.1, cell: float = 0.2) -> Criterion:
    """A criterion of random gradients."""
    generator = np.random.default_rng(seed)
    past_gradient = generator.standard_normal((DRAWS, 5, PARAMETERS))
    return Criterion(
        gradient=generator.standard_normal((DRAWS, RUNS, PARAMETERS)),
        discrepancy=discrepancy * generator.standard_normal((RUNS, TERMS)),
        quantities=generator.standard_normal((DRAWS, QUANTITIES, PARAMETERS)),
        quantities_discrepancy=discrepancy * generator.standard_normal((DRAWS, QUANTITIES, TERMS)),
        prior_precision=generator.uniform(0.1, 2.0, PARAMETERS),
        prior_offset=generator.standard_normal((DRAWS, PARAMETERS)),
        past=FisherInformation.of_runs(
            past_gradient, discrepancy * generator.standard_normal((5, TERMS)), generator.uniform(0.5, 2.0, 5)
        ),
        run_sd=generator.uniform(0.3, 1.0, RUNS),
        cell_sd=np.full(RUNS, cell),
    )


counts_of_runs = st.lists(st.integers(0, 4), min_size=RUNS, max_size=RUNS).map(lambda row: np.array(row, float))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), counts_of_runs)
def test_one_run_more_by_the_rank_one_update_is_one_run_more(seed: int, counts: np.ndarray) -> None:
    criterion = made_up(seed)
    one_by_one = [criterion.loss(counts + np.eye(RUNS)[k]) for k in range(RUNS)]
    np.testing.assert_allclose(criterion.loss_after(counts, np.arange(RUNS)), np.stack(one_by_one, axis=1), rtol=1e-8)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), counts_of_runs)
def test_without_the_priors_pull_and_a_discrepancy_runs_never_hurt(seed: int, counts: np.ndarray) -> None:
    """Where a fit assumes next to nothing, more information means less error."""
    criterion = replace(made_up(seed, discrepancy=0.0), prior_precision=np.full(PARAMETERS, 1e-9))
    before = criterion.loss(counts)
    assert (criterion.loss_after(counts, np.arange(RUNS)) <= before[:, None] * (1 + 1e-6)).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_variance_of_a_mean_is_that_of_its_cell_and_of_its_seeds(seed: int) -> None:
    criterion = made_up(seed)
    precision = criterion.precision(np.array([0.0, 1, 2, 4, 100, 1e12]))
    assert precision[0] == 0
    assert 1 / precision[2] == pytest.approx(0.04 + criterion.run_sd[2] ** 2 / 2)
    assert 1 / precision[5] == pytest.approx(0.04)  # seeds without end leave what the cell shares


def test_information_adds_up_over_runs() -> None:
    generator = np.random.default_rng(3)
    gradient, discrepancy = generator.standard_normal((2, 7, 3)), generator.standard_normal((7, 2))
    precision = generator.uniform(0.1, 2, 7)
    whole = FisherInformation.of_runs(gradient, discrepancy, precision)
    parts = FisherInformation.of_runs(gradient[:, :3], discrepancy[:3], precision[:3]) + FisherInformation.of_runs(
        gradient[:, 3:], discrepancy[3:], precision[3:]
    )
    np.testing.assert_allclose(whole.parameters, parts.parameters)
    np.testing.assert_allclose(whole.discrepancy, parts.discrepancy)
    by_hand = sum(precision[k] * np.outer(gradient[1, k], gradient[1, k]) for k in range(7))
    np.testing.assert_allclose(whole.parameters[1], by_hand)


def test_the_expected_squared_error_is_that_of_simulated_fits() -> None:
    """10 000 tables of the linear model, each fitted by its normal equations, against noise + pull^2 + drag^2."""
    generator, criterion = np.random.default_rng(0), made_up(11)
    none = FisherInformation(np.zeros((DRAWS, PARAMETERS, PARAMETERS)), np.zeros((DRAWS, PARAMETERS, TERMS)))
    criterion, counts = replace(criterion, past=none), np.array([1.0, 2, 0, 1, 3, 1])
    here, tables, draw = counts > 0, 10_000, 1
    gradient, drag = criterion.gradient[draw, here], criterion.discrepancy[here]
    weight = criterion.precision(counts)[here]
    terms = generator.standard_normal((tables, TERMS))
    y = terms @ drag.T + generator.standard_normal((tables, here.sum())) / np.sqrt(weight)
    prior = criterion.prior_precision
    normal = gradient.T * weight @ gradient + np.diag(prior)
    right = y * weight @ gradient + prior * criterion.prior_offset[draw]
    delta = np.linalg.solve(normal, right.T).T
    error = delta @ criterion.quantities[draw].T - terms @ criterion.quantities_discrepancy[draw].T
    expected = criterion.squared_error(criterion.quantities, criterion.quantities_discrepancy, counts)[draw]
    np.testing.assert_allclose((error**2).mean(axis=0), expected, rtol=0.06)


def test_without_runs_the_error_is_the_priors_own_offset() -> None:
    criterion = made_up(2, discrepancy=0.0)
    none = FisherInformation(np.zeros((DRAWS, PARAMETERS, PARAMETERS)), np.zeros((DRAWS, PARAMETERS, TERMS)))
    alone = replace(criterion, past=none).loss(np.zeros(RUNS))
    pull = np.einsum("sqp,sp->sq", criterion.quantities, criterion.prior_offset)
    np.testing.assert_allclose(alone, (pull**2).sum(axis=1))


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_the_geometric_mean_scales_and_lies_between_its_ends(losses: list[float], factor: float) -> None:
    values = np.array(losses)
    middle = float(geometric_mean(values))
    assert values.min() * (1 - 1e-9) <= middle <= values.max() * (1 + 1e-9)
    assert float(geometric_mean(factor * values)) == pytest.approx(factor * middle)
    assert 1 / float(geometric_mean(1 / values)) == pytest.approx(middle)


# The gradients that the information is made of


@pytest.mark.parametrize("formula", ["chinchilla", "coupled"])
def test_gradients_of_the_prior_are_finite_differences_of_its_losses(formula: str) -> None:
    prior = make_prior(None, formula, 1e20, None, 0)
    x, step = prior.origin + np.array([[0.0, 0.0], [1.5, -0.5], [-2.0, 1.0]]), 1e-6
    gradient = prior.gradient(x)
    for k in range(prior.theta.shape[1]):
        moved = step * np.eye(prior.theta.shape[1])[k]
        up, down = (prior.law.value_and_grad(prior.theta + s * moved, x - prior.origin)[0] for s in (1, -1))
        np.testing.assert_allclose(gradient[:, :, k], (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


def test_the_gradient_of_the_target_is_that_of_its_loss() -> None:
    prior = make_prior(None, "chinchilla", 1e20, None, 0)
    target = make_target(prior, None, 1e10, 2e11, "loss")
    np.testing.assert_allclose(target.loss[:, 0], prior.gradient(np.log([[1e10, 2e11]]))[:, 0])
    assert (target.loss_discrepancy == 0).all()  # at the target the discrepancy is nothing by its definition


def test_the_gradient_of_the_best_size_is_that_of_the_closed_form() -> None:
    """The size's quantity is the gradient of ln N* times sqrt(curvature / (2 slope)): compare their directions."""
    prior = make_prior("besiroglu_2024", "chinchilla", 1e20, None, 0)
    target = make_target(prior, 1e22, None, None, "size")
    step, count = 1e-5, prior.theta.shape[1]

    def size(theta: np.ndarray) -> np.ndarray:
        rows = prior.law.shift(theta, prior.origin)
        return np.log([prior.law.optimum(prior.law.named(row), 1e22)[0] for row in rows])

    moves = [step * np.eye(count)[k] for k in range(count)]
    exact = np.stack([(size(prior.theta + move) - size(prior.theta - move)) / (2 * step) for move in moves], axis=1)
    told = target.quantities[:, 0]
    cosine = (told * exact).sum(axis=1) / np.linalg.norm(told, axis=1) / np.linalg.norm(exact, axis=1)
    assert np.abs(cosine).min() > 0.99
