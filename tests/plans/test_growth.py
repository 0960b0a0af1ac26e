"""Growth: lines through logarithms, their intervals, and the years when they reach an amount."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, RefusedError
from foretoken.plans.growth import FARTHEST, Point, Reach, fit_trend, records, year_of


def points(values: dict[float, float]) -> list[Point]:
    return [Point(f"{year:g}", year, value, "made up") for year, value in values.items()]


NOISY = points({2010.0: 1.0, 2011.0: 2.7, 2012.5: 9.0, 2014.0: 16.0, 2015.0: 50.0})


@settings(deadline=None)
@given(st.floats(1.1, 20), st.floats(-3, 20), st.lists(st.floats(2000, 2030), min_size=3, max_size=8, unique=True))
def test_years_need_not_be_evenly_spaced(growth: float, start: float, years: list[float]) -> None:
    assume(max(years) - min(years) > 0.5)
    found = fit_trend("x", "", points({year: 10**start * growth ** (year - 2000) for year in years}))
    assert found.growth == pytest.approx(growth, rel=1e-6)
    assert found.at(2040.0) == pytest.approx(10**start * growth**40, rel=1e-4)
    assert found.doubling_months == pytest.approx(12 / math.log2(growth), rel=1e-6)


@settings(deadline=None)
@given(st.floats(1e-6, 1e6))
def test_another_unit_moves_the_line_and_not_the_growth(unit: float) -> None:
    scaled = fit_trend("x", "", [Point(row.name, row.year, unit * row.value, "") for row in NOISY])
    plain = fit_trend("x", "", NOISY)
    assert scaled.growth == pytest.approx(plain.growth)
    assert scaled.growth_interval == pytest.approx(plain.growth_interval)
    assert scaled.at(2020.0) == pytest.approx(unit * plain.at(2020.0))


def test_the_line_is_that_of_numpy() -> None:
    found = fit_trend("x", "", NOISY)
    slope, start = np.polyfit([row.year for row in NOISY], np.log10([row.value for row in NOISY]), 1)
    assert math.log10(found.growth) == pytest.approx(slope)
    assert math.log10(found.at(2013.0)) == pytest.approx(start + slope * 2013.0)


def test_a_higher_level_widens_the_interval_about_the_same_line() -> None:
    narrow, wide = (fit_trend("x", "", NOISY, level) for level in (0.5, 0.99))
    assert narrow.growth == wide.growth
    assert wide.growth_interval[0] < narrow.growth_interval[0] < narrow.growth_interval[1] < wide.growth_interval[1]
    assert wide.margin(2020.0) > narrow.margin(2020.0)


def test_the_margin_is_least_in_the_middle_and_symmetric() -> None:
    found = fit_trend("x", "", NOISY)
    assert found.margin(found.center + 7) == pytest.approx(found.margin(found.center - 7))
    assert found.margin(found.center) == pytest.approx(found.student * found.spread / math.sqrt(5))


def test_at_the_year_that_it_reaches_a_value_the_line_has_it() -> None:
    found = fit_trend("x", "", NOISY)
    reach = found.reaches(1e4)
    assert reach.year is not None
    assert reach.low is not None
    assert found.at(reach.year) == pytest.approx(1e4)
    # Earliest by the upper end of the interval, latest by the lower one.
    assert math.log10(found.at(reach.low)) + found.margin(reach.low) == pytest.approx(4.0)
    if reach.high is not None:
        assert math.log10(found.at(reach.high)) - found.margin(reach.high) == pytest.approx(4.0)


def test_a_trend_is_followed_for_a_century_and_no_further() -> None:
    exact = fit_trend("x", "", points({2000.0 + k: 10.0**k for k in range(4)}))
    assert exact.reaches(10.0 ** (3 + FARTHEST - 1)).year == pytest.approx(2003 + FARTHEST - 1, abs=1e-6)
    assert exact.reaches(10.0 ** (3 + FARTHEST + 2)).year is None


def test_a_reach_without_years_says_why_and_one_with_years_says_nothing() -> None:
    never = Reach(None, None, 2040.0).to_json()
    assert never["year_reason"] == "the trend does not reach it"
    assert "interval" in never["low_reason"]
    assert "high_reason" not in never
    assert Reach(2030.0, 2029.0, 2031.0).to_json() == {"year": 2030.0, "low": 2029.0, "high": 2031.0}


@pytest.mark.parametrize(
    "rows", [points({2000.0: 1.0, 2001.0: 2.0}), [Point(str(k), 2000.0, 1.0 + k, "") for k in range(5)], []]
)
def test_rows_that_hold_no_line_are_refused(rows: list[Point]) -> None:
    with pytest.raises(RefusedError, match="too_few"):
        fit_trend("x", "", rows)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, math.nan])
def test_levels_that_are_no_probability_are_refused(level: float) -> None:
    with pytest.raises(ForetokenError, match="level"):
        fit_trend("x", "", NOISY, level)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf])
def test_amounts_that_are_none_are_never_sought(value: float) -> None:
    with pytest.raises(ForetokenError, match="an amount"):
        fit_trend("x", "", NOISY).reaches(value)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(2000, 2010), st.floats(1, 100)), max_size=20))
def test_records_rise_in_both_and_nothing_earlier_is_larger(rows: list[tuple[int, float]]) -> None:
    given_rows = [Point(str(k), float(year), value, "") for k, (year, value) in enumerate(rows)]
    best = records(given_rows)
    assert [row.value for row in best] == sorted({row.value for row in best})
    assert [row.year for row in best] == sorted({row.year for row in best})
    for row in given_rows:
        beaten = any(other.year <= row.year and other.value >= row.value for other in best)
        assert row in best or beaten


@pytest.mark.parametrize(("date", "year"), [("2020-01", 2020 + 0.5 / 12), ("2021-12", 2021 + 11.5 / 12)])
def test_a_month_is_its_middle(date: str, year: float) -> None:
    assert year_of(date) == pytest.approx(year)
    assert year_of(f"{date}-30") == year_of(date)  # a day is of no account
