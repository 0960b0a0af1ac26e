"""Metrics against their definitions, and their standard errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from foretoken.cli import app
from foretoken.evals.metrics import (
    METRICS,
    Predictions,
    accuracy,
    chance,
    exact_match,
    f1,
    mean_over_seeds,
    sampling_interval,
    score_over_seeds,
)

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30)


def predictions(pairs: list[tuple[int, int]], each: int = 1) -> Predictions:
    given_, right = np.array(pairs).T
    return Predictions(given_, right, np.arange(len(pairs)) // each)


@given(PAIRS)
def test_accuracy_has_the_binomial_error(pairs: list[tuple[int, int]]) -> None:
    share = np.mean([a == b for a, b in pairs])
    assert accuracy(predictions(pairs)) == pytest.approx((share, math.sqrt(share * (1 - share) / len(pairs))))


@given(PAIRS)
def test_f1_is_the_mean_over_classes(pairs: list[tuple[int, int]]) -> None:
    each = []
    for one in {label for pair in pairs for label in pair}:
        hits = sum(a == b == one for a, b in pairs)
        precision = hits / max(1, sum(a == one for a, _ in pairs))
        recall = hits / max(1, sum(b == one for _, b in pairs))
        each.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    score, error = f1(predictions(pairs))
    assert score == pytest.approx(np.mean(each))
    assert error >= 0


def test_the_error_of_f1_is_that_of_repeated_samples() -> None:
    random = np.random.default_rng(0)
    scores, errors = [], []
    for _ in range(300):
        right = random.integers(2, size=200)
        given_ = np.where(random.random(200) < 0.8, right, 1 - right)
        score, error = f1(Predictions(given_, right, np.arange(200)))
        scores.append(score)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.2)


@given(PAIRS)
def test_an_example_matches_when_all_of_it_does(pairs: list[tuple[int, int]]) -> None:
    pairs = pairs[: len(pairs) // 2 * 2]
    whole = [all(a == b for a, b in pairs[k : k + 2]) for k in range(0, len(pairs), 2)]
    score, _ = exact_match(predictions(pairs, each=2))
    assert score == pytest.approx(np.mean(whole))
    assert score <= accuracy(predictions(pairs, each=2))[0]


def test_the_error_of_labels_counts_examples_not_tokens() -> None:
    alike = predictions([(0, 0)] * 10 + [(0, 1)] * 10, each=10)
    assert accuracy(alike)[1] == pytest.approx(math.sqrt(0.25 / 2))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_over_seeds_is_student_s(values: list[float]) -> None:
    found = mean_over_seeds(values)
    assert found.se == pytest.approx(stats.sem(values))
    if found.se > 1e-9:
        assert (found.low, found.high) == pytest.approx(
            stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        )
    assert mean_over_seeds(values[:1]).se is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_of_scores_stays_inside_0_and_1(scores: list[float]) -> None:
    found = score_over_seeds(scores)
    assert -1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1


@given(PAIRS)
def test_few_examples_leave_some_width_even_where_all_are_right(pairs: list[tuple[int, int]]) -> None:
    told = predictions(pairs)
    low, high = sampling_interval(*accuracy(told), len(pairs))
    assert 0 <= low <= accuracy(told)[0] <= high <= 1
    assert high - low > 0.1 / math.sqrt(len(pairs))


def test_chance_is_the_commonest_class_of_what_was_learned() -> None:
    targets, index = np.array([0, 0, 0, 1]), np.arange(4)
    assert chance("accuracy", [1, 1, 0], targets, index) == 0.25
    # F1 of class 1 is 2 / (4 + 1), that of class 0 is 0
    assert chance("f1", [1, 1, 0], targets, index) == pytest.approx(0.2)


@pytest.mark.parametrize("metric", METRICS)
@given(PAIRS)
def test_every_metric_is_a_share_and_knows_when_all_is_right(metric: str, pairs: list[tuple[int, int]]) -> None:
    score, error = METRICS[metric](predictions(pairs))
    assert 0 <= score <= 1
    assert error >= 0
    best, no_error = METRICS[metric](predictions([(label, label) for label, _ in pairs]))
    assert (best, no_error) == (1.0, 0.0)


@pytest.mark.parametrize("metric", METRICS)
def test_the_names_of_examples_do_not_matter(metric: str) -> None:
    random = np.random.default_rng(3)
    predicted, targets = random.integers(3, size=(2, 40))
    example, order = np.arange(40) // 2, random.permutation(20)
    renamed = Predictions(predicted, targets, order[example])
    assert METRICS[metric](renamed) == pytest.approx(METRICS[metric](Predictions(predicted, targets, example)))


def test_help_and_docs_name_every_metric() -> None:
    *most, last = METRICS
    text = f"{', '.join(most)} or {last}"
    (command,) = (
        one for one in app.registered_commands if one.name == "finetune" or one.callback.__name__ == "finetune"
    )
    (option,) = command.callback.__annotations__["metric"].__metadata__
    assert text in option.help
    docs = (Path(__file__).parents[2] / "docs" / "fine_tuning.md").read_text()
    assert all(f"`{metric}`" in docs for metric in METRICS)
