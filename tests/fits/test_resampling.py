"""The pieces of the bootstrap: who shares a multiplier, what a fit takes up of each run, what clusters share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.fits import bootstrap as module
from foretoken.fits.bootstrap import (
    CLIP,
    MOST_LEVERAGE,
    WEBB,
    ClusterError,
    bootstrap,
    clusters,
    remaining,
    shared_error,
)
from foretoken.fits.estimate import Sample, Unpenalised, estimate_map, estimate_unpenalised
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws import POWER
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable

TRUTH = {"a": 30.0, "b": 0.07}


def sample_of(runs: int = 12, noise: float = 0.01, seed: int = 0) -> Sample:
    """Runs of a power law of compute, evenly spaced on a logarithm."""
    flops = np.geomspace(1e15, 1e18, runs)
    loss = POWER.evaluate(TRUTH, flops=flops) * np.exp(noise * np.random.default_rng(seed).standard_normal(runs))
    return Sample.of(POWER, np.log(flops)[:, None], loss)


def estimates(sample: Sample) -> tuple[Unpenalised, Array, Array]:
    """The unpenalised estimate, the MAP theta, and the noise of each run."""
    best = estimate_unpenalised(sample)
    theta, noise = estimate_map(sample, best.theta)
    return best, theta, noise.at(sample.effort)


def drawn(sample: Sample, shared: dict[str, ClusterError], draws: int = 60, seed: int = 0) -> module.Bootstrap:
    best, theta, sigma = estimates(sample)
    return bootstrap(sample, shared, theta, best, sigma, draws, seed)


def rows_of(**columns: object) -> Rows:
    import pandas as pd

    size = np.geomspace(1e6, 1e8, 12)
    own = {"params_total": size, "tokens": 20 * size, "loss": np.linspace(4, 3, 12)}
    return clean_rows(RunTable(pd.DataFrame({**own, **columns}), "a test"))


def test_leverage_on_a_line_is_that_of_the_textbook() -> None:
    """For a straight line 1 / n + (x - mean)^2 / sum of those squares; the law's ln loss is a line in ln compute."""
    sample = sample_of()
    theta = estimate_unpenalised(sample).theta
    x = sample.x[:, 0] - sample.x[:, 0].mean()
    expected = 1 / len(x) + x**2 / (x**2).sum()
    leverage = module._leverage(sample, theta, np.ones(12), np.zeros(2))
    np.testing.assert_allclose(leverage, expected, rtol=1e-5)
    assert leverage.sum() == pytest.approx(2.0, rel=1e-5)


def test_a_run_alone_at_one_end_has_no_more_than_the_largest_leverage() -> None:
    flops = np.array([1e15] * 6 + [1e20])
    sample = Sample.of(POWER, np.log(flops)[:, None], POWER.evaluate(TRUTH, flops=flops))
    leverage = module._leverage(sample, estimate_unpenalised(sample).theta, np.ones(7), np.zeros(2))
    assert leverage[-1] == MOST_LEVERAGE
    np.testing.assert_allclose(leverage[:-1], 1 / 6, rtol=1e-4)


def test_a_strong_prior_leaves_nothing_for_the_runs_to_decide() -> None:
    sample = sample_of()
    theta = estimate_unpenalised(sample).theta
    free, bound = (module._leverage(sample, theta, np.full(12, 0.01), np.full(2, p)) for p in (0.0, 1e9))
    assert (bound < free).all()
    assert bound.max() < 0.01


@given(st.integers(0, 100), st.lists(st.integers(0, 4), min_size=2, max_size=20))
@settings(max_examples=15, deadline=None)
def test_runs_of_a_cluster_take_one_multiplier_of_webbs(seed: int, labels: list[int]) -> None:
    cluster = np.unique(labels, return_inverse=True)[1]
    factors = module._multipliers(np.random.default_rng(seed), 7, cluster)
    assert factors.shape == (7, len(labels))
    assert np.isin(np.round(np.abs(factors), 12), np.round(WEBB, 12)).all()
    for number in range(int(cluster.max()) + 1):
        together = factors[:, cluster == number]
        assert (together == together[:, :1]).all()


