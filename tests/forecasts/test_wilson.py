"""Coverage by distance: Wilson's intervals by what defines them, and steps that score their own runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.forecasts.coverage import HeldOutRun, Z, steps_of
from foretoken.shares import wilson

RUN = HeldOutRun(
    params=1e6, tokens=1e8, flops=6e14, loss=2.0, forecast=2.1, low=1.9, high=2.2, distance=2.0, train_fraction=0.5
)


@settings(max_examples=40, deadline=None)
@given(tries=st.integers(1, 500), data=st.data())
def test_ends_solve_the_quadratic_that_defines_them(tries: int, data: st.DataObject) -> None:
    """(share - p)^2 = Z^2 p (1 - p) / n at both ends (Wilson 1927)."""
    hits = data.draw(st.integers(0, tries))
    low, high = wilson(hits, tries, Z)
    assert 0 <= low <= hits / tries + 1e-12
    assert hits / tries - 1e-12 <= high <= 1
    for end in (low, high):
        left, right = (hits / tries - end) ** 2, Z**2 * end * (1 - end) / tries
        assert left == pytest.approx(right, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(tries=st.integers(1, 500), data=st.data())
def test_hits_and_misses_mirror_each_other(tries: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, tries))
    (low, high), (mirrored_low, mirrored_high) = wilson(hits, tries, Z), wilson(tries - hits, tries, Z)
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low))


@pytest.mark.parametrize("tries", [1, 5, 20, 1000])
def test_all_hits_and_none_still_have_a_width(tries: int) -> None:
    """Then the far end is Z^2 / (n + Z^2): the rule of three, but for 90 %."""
    reach = Z**2 / (tries + Z**2)
    assert wilson(tries, tries, Z) == pytest.approx((1 - reach, 1.0))
    assert wilson(0, tries, Z) == pytest.approx((0.0, reach), abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_more_runs_narrow_it(share: float) -> None:
    widths = [high - low for low, high in (wilson(round(share * n), n, Z) for n in (10, 40, 160, 640))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 4


@settings(max_examples=20, deadline=None)
@given(tries=st.integers(2, 60))
def test_one_more_hit_moves_both_ends_up(tries: int) -> None:
    ends = [wilson(hits, tries, Z) for hits in range(tries + 1)]
    assert [low for low, _ in ends] == sorted(low for low, _ in ends)
    assert [high for _, high in ends] == sorted(high for _, high in ends)


def test_each_step_scores_its_own_runs() -> None:
    near = [replace(RUN, distance=1.0 + k / 10) for k in range(5)]
    far = [replace(RUN, distance=10.0 + k, loss=2.4 if k % 2 else 2.0) for k in range(5)]
    first, second = steps_of([*far, *near])
    assert (first.coverage, first.bias, first.error) == pytest.approx((1.0, 0.05, 0.05))
    assert second.coverage == 3 / 5
    assert second.bias == pytest.approx((3 * 0.05 - 2 * 0.125) / 5)
    assert second.error == pytest.approx((3 * 0.05 + 2 * 0.125) / 5)
    assert (first.ends, second.ends) == (wilson(5, 5, Z), wilson(3, 5, Z))
    assert second.middle == pytest.approx(math.sqrt(10.0 * 14.0))
