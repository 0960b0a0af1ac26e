from __future__ import annotations

import numpy as np
import pytest

from foretoken.fits.noise import NoiseModel, estimate_noise, spread


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_the_residuals_say_how_fast_noise_falls_with_tokens(slope: float) -> None:
    generator = np.random.default_rng(0)
    effort = -generator.uniform(0, 5, 400)
    residual = NoiseModel(0.004, slope).at(effort) * generator.standard_normal(400)
    found = estimate_noise(residual, effort, 0)
    assert found.tokens_power == pytest.approx(slope, abs=0.2)
    assert found.sd == pytest.approx(0.004, rel=0.2)


def test_longer_runs_are_never_taken_to_be_noisier() -> None:
    generator = np.random.default_rng(1)
    effort = -generator.uniform(0, 5, 200)
    residual = 0.01 * np.exp(0.5 * effort) * generator.standard_normal(200)
    assert estimate_noise(residual, effort, 0).tokens_power == 0.0


def test_a_run_beyond_the_longest_is_as_noisy_as_the_longest() -> None:
    noise = NoiseModel(0.01, 1.0)
    assert noise.at(np.array([2.0, 0.0, -2.0])) == pytest.approx([0.01, 0.01, 0.01 * np.e])


def test_a_row_that_stands_for_many_runs_counts_as_many() -> None:
    generator = np.random.default_rng(2)
    effort = np.concatenate([np.zeros(60), np.full(60, -4.0)])
    residual = np.concatenate([0.01 * generator.standard_normal(60), 0.03 * generator.standard_normal(60)])
    once = estimate_noise(residual, effort, 5)
    twice = estimate_noise(residual, effort, 5, np.full(120, 2.0))
    assert twice.tokens_power == pytest.approx(once.tokens_power, abs=0.05)


def test_an_outlier_hardly_moves_the_noise() -> None:
    generator = np.random.default_rng(3)
    effort = -generator.uniform(0, 3, 60)
    residual = 0.004 * generator.standard_normal(60)
    spoiled = np.append(residual, 0.5)
    assert estimate_noise(spoiled, np.append(effort, -1.0), 5).sd < 1.4 * estimate_noise(residual, effort, 5).sd
    assert spread(spoiled, 5) < 1.4 * spread(residual, 5)
