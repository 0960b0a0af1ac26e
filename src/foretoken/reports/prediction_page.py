"""The page of one forecast: the law on its way there, how far that is, and the fit it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, replace

from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.laws import find_law
from foretoken.reports.fit_page import as_study
from foretoken.reports.forecast_figure import forecast_section
from foretoken.reports.html import Html, checks_list, section
from foretoken.reports.law_section import law_section
from foretoken.reports.numbers import count, factor, number, percent, power
from foretoken.reports.palette import coloured, thinned
from foretoken.reports.summary import Page, lead
from foretoken.reports.svg import budget_styles
from foretoken.runs.table import RunTable


def prediction_page(told: Forecast, source: str = "", fit: Fit | None = None) -> Page:
    """A forecast; with the `fit` that made it, the runs, the law and its checks too."""
    sentence = _sentence(told)
    parts: list[Html | None] = [lead(sentence, _facts(told), told.checks)]
    styles = ""
    if fit is not None:
        shown, budgets = coloured(fit)
        study = replace(as_study(shown), table=_table(shown), forecast=told.to_json())
        law = find_law(fit.law)
        if set(law.features) <= {"params", "tokens", "flops"} and law.column == "loss" and not math.isnan(told.flops):
            parts.append(forecast_section(study, budgets))
        parts.append(law_section(study, budgets))
        styles = budget_styles(budgets)
    else:
        parts.append(section("checks", "Checks", checks_list(told.checks)))
    return Page(title=source or "Forecast", kicker="foretoken predict", sentence=sentence, parts=parts, styles=styles)


def _table(fit: Fit) -> RunTable:
    """The runs that the fit used, as the forecast's figure draws them."""
    import pandas as pd

    frame = pd.DataFrame([asdict(fit.runs[i]) for i in thinned(fit.runs)])
    return RunTable(frame[["run", "group", "flops", "loss"]], "")


def _sentence(told: Forecast) -> str:
    size = f"A run of {count(told.params)} parameters on {count(told.tokens)} tokens"
    kind = "" if told.kind == "new-run" else " (the law itself, not one run)"
    return (
        f"{size} is forecast to reach {number(told.loss)} {told.unit} "
        f"({percent(told.level, 0)}: {number(told.low)} to {number(told.high)}){kind}."
    )


def _facts(told: Forecast) -> Iterator[tuple[str, str, str]]:
    yield "Compute", power(told.flops), "FLOP"
    for name, times in told.extrapolation.items():
        yield f"Beyond the runs in {name.replace('_', ' ')}", factor(times), "inside them" if times <= 1 else ""
    yield "Half the interval", percent(told.half_width, 2), "of the forecast"
    yield "Estimate", told.estimator, told.kind
