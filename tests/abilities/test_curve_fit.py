from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from foretoken.abilities.curve import Curve
from foretoken.abilities.curve_fit import fit_curve
from foretoken.abilities.likelihoods import Proportions, Unbounded
from foretoken.abilities.shapes import shapes_for


def test_the_density_of_a_proportion_is_the_binomial_s() -> None:
    y, n = np.array([0.0, 0.3, 1.0]), np.array([20.0, 20.0, 20.0])
    likelihood = Proportions.of(y, n)
    mu = np.array([0.1, 0.25, 0.9])
    exact = stats.binom.logpmf(np.round(n * y), 20, mu).sum() + 3 * np.log(20)
    assert np.isclose(likelihood.log_density(mu[None, None, :])[0, 0], exact)


def test_the_evidence_is_the_integral_over_the_levels() -> None:
    y = np.array([0.42, 0.38, 0.44, 0.40])
    likelihood = Proportions.of(y, np.full(4, 100.0)).with_noise(slice(0, 1))
    fit = fit_curve(np.linspace(0.0, 1.0, 4), likelihood)
    flat = fit.shapes.family.index("flat")

    def density(level: float) -> float:
        return float(np.exp(likelihood.log_density(np.full((1, 1, 4), level))[0, 0]))

    exact = np.log(integrate.quad(density, 0.0, 1.0, points=[0.41])[0])
    assert abs(fit.log_evidence[flat, 0] - exact) < 0.02


@pytest.mark.parametrize(
    ("mean", "family"),
    [
        (lambda u: 0.4 + 0.0 * u, "flat"),
        (lambda u: 0.2 + 0.5 * u, "linear"),
        (lambda u: 0.2 + 0.6 * (u > 0.6), "step"),
    ],
)
def test_the_heaviest_family_is_the_one_that_made_the_scores(
    measured: Callable[..., Curve], mean: Callable[..., np.ndarray], family: str
) -> None:
    curve = measured(mean, items=3000, sizes=16)
    weights = fit_curve(curve.place, curve.likelihood()).family_weights()
    assert max(weights, key=lambda name: weights[name]) == family
    assert np.isclose(sum(weights.values()), 1.0)


def test_shapes_are_tried_more_closely_where_the_data_tell_them_apart(measured: Callable[..., Curve]) -> None:
    sigmoid = lambda u: 0.2 + 0.6 / (1.0 + np.exp(-(u - 0.43) / 0.085))  # noqa: E731
    curve = measured(sigmoid, items=20000, sizes=20)
    fit = fit_curve(curve.place, curve.likelihood())
    coarse = fit_curve(curve.place, curve.likelihood(), shapes_for(curve.place))
    assert len(fit.shapes) > len(coarse.shapes)
    assert np.isclose(np.exp(fit.shapes.log_prior).sum(), 1.0)
    middles = [(one.shapes.first, np.exp(one.log_weight).sum(axis=1)) for one in (coarse, fit)]
    wrong = [abs(float(weight @ first) - 0.43) for first, weight in middles]
    assert wrong[1] < min(wrong[0], 0.01)


@pytest.mark.parametrize("n", [30.0, 3000.0])
def test_the_noise_between_runs_does_not_depend_on_the_number_of_items(n: float) -> None:
    m = Proportions.of(np.full(5, 0.5), np.full(5, n)).m[:, 0]
    between = 0.25 * (1.0 / m - 1.0 / n)
    assert between[0] == pytest.approx(0.0)
    assert between[-1] == pytest.approx(0.1 * 0.25, rel=0.05)


def test_draws_stay_within_the_bounds_and_about_the_truth(measured: Callable[..., Curve]) -> None:
    curve = measured(lambda u: 0.2 + 0.6 * u)
    draws = fit_curve(curve.place, curve.likelihood()).draws(400, np.random.default_rng(0))
    within = draws.at(np.linspace(0.0, 1.0, 9))
    assert within.min() >= 0.0
    assert within.max() <= 1.0
    assert abs(np.median(within[:, 4]) - 0.5) < 0.03
    new = draws.likelihood.draw(within, draws.noise, np.random.default_rng(0))
    assert new.std() > within.std()
    assert ((new >= 0) & (new <= 1)).all()


def test_more_noise_than_the_items_luck_is_seen(measured: Callable[..., Curve]) -> None:
    curve = measured(lambda u: 0.5 + 0.1 * np.cos(9.0 * np.arange(len(u))), sizes=20)
    fit = fit_curve(curve.place, curve.likelihood())
    weight = np.exp(fit.log_weight).sum(axis=0)
    assert isinstance(fit.likelihood, Proportions)
    assert float(weight @ fit.likelihood.typical) < 300.0


def test_scores_without_bounds_are_normal() -> None:
    y = np.linspace(0.0, 1.0, 10) + 0.01 * np.random.default_rng(0).standard_normal(10)
    weights = fit_curve(np.linspace(0.0, 1.0, 10), Unbounded.of(y)).family_weights()
    assert weights["linear"] > 0.4
