"""Growth: a straight line through the logarithms of amounts over time, its interval, and when it reaches an amount."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foretoken.arguments import check_level, check_positive
from foretoken.errors import RefusedError
from foretoken.plans.scalar_search import crossing
from foretoken.results import with_reasons_json

FARTHEST = 100.0
"""Years beyond the rows that a trend is followed."""


@dataclass(frozen=True)
class Point:
    """One row of a trend."""

    name: str
    year: float
    """In years, months as fractions."""
    value: float
    source: str


@dataclass(frozen=True)
class Reach:
    """The year when a trend reaches an amount, the earliest and the latest by its interval; None for never."""

    year: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        at_this_end = "at this end of the interval the trend does not reach it"
        return with_reasons_json(asdict(self), year="the trend does not reach it", low=at_this_end, high=at_this_end)


@dataclass(frozen=True)
class Trend:
    """log10 value = middle + slope (year - center)."""

    name: str
    unit: str
    points: list[Point]
    growth: float
    """Factor per year."""
    growth_interval: list[float]
    doubling_months: float
    """Negative where it falls."""
    level: float
    center: float
    middle: float
    slope: float
    spread: float
    """Standard deviation of log10 value about the line."""
    student: float
    """The t quantile of `level`."""

    def at(self, year: float) -> float:
        """The line's value."""
        return float(10 ** (self.middle + self.slope * (year - self.center)))

    def margin(self, year: float) -> float:
        """Half width of the line's interval, on log10: that of the mean of a simple regression, t s sqrt(1/n + ...)."""
        years = np.array([point.year for point in self.points])
        # Var of the line at a year = s^2 (1/n + (year - mean)^2 / sum (years - mean)^2): about the mean year level and
        # slope are uncorrelated.
        leverage = 1 / len(years) + (year - self.center) ** 2 / float(((years - self.center) ** 2).sum())
        return self.student * self.spread * math.sqrt(leverage)

    def reaches(self, value: float) -> Reach:
        """The year when the line reaches a value, and the earliest and latest year by its interval; None for never."""
        check_positive("an amount", value)
        goal = math.log10(value)

        def when(side: float) -> float | None:
            def excess(year: float) -> float:
                return self.middle + self.slope * (year - self.center) + side * self.margin(year) - goal

            last = max(point.year for point in self.points)
            return crossing(excess, self.center - FARTHEST, last + FARTHEST)

        # Where the line rises, the upper end of its interval gets there first: `low` is the year of side +1.
        return Reach(year=when(0.0), low=when(1.0), high=when(-1.0))


def fit_trend(name: str, unit: str, points: list[Point], level: float = 0.9) -> Trend:
    """The line of least squares through log10 of the values.

    Raises RefusedError below three points at two different times.

    >>> rows = [Point(str(k), 2000.0 + k, value, "made up") for k, value in enumerate((1.0, 11.0, 90.0, 1000.0))]
    >>> f"{fit_trend('tenfold', '', rows).growth:.1f}"
    '9.8'
    """
    from scipy.special import stdtrit

    check_level(level)
    if len(points) < 3 or len({point.year for point in points}) < 2:
        raise RefusedError("too_few", f"{len(points)} rows for the trend of {name}", "give at least 3, at 2 times")
    years = np.array([point.year for point in points])
    logs = np.log10([point.value for point in points])
    center, middle = float(years.mean()), float(logs.mean())
    squares = float(((years - center) ** 2).sum())
    slope = float(((years - center) * logs).sum() / squares)
    left = logs - middle - slope * (years - center)
    spread = math.sqrt(float((left**2).sum()) / (len(points) - 2))
    # Two degrees of freedom go to the line; the slope's variance is spread^2 / sum of squares of the years.
    student = float(stdtrit(len(points) - 2, (1 + level) / 2))
    half = student * spread / math.sqrt(squares)
    return Trend(
        name=name,
        unit=unit,
        points=points,
        growth=10**slope,
        growth_interval=[10 ** (slope - half), 10 ** (slope + half)],
        doubling_months=12 * math.log10(2) / slope if slope else math.inf,
        level=level,
        center=center,
        middle=middle,
        slope=slope,
        spread=spread,
        student=student,
    )


def records(points: list[Point]) -> list[Point]:
    """Those that were the largest when they came.

    >>> rows = [Point("b", 2.0, 1.0, ""), Point("a", 1.0, 2.0, ""), Point("c", 3.0, 4.0, "")]
    >>> [point.name for point in records(rows)]
    ['a', 'c']
    """
    largest: list[Point] = []
    # Of one month the largest comes first, so that the smaller ones of that month are no records.
    for point in sorted(points, key=lambda point: (point.year, -point.value)):
        if not largest or point.value > largest[-1].value:
            largest.append(point)
    return largest


def year_of(date: str) -> float:
    """The middle of a month as a year.

    >>> round(year_of("2020-07"), 3)
    2020.542
    """
    year, month = date.split("-")[:2]
    return int(year) + (int(month) - 0.5) / 12
