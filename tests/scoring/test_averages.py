"""Standard errors over questions, clusters and seeds, against simulations."""

from __future__ import annotations

import numpy as np
import pytest

from foretoken.scoring.in_training import tuned_error
from foretoken.scoring.marks import mean_over_questions
from foretoken.scoring.run_task import Marks
from foretoken.tasks import PromptTask, Question


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


def test_of_a_tuned_copy_it_is_of_seeds_and_of_test_examples() -> None:
    assert tuned_error([0.04], None) == pytest.approx(0.04)
    assert tuned_error([0.04, 0.04], 0.0) == pytest.approx(0.04)  # seeds that agree are not sure of the examples
    assert tuned_error([0.04, 0.04], 0.03) == pytest.approx(0.05)


def test_twins_of_which_one_is_left_out_count_for_nothing() -> None:
    questions = tuple(Question(prompt=str(number), answer="a", pair=str(number // 2)) for number in range(6))
    marks = Marks(
        task=PromptTask(name="twins", questions=questions),
        shots=0,
        seeds=(0,),
        questions=questions,
        left_out=0,
        with_fewer=0,
        fewest=0,
        by_metric={"consistency": np.array([[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]])},
    )
    (whole,) = marks.scores()
    (parted,) = marks.scores([True, True, True, True, True, False])
    assert (whole.score, whole.n) == (pytest.approx(2 / 3), 3)
    assert (parted.score, parted.n) == (0.5, 2)
    assert marks.scores([True, False, True, False, True, False]) == []
