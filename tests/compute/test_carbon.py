"""Carbon in kilometres and flights, held against what was told of GPT-3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.compute.carbon import carbon_equivalents


def test_what_was_told_of_gpt3() -> None:
    """85 t were 700,000 km in a new European car (Anthony et al. 2020); the 552 t of Patterson et al. are 4.6M."""
    assert carbon_equivalents(85).car_km == pytest.approx(700_000, rel=0.02)
    assert carbon_equivalents(552).car_km == pytest.approx(4.6e6)
    assert carbon_equivalents(0.9).flights == pytest.approx(1.0)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_they_add_up(one: float, two: float) -> None:
    both = carbon_equivalents(one + two)
    assert both.car_km == pytest.approx(carbon_equivalents(one).car_km + carbon_equivalents(two).car_km)
    assert both.flights == pytest.approx(carbon_equivalents(one).flights + carbon_equivalents(two).flights)
