from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.forecasts.coverage import MOST_STEPS, HeldOutRun, Z, steps_of
from foretoken.shares import wilson

RUN = HeldOutRun(
    params=1e6, tokens=2e7, flops=1.2e14, loss=2.0, forecast=2.02, low=1.9, high=2.1, distance=2.0, train_fraction=0.5
)


def runs(distances: list[float]) -> list[HeldOutRun]:
    return [replace(RUN, distance=distance) for distance in distances]


def test_the_error_is_a_share_of_the_outcome_or_a_difference() -> None:
    assert RUN.error() == pytest.approx(0.01)
    assert RUN.error(relative=False) == pytest.approx(0.02)
    assert RUN.is_inside
    assert not replace(RUN, loss=2.2).is_inside


def test_further_features_have_their_own_keys_in_json() -> None:
    plain = replace(RUN, at={"experts": 8.0}).to_json()
    assert plain["at_experts"] == 8.0
    assert "at" not in plain
    assert plain["distance"] == 2.0


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=80))
def test_steps_hold_every_run_once_in_order_of_distance(distances: list[float]) -> None:
    steps = steps_of(runs(distances))
    assert sum(step.runs for step in steps) == len(distances)
    assert len(steps) <= MOST_STEPS
    ends = [end for step in steps for end in (step.low, step.high)]
    assert ends == sorted(ends)
    apart = all(later > 1.001 * earlier for earlier, later in pairwise(sorted(distances)))
    assert not apart or max(step.runs for step in steps) - min(step.runs for step in steps) <= 1


def test_runs_of_one_distance_are_of_one_step() -> None:
    assert [step.runs for step in steps_of(runs([3.16] * 14))] == [14]
    assert [step.runs for step in steps_of(runs([2.0] * 9 + [8.0] * 11))] == [9, 11]


def test_a_step_has_the_means_of_its_runs() -> None:
    (step,) = steps_of([RUN, replace(RUN, loss=2.2, distance=8.0)])
    assert step.coverage == 0.5
    assert step.bias == pytest.approx((0.01 + (2.02 / 2.2 - 1)) / 2)
    assert step.error == pytest.approx((0.01 + (1 - 2.02 / 2.2)) / 2)
    assert step.middle == pytest.approx(4.0)
    assert step.ends == wilson(1, 2, Z)


@given(st.integers(1, 500), st.data())
def test_the_interval_of_a_share_holds_it_and_stays_between_0_and_1(tries: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, tries))
    low, high = wilson(hits, tries, Z)
    assert 0 <= low <= hits / tries + 1e-12
    assert hits / tries - 1e-12 <= high <= 1
    assert high > low


def test_more_tries_narrow_the_interval() -> None:
    widths = [high - low for low, high in (wilson(9 * k, 10 * k, Z) for k in (1, 4, 16))]
    assert widths == sorted(widths, reverse=True)