def test_webbs_multipliers_have_mean_zero_and_variance_one() -> None:
    factors = module._multipliers(np.random.default_rng(0), 4000, np.arange(10))
    assert factors.mean() == pytest.approx(0.0, abs=0.02)
    assert (factors**2).mean() == pytest.approx(1.0, abs=0.02)
    assert np.mean(np.concatenate([WEBB, -WEBB]) ** 2) == pytest.approx(1.0)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
@settings(max_examples=15, deadline=None)
def test_residuals_within_a_cluster_lose_its_mean_and_keep_their_size(residual: list[float]) -> None:
    cluster = np.array([0, 0, 0, 1, 1, 2])
    within = module._within(np.array(residual), cluster)
    assert within[:3].sum() == pytest.approx(0.0, abs=1e-12)
    assert within[3] == pytest.approx(-within[4])
    assert within[5] == residual[5]
    assert (within[:3] ** 2).sum() / 3 == pytest.approx(np.var(residual[:3], ddof=1))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    sample = sample_of()
    one, again, other = drawn(sample, {}), drawn(sample, {}), drawn(sample, {}, seed=1)
    np.testing.assert_array_equal(one.map_theta, again.map_theta)
    np.testing.assert_array_equal(one.unpenalised, again.unpenalised)
    assert one.text == again.text
    assert (one.map_theta != other.map_theta).any(axis=1).all()
    assert (one.unpenalised != other.unpenalised).any()


def test_draws_are_those_of_one_estimate_each_and_surround_it() -> None:
    sample = sample_of()
    best, theta, _ = estimates(sample)
    draws = drawn(sample, {}, draws=80)
    assert draws.map_theta.shape == draws.unpenalised.shape == (80, 2)
    for values, centre in ((draws.map_theta, theta), (draws.unpenalised, best.theta)):
        assert (values.min(axis=0) < centre).all()
        assert (values.max(axis=0) > centre).all()


def test_four_times_the_runs_halve_the_width() -> None:
    few, many = (
        np.mean([np.std(drawn(sample_of(runs, seed=seed), {}).unpenalised[:, 0]) for seed in range(3)])
        for runs in (8, 32)
    )
    assert many == pytest.approx(few / 2, rel=0.4)


def test_twice_the_noise_doubles_the_width() -> None:
    quiet, loud = (np.std(drawn(sample_of(noise=noise), {}).map_theta, axis=0) for noise in (0.01, 0.02))
    np.testing.assert_allclose(loud / quiet, 2.0, rtol=0.25)


def test_exact_runs_have_draws_without_width() -> None:
    draws = drawn(sample_of(noise=0.0), {}).unpenalised
    assert np.std(draws, axis=0).max() < 1e-5


def test_what_clusters_share_widens_the_draws_and_is_named() -> None:
    sample = sample_of()
    of_run = np.repeat(np.arange(4), 3)
    alone, tied = drawn(sample, {}), drawn(sample, {"budgets": ClusterError(of_run, 0.05)})
    assert "wild bootstrap over runs within budgets, the widest of: " in tied.text
    assert "wild bootstrap over runs, the widest of: " in alone.text
    assert np.std(tied.map_theta[:, 0]) > 1.5 * np.std(alone.map_theta[:, 0])


def test_a_scheme_for_each_kind_and_one_more_for_what_is_shared() -> None:
    of_run = np.repeat(np.arange(4), 3)
    shared = {"budgets": ClusterError(of_run, 0.0), "trajectories": ClusterError(of_run, 0.01)}
    schemes = module._schemes(np.ones(12), shared)
    assert list(schemes) == ["runs", "budgets", "trajectories", "runs within trajectories"]
    assert [scheme.shared for scheme in schemes.values()] == [0.0, 0.0, 0.0, 0.01]
    assert schemes["budgets"].unit is of_run
    assert schemes["runs within trajectories"].unit.tolist() == list(range(12))
    assert shared["budgets"].of_run.max() + 1 == 4


