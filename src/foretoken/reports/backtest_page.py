"""The page of a back-test: would the forecasts have been right, how far, and as surely as they said?"""

from __future__ import annotations

from collections.abc import Iterator

from foretoken.forecasts.backtest import BackTest
from foretoken.reports.backtest_figures import distance_figure, held_out_figure, origin_figure
from foretoken.reports.checks import checks_list
from foretoken.reports.elements import section
from foretoken.reports.numbers import percent, significant
from foretoken.reports.summary import Page, assumed_section, lead


def backtest_page(found: BackTest, source: str = "") -> Page:
    """All that a back-test found; `source` names the table."""
    sentence = (
        f"Forecasts of {found.n_test} runs from cheaper ones missed by {percent(found.test_error, 2)} on average; "
        f"{percent(found.coverage, 0)} of them fell inside their {percent(found.level, 0)} interval."
    )
    return Page(
        title=source or "Back-test",
        kicker="foretoken backtest",
        sentence=sentence,
        parts=[
            lead(sentence, _facts(found), found.checks),
            section("outcomes", "Forecast and outcome", held_out_figure(found)),
            section("distances", "How far does it carry?", distance_figure(found), origin_figure(found)),
            section("checks", "Checks", checks_list(found.checks)),
            assumed_section(found.assumed),
        ],
    )


def _facts(found: BackTest) -> Iterator[tuple[str, str, str]]:
    yield "Mean error", percent(found.test_error, 2), f"median {percent(found.median_error, 2)}"
    yield "Largest error", percent(found.max_error, 2), ""
    side = "too high" if found.bias > 0 else "too low"
    yield "Bias", percent(found.bias, 2, signed=True), f"forecasts are {side} on average"
    yield "Inside the interval", percent(found.coverage, 0), f"promised {percent(found.level, 0)}"
    yield "Half the interval", percent(found.median_half_width, 2), "median"
    yield "Interval score", significant(found.interval_score), "less is better"
    yield "Runs", f"{'up to ' * (len(found.origins) > 1)}{found.n_train} seen", f"{found.n_test} forecast"
    yield "Estimator", found.estimator, f"law: {found.law}"
