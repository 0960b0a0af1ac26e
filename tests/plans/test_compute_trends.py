from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, RefusedError
from foretoken.plans.compute_trends import STOCK, known_trends, trends
from foretoken.plans.growth import Point, fit_trend, records, year_of


def line(growth: float, noise: tuple[float, ...] = (0.0,) * 6) -> list[Point]:
    return [Point(str(k), 2010.0 + k, 100 * growth**k * 10**error, "made up") for k, error in enumerate(noise)]


@settings(deadline=None)
@given(st.floats(1.05, 30))
def test_an_exact_line_is_recovered(growth: float) -> None:
    found = fit_trend("x", "", line(growth))
    assert found.growth == pytest.approx(growth)
    assert found.growth_interval == pytest.approx([growth, growth], rel=1e-5)
    assert found.doubling_months == pytest.approx(12 * math.log(2) / math.log(growth))
    assert found.at(2010.0) == pytest.approx(100)
    reached = found.reaches(100 * growth**20)
    assert reached.year == pytest.approx(2030.0, abs=1e-5)


@settings(deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=4, max_size=9))
def test_intervals_hold_the_line_and_widen_outwards(noise: list[float]) -> None:
    found = fit_trend("x", "", line(3.0, tuple(noise)))
    assert found.growth_interval[0] <= found.growth <= found.growth_interval[1]
    assert found.margin(2040.0) >= found.margin(found.center)
    reached = found.reaches(1e9)
    if reached.year is not None and reached.low is not None and reached.high is not None:
        assert reached.low <= reached.year + 1e-6 <= reached.high + 2e-6


def test_the_interval_of_growth_is_the_students_t_of_the_slope() -> None:
    """Slope +- t sqrt(s^2 / Sxx), with the t quantile of 4 degrees of freedom at 95 %, 2.1318."""
    points = line(2.0, (0.1, -0.1, 0.05, 0.0, -0.05, 0.02))
    logs = np.log10([point.value for point in points])
    years = np.arange(6.0)
    slope, start = np.polyfit(years, logs, 1)
    half = 2.1318 * math.sqrt(((logs - start - slope * years) ** 2).sum() / 4 / 17.5)
    assert fit_trend("x", "", points).growth_interval == pytest.approx(
        [10 ** (slope - half), 10 ** (slope + half)], 1e-4
    )


def test_a_trend_that_does_not_reach_says_never() -> None:
    falling = fit_trend("x", "", line(0.5))
    assert falling.doubling_months < 0
    assert falling.reaches(1e9 * 100).year is not None  # in the past
    assert fit_trend("x", "", line(1.0 + 1e-9)).reaches(1e9).year is None


def test_records_are_the_largest_of_their_time() -> None:
    points = [Point("a", 1.0, 5.0, ""), Point("b", 2.0, 4.0, ""), Point("c", 3.0, 6.0, ""), Point("d", 3.0, 7.0, "")]
    assert [point.name for point in records(points)] == ["a", "d"]


def test_what_the_table_says() -> None:
    known = known_trends()
    assert known["compute"].growth > known["accelerators"].growth
    assert known["largest_compute"].growth > known["compute"].growth
    low, high = known["compute_before_2022"].growth_interval
    assert low < 10 < high  # the lectures' "10 times a year"
    moore = 2**0.5
    assert known["accelerators"].growth_interval[1] > moore
    assert all(point.year < 2022 for point in known["compute_before_2022"].points)
    assert year_of("2020-05") == pytest.approx(2020.375)


def test_the_outlook_names_its_assumptions_and_is_plain() -> None:
    found = trends(1e27)
    assert any("Villalobos" in sentence for sentence in found.assumed)
    assert [row.stock for row in found.text.values()] == list(STOCK.values())
    years = [row.tokens.year for row in found.text.values()]
    assert years == sorted(years)
    assert found.budget.largest.year < found.budget.notable.year
    machines = found.budget.accelerators
    peak = max(point.value for point in found.trends["accelerators"].points)
    assert machines.count * peak * machines.mfu * 90 * 86400 == pytest.approx(1e27)
    json.dumps(found.to_json(), allow_nan=False)
    assert trends().to_json()["budget_reason"] == "no budget was given (--compute)"


def test_an_amount_that_no_trend_reaches_is_null_with_its_reason() -> None:
    notable = trends(1e150).to_json()["budget"]["notable"]
    assert notable["year"] is None
    assert notable["year_reason"] == "the trend does not reach it"


def test_bad_input() -> None:
    with pytest.raises(RefusedError, match="too_few"):
        fit_trend("x", "", line(2.0)[:2])
    with pytest.raises(ForetokenError, match="level"):
        known_trends(0.0)
    with pytest.raises(ForetokenError, match="compute"):
        trends(-1.0)
    with pytest.raises(ForetokenError, match="unknown published law"):
        trends(law="nobody_1999")
