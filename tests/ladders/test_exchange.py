"""The choice of runs: greedy filling, exchange that never worsens, and limits that hold whatever is asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.ladders.exchange import LadderLimits, choose_runs, fill
from foretoken.ladders.information import Criterion, FisherInformation, geometric_mean

RUNS, PARAMETERS = 12, 3


def criterion(seed: int) -> Criterion:
    generator = np.random.default_rng(seed)
    return Criterion(
        gradient=generator.standard_normal((4, RUNS, PARAMETERS)),
        discrepancy=np.zeros((RUNS, 1)),
        quantities=generator.standard_normal((4, 1, PARAMETERS)),
        quantities_discrepancy=np.zeros((4, 1, 1)),
        prior_precision=np.full(PARAMETERS, 0.1),
        prior_offset=generator.standard_normal((4, PARAMETERS)),
        past=FisherInformation(np.zeros((4, PARAMETERS, PARAMETERS)), np.zeros((4, PARAMETERS, 1))),
        run_sd=np.full(RUNS, 0.1),
        cell_sd=np.full(RUNS, 0.05),
    )


def limits(seed: int, spend: float = 6.0, trainings: int = 8, seeds: int = 2) -> LadderLimits:
    cost = np.random.default_rng(seed).uniform(0.2, 2.0, RUNS)
    return LadderLimits(cost, np.ones(RUNS), spend, trainings, seeds, np.arange(RUNS))


def loss(judge: Criterion, counts: np.ndarray) -> float:
    return float(geometric_mean(judge.loss(counts)))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.5, 20), st.integers(1, 20), st.integers(1, 3), st.integers(0, 15))
def test_a_choice_keeps_to_every_limit(seed: int, spend: float, trainings: int, seeds: int, rounds: int) -> None:
    allowed = limits(seed, spend, trainings, seeds)
    counts = choose_runs(criterion(seed), allowed, seed, rounds)
    assert counts @ allowed.cost <= spend * (1 + 1e-6)
    assert counts.sum() <= trainings
    assert counts.max() <= seeds
    assert counts.min() >= 0


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6))
def test_exchange_never_worsens_the_criterion_and_more_rounds_never_do(seed: int) -> None:
    judge, allowed = criterion(seed), limits(seed)
    losses = [loss(judge, choose_runs(judge, allowed, seed, rounds)) for rounds in (0, 1, 5, 20)]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(losses))


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.floats(0.05, 10))
def test_filling_stops_where_nothing_more_fits(seed: int, greed: float) -> None:
    judge, allowed = criterion(seed), limits(seed)
    counts = fill(judge, allowed, np.zeros(RUNS), greed)
    assert not allowed.allow(counts).any()


def test_filling_keeps_what_was_there_and_does_not_change_it() -> None:
    judge, allowed, start = criterion(5), limits(5), np.eye(RUNS)[3] * 2
    before = start.copy()
    counts = fill(judge, allowed, start, 1.0)
    assert np.array_equal(start, before)
    assert (counts >= start).all()
    assert counts.sum() > start.sum()


def test_the_first_run_is_the_one_with_the_largest_fall_per_cost() -> None:
    judge = criterion(8)
    allowed = limits(8, trainings=1)
    first = fill(judge, allowed, np.zeros(RUNS), 0.3)
    now = loss(judge, np.zeros(RUNS))
    gains = [np.log(now / loss(judge, np.eye(RUNS)[k])) for k in range(RUNS)]
    offset = 0.3 * allowed.spend / allowed.max_trainings
    assert int(first.argmax()) == int((np.array(gains) / (allowed.cost + offset)).argmax())


def test_a_choice_of_two_is_near_the_best_of_all_pairs() -> None:
    judge, allowed = criterion(21), limits(21, spend=100.0, trainings=2, seeds=1)
    pairs = [np.eye(RUNS)[i] + np.eye(RUNS)[j] for i in range(RUNS) for j in range(i)]
    best = min(loss(judge, pair) for pair in pairs)
    assert loss(judge, choose_runs(judge, allowed, 0, 60)) == pytest.approx(best, rel=1e-9)


def test_the_seed_alone_decides_the_search() -> None:
    judge, allowed = criterion(4), limits(4)
    one, again = (choose_runs(judge, allowed, 7, 10) for _ in range(2))
    assert np.array_equal(one, again)


def test_where_nothing_fits_nothing_is_chosen() -> None:
    assert choose_runs(criterion(1), limits(1, spend=0.01), 0, 10).sum() == 0


def test_learning_rates_take_trainings_and_share_the_seeds_of_their_configuration() -> None:
    allowed = LadderLimits(
        cost=np.array([1.0, 3.0]),
        trainings=np.array([1.0, 3.0]),
        spend=50.0,
        max_trainings=5,
        max_seeds=2,
        configuration=np.array([0, 0]),
    )
    assert allowed.allow(np.array([1.0, 0.0])).tolist() == [True, True]
    assert allowed.allow(np.array([1.0, 1.0])).tolist() == [False, False]  # two seeds of one size and length
    assert replace(allowed, max_seeds=9).allow(np.array([0.0, 1.0])).tolist() == [True, False]  # 3 + 3 > 5


def test_what_rounding_leaves_of_a_budget_does_not_cost_a_run() -> None:
    tenth = LadderLimits(np.array([0.1]), np.ones(1), 1.0, 100, 100, np.zeros(1, int))
    counts = np.zeros(1)
    while tenth.allow(counts).any():
        counts += 1
    assert counts.tolist() == [10.0]
