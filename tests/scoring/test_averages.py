"""Standard errors over questions, clusters and seeds, against simulations."""

from __future__ import annotations

import numpy as np
import pytest

from foretoken.scoring.marks import mean_over_questions


def test_of_independent_questions_it_is_the_usual_one() -> None:
    values = np.random.default_rng(0).random((1, 40))
    mean = mean_over_questions(values, range(40))
    assert mean.se == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_one_question_has_none() -> None:
    assert mean_over_questions(np.ones((1, 1)), "a") == (1.0, None, 1)
    assert mean_over_questions(np.ones((3, 2)), "aa").se is None


@pytest.mark.parametrize(("seeds", "of_seed"), [(1, 0.0), (4, 0.5), (4, 0.0)])
def test_it_is_the_spread_of_means_that_are_drawn_again(seeds: int, of_seed: float) -> None:
    rng, clusters, size = np.random.default_rng(1), 30, 5
    means, variances = [], []
    for _ in range(400):
        question = np.repeat(rng.normal(size=clusters), size) + rng.normal(size=clusters * size)
        values = question + of_seed * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, clusters * size))
        mean = mean_over_questions(values, np.repeat(np.arange(clusters), size).tolist())
        means.append(mean.score)
        variances.append(mean.se**2)
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(means), rel=0.15)