def test_a_common_error_is_common_to_a_cluster_and_of_its_size() -> None:
    of_run = np.repeat(np.arange(50), 2)
    scheme = module._Scheme(of_run, of_run, 0.03)
    common = scheme.common(400, np.random.default_rng(0))
    np.testing.assert_array_equal(common[:, ::2], common[:, 1::2])
    assert np.std(common) == pytest.approx(0.03, rel=0.1)


def test_resampled_runs_scatter_about_the_fitted_values() -> None:
    sample = sample_of()
    theta = estimate_unpenalised(sample).theta
    scheme = module._schemes(np.ones(12), {})["runs"]
    y = scheme.resampled(sample, theta, 4000, np.random.default_rng(0), np.ones(12), np.zeros(2))
    fitted = sample.y - sample.residual(theta)
    widened = np.abs(sample.residual(theta)) / (1 - module._leverage(sample, theta, np.ones(12), np.zeros(2)))
    np.testing.assert_allclose(y.mean(axis=0), fitted, atol=4 * widened.max() / np.sqrt(4000) * 1.5)
    # A chi-square of 10 degrees of freedom in the denominator: the squares are 10 / 8 of the residuals' own.
    np.testing.assert_allclose(y.var(axis=0) / widened**2, 10 / 8, rtol=0.15)


@pytest.mark.parametrize(
    ("columns", "kinds"),
    [
        ({}, set()),
        ({"parent": [f"p{i // 3}" for i in range(12)]}, {"trajectories"}),
        ({"parent": [f"p{i}" for i in range(12)]}, set()),
        ({"parent": ["p"] * 12}, set()),
        ({"group": [f"b{i // 4}" for i in range(12)]}, {"budgets"}),
        ({"flops": np.repeat([1e15, 1e16, 1e17], 4)}, {"budgets"}),
        ({"flops": np.repeat([1e15, 1e16], 6)}, set()),
        ({"group": [f"b{i // 4}" for i in range(12)], "parent": [f"p{i % 4}" for i in range(12)]},
         {"trajectories", "budgets"}),
    ],
)  # fmt: skip
def test_clusters_are_what_ties_some_runs_together_and_not_all(columns: dict[str, object], kinds: set[str]) -> None:
    numbers = clusters(rows_of(**columns))
    assert set(numbers) == kinds
    for of_run in numbers.values():
        assert sorted(set(of_run.tolist())) == list(range(int(of_run.max()) + 1))
        assert 2 < of_run.max() + 1 < len(of_run)


def test_runs_without_a_label_are_clusters_of_their_own() -> None:
    of_run = clusters(rows_of(parent=["p", "p", "p", *[None] * 9]))["trajectories"]
    assert len(set(of_run[:3].tolist())) == 1
    assert len(set(of_run[3:].tolist())) == 9


def test_the_residual_maker_leaves_nothing_that_the_law_can_take_up() -> None:
    sample = sample_of()
    best, _, sigma = estimates(sample)
    z, maker = remaining(sample, best.theta, sigma)
    gradient = sample.law.value_and_grad(best.theta[None], sample.x)[1][0] / sigma[:, None]
    assert np.abs(z).max() <= CLIP
    free = ~np.isfinite(sample.law.prior(sample.y)[1])
    np.testing.assert_allclose(maker @ gradient[:, free], 0.0, atol=1e-4 * np.abs(gradient).max())
    assert 12 - 2 - 1e-6 <= np.trace(maker) <= 12


def test_a_table_of_more_runs_than_that_shares_nothing() -> None:
    sample = sample_of()
    long = replace(sample, x=np.tile(sample.x, (200, 1)), y=np.tile(sample.y, 200))
    theta = estimate_unpenalised(sample).theta
    assert shared_error(long, theta, np.ones(2400), np.arange(2400) // 2) == 0.0
