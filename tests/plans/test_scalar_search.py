from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.plans.scalar_search import crossing, least


@settings(deadline=None)
@given(st.lists(st.floats(-9, 9), min_size=1, max_size=5), st.floats(0.1, 3))
def test_least_finds_the_minimum_of_each_row(places: list[float], width: float) -> None:
    centers = np.array(places)[:, None]
    found = least(lambda u: np.cosh((u - centers) / width), np.full(len(places), -10.0), np.full(len(places), 10.0))
    assert found == pytest.approx(np.array(places), abs=1e-6)


def test_least_stays_inside_and_passes_over_what_is_not_finite() -> None:
    assert least(lambda u: u, np.array([2.0]), np.array([5.0])) == pytest.approx([2.0])
    assert least(lambda u: np.sqrt(u), np.array([-4.0]), np.array([4.0])) == pytest.approx([0.0], abs=1e-3)


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(0.01, 5), st.booleans())
def test_crossing_finds_the_sign_change(place: float, slope: float, rises: bool) -> None:
    sign = 1 if rises else -1

    def function(u: float) -> float:
        return sign * (math.expm1(slope * min(u - place, 60)) if u > place else slope * (u - place))

    found = crossing(function, -60.0, 60.0)
    assert found == pytest.approx(place, abs=1e-8)


def test_crossing_without_a_sign_change_and_at_an_end() -> None:
    assert crossing(lambda u: 1.0, 0.0, 1.0) is None
    assert crossing(lambda u: u, 0.0, 1.0) == 0.0
    assert crossing(lambda u: math.inf if u > 1 else u - 0.5, 0.0, 9.0) == pytest.approx(0.5)
