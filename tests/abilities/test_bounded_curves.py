"""Curves that stay within the bounds of a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.abilities.bounded_curves import (
    BoundedCurves,
    Exponential,
    Sigmoid,
    SizeAndTokens,
    angle,
    best_levels,
    score_of,
)
from foretoken.abilities.held_out_routes import crps

LOSS = np.linspace(2.2, 5.0, 24)
UNKNOWN, ONE = np.array([np.nan]), np.ones(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=12), st.integers(0, 99))
def test_levels_have_the_least_squares_of_all_within_the_bounds(scores, seed):
    score = np.array(scores)[:, None]
    heights = np.random.default_rng(seed).uniform(0, 1, (3, len(scores)))
    found = best_levels(heights, score, np.ones_like(score), ONE)
    assert (found.floor >= 0).all()
    assert (found.floor <= found.top + 1e-12).all()
    assert (found.top <= 1).all()
    grid = np.linspace(0, 1, 21)
    for g, height in enumerate(heights):
        least = min(
            ((floor * (1 - height) + top * height - score[:, 0]) ** 2).sum()
            for floor in grid for top in grid if floor <= top
        )  # fmt: skip
        assert found.squares[g, 0] <= least + 1e-6


@pytest.mark.parametrize("shape", [Sigmoid, Exponential])
def test_draws_stay_within_the_bounds_and_fall_in_loss(shape):
    score = (0.25 + 0.6 / (1 + np.exp(2.5 * (LOSS - 2.8))))[:, None]
    curves = BoundedCurves.fitted(shape.over(LOSS), LOSS, score, UNKNOWN, ONE)
    best = curves.best(np.linspace(0.5, 6.0, 50))[:, 0]
    assert (np.diff(best) <= 1e-12).all()
    drawn = curves.drawn(np.full(300, 1.5), np.random.default_rng(0))
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_a_ceiling_that_is_known_is_kept_to():
    score = np.clip(0.9 - 0.2 * (LOSS - 2.2), 0, 0.75)[:, None]
    curves = BoundedCurves.fitted(Sigmoid.over(LOSS), LOSS, score, UNKNOWN, np.array([0.8]))
    assert curves.drawn(np.full(200, 1.0), np.random.default_rng(0)).max() <= 0.8


def test_flat_scores_leave_open_where_they_rise():
    """A task at chance may rise just beyond the runs: the draws hold that, and most do not."""
    score = (0.25 + 0.01 * np.random.default_rng(0).standard_normal(24))[:, None]
    curves = BoundedCurves.fitted(Sigmoid.over(LOSS), LOSS, score, np.array([0.25]), ONE)
    drawn = curves.drawn(np.full(400, 1.6), np.random.default_rng(0))[:, 0]
    assert np.quantile(drawn, 0.95) > 0.35
    assert np.quantile(drawn, 0.05) < 0.27


def test_compute_is_told_from_size_and_tokens():
    random = np.random.default_rng(0)
    size = np.log(np.stack([10 ** random.uniform(7, 9, 40), 10 ** random.uniform(9, 11, 40)], axis=1))
    along = 0.7 * size[:, 0] + 0.3 * size[:, 1]
    score = 0.25 + 0.5 / (1 + np.exp(-1.5 * (along - np.median(along))))
    curves = BoundedCurves.fitted(SizeAndTokens.over(size), size, score[:, None], UNKNOWN, ONE)
    share = curves.shape.share[curves.levels.squares[:, 0].argmin()]
    assert share == pytest.approx(0.7)


@given(st.floats(0, 1))
def test_angles_are_undone(score):
    assert float(score_of(angle(np.array(score)))) == pytest.approx(score, abs=1e-9)


def test_crps_is_least_for_a_sure_and_right_forecast():
    measured = np.array([[0.5]])
    right, wide, wrong = (np.full((1, 9, 1), 0.5), np.linspace(0, 1, 9)[None, :, None], np.full((1, 9, 1), 0.9))
    assert crps(right, measured) < crps(wide, measured) < crps(wrong, measured)
