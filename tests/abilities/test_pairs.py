from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.abilities.classify import fitted_curve
from foretoken.abilities.curve import Curve
from foretoken.abilities.pairs import Fitted, MetricPair, metric_pairs
from foretoken.cli.scores import _pair

STEADY = lambda u: 0.3 + 0.65 * u  # noqa: E731
JUMP = lambda u: 0.35 + 0.6 * (u > 0.6)  # noqa: E731


def fitted(curve: Curve) -> Fitted:
    return fitted_curve(curve, np.random.default_rng(0))[0]


@pytest.fixture
def pair(measured: Callable[..., Curve]) -> Callable[..., MetricPair]:
    def make(smooth: Callable[..., np.ndarray], sharp: Callable[..., np.ndarray], seed: int = 0) -> MetricPair:
        curves = (
            measured(sharp, metric="exact_match", seed=seed),
            measured(smooth, metric="token_accuracy", items=6000, seed=seed + 100),
        )
        (found,) = metric_pairs([fitted(curve) for curve in curves], 0.9)
        return found

    return make


def test_a_steady_token_makes_the_jump_an_artefact(pair: Callable[..., MetricPair]) -> None:
    found = pair(STEADY, lambda u: STEADY(u) ** 6)
    assert found.origin == "metric_artefact"
    assert found.length_low < 6.0 < found.length_high
    smallest = found.resolution[0]
    assert smallest.items_needed == pytest.approx(np.log(0.05) / np.log1p(-smallest.expected), rel=0.01)
    assert smallest.items_needed > 1000.0
    assert smallest.items == 1000.0


@pytest.mark.parametrize("length", [2, 6])
def test_scores_that_are_p_to_the_length_lie_in_its_interval(pair: Callable[..., MetricPair], length: int) -> None:
    found = [pair(STEADY, lambda u: STEADY(u) ** length, seed) for seed in range(6)]
    sizes = sum(len(one.resolution) for one in found)
    assert 0.85 * sizes <= sum(one.inside for one in found) <= sizes
    widest = max(one.high - one.low for each in found for one in each.resolution)
    assert widest < 0.25


def test_a_jump_that_no_length_makes_leaves_the_interval(pair: Callable[..., MetricPair]) -> None:
    found = pair(STEADY, lambda u: 0.9 - 0.7 * (u > 0.5))
    assert found.inside < 0.8 * len(found.resolution)
    # Of scores, not of sizes: several runs may be of one size.
    assert f"follows p^L at {found.inside} of {len(found.resolution)} scores" in _pair(found)


def test_a_pair_of_errors_is_told_in_right_answers(measured: Callable[..., Curve]) -> None:
    curves = [
        measured(lambda u: STEADY(u) ** 4, metric="exact_match_error"),
        measured(STEADY, metric="token_edit_distance", items=6000, seed=100),
    ]
    (rising,) = metric_pairs([fitted(curve) for curve in curves], 0.9)
    falling = [fitted(replace(curve, score=1.0 - curve.score, better="down")) for curve in curves]
    (found,) = metric_pairs(falling, 0.9)
    assert [one.score for one in found.resolution] == pytest.approx(curves[0].score)
    assert (found.inside, found.length) == (rising.inside, pytest.approx(rising.length))


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_jump_is_never_an_artefact(pair: Callable[..., MetricPair], seed: int) -> None:
    assert pair(JUMP, lambda u: JUMP(u) ** 5, seed).origin == "real_jump"
    assert pair(STEADY, lambda u: 0.02 + 0.7 * (u > 0.5), seed).origin == "real_jump"


def test_a_metric_that_never_moves_has_no_jump(pair: Callable[..., MetricPair]) -> None:
    found = pair(JUMP, lambda u: 0.0 * u)
    assert found.origin == "cannot_say"
    assert "does not leap" in found.evidence


def test_without_a_jump_nothing_is_said(pair: Callable[..., MetricPair]) -> None:
    assert pair(STEADY, STEADY).origin == "cannot_say"


def test_metrics_of_other_sizes_or_kinds_are_no_pair(measured: Callable[..., Curve]) -> None:
    sharp = fitted(measured(STEADY, metric="exact_match"))
    assert not list(metric_pairs([sharp, fitted(measured(STEADY, metric="token_accuracy", sizes=9))], 0.9))
    assert not list(metric_pairs([sharp, fitted(measured(STEADY, metric="f1"))], 0.9))
