"""The page of one forecast: the law on its way there, how far that is, and the fit behind it."""

from __future__ import annotations

from collections.abc import Iterator

from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast, IntervalKind
from foretoken.reports.forecast_figure import forecast_section, has_way, view_of
from foretoken.reports.html import Html, checks_list, section
from foretoken.reports.law_section import law_section
from foretoken.reports.numbers import count, factor, number, percent, power
from foretoken.reports.palette import budget_styles, coloured
from foretoken.reports.summary import ESTIMATORS, Fact, Page, PageOptions, lead

REACHED = {"params": "size", "flops": "compute"}
"""What a distance beyond the runs is measured in, where the key is a symbol of the table's."""
KINDS: dict[IntervalKind, str] = {"new-run": "interval of a new run", "mean": "interval of the law itself"}
INTERVAL_REMARKS: dict[IntervalKind, str] = {"new-run": "", "mean": " (the law itself, not one run)"}


def prediction_page(forecast: Forecast, options: PageOptions) -> Page:
    """A forecast; with the fit that made it, the runs, the law and its checks too."""
    sentence = _sentence(forecast)
    behind, styles = _behind(forecast, options.fit)
    return Page(
        title=options.source or "Forecast",
        kicker="foretoken predict",
        sentence=sentence,
        parts=[lead(sentence, _facts(forecast), forecast.checks), *behind],
        styles=styles,
    )


def _behind(forecast: Forecast, fit: Fit | None) -> tuple[list[Html], str]:
    """The figure and the fit behind a forecast, with the colours of the runs; without a fit its checks alone."""
    if fit is None:
        return [section("checks", "Checks", checks_list(forecast.checks))], ""
    shown, budgets = coloured(fit)
    law = law_section(shown, budgets)
    if not has_way(forecast, fit):
        return [law], budget_styles(budgets)
    return [forecast_section(view_of(forecast, shown), budgets), law], budget_styles(budgets)


def _sentence(forecast: Forecast) -> str:
    size = f"A run of {count(forecast.params)} parameters on {count(forecast.tokens)} tokens"
    kind = INTERVAL_REMARKS[forecast.kind]
    return (
        f"{size} is forecast to reach {number(forecast.loss)} {forecast.unit} "
        f"({percent(forecast.level, 0)}: {number(forecast.low)} to {number(forecast.high)}){kind}."
    )


def _facts(forecast: Forecast) -> Iterator[Fact]:
    yield "Compute", power(forecast.flops), "FLOP"
    for name, times in forecast.extrapolation.items():
        yield (
            f"Beyond the runs in {REACHED.get(name, name.replace('_', ' '))}",
            factor(times),
            "inside them" if times <= 1 else "",
        )
    yield "Half the interval", percent(forecast.half_width, 2), "of the forecast"
    yield "Estimate", ESTIMATORS.get(forecast.estimator, forecast.estimator), KINDS[forecast.kind]
