"""The page of a fit: the law and its runs, its doubts, its parameters, and the runs that carry it."""

from __future__ import annotations

from collections.abc import Iterator

from foretoken.fits.influence import Influence, influence
from foretoken.fits.result import Fit
from foretoken.reports.elements import Html, element, join, section
from foretoken.reports.influence_figure import influence_figure, influence_sentence
from foretoken.reports.law_figure import law_figure
from foretoken.reports.law_section import law_section
from foretoken.reports.numbers import count, number, power, significant
from foretoken.reports.objective_figure import objective_figure
from foretoken.reports.palette import coloured
from foretoken.reports.parameter_figure import parameter_figure
from foretoken.reports.profile_figure import profile_figure
from foretoken.reports.residual_figure import residual_title
from foretoken.reports.study_results import StudyResults
from foretoken.reports.summary import Page, lead
from foretoken.reports.svg import budget_styles
from foretoken.runs.table import RunTable


def fit_page(fit: Fit, source: str = "") -> Page:
    """All that a fit holds; `source` names the table."""
    shown, budgets = coloured(fit)
    moved = influence(fit)
    sentence = _sentence(fit, moved)
    return Page(
        title=source or f"{fit.law} law",
        kicker="foretoken fit",
        sentence=sentence,
        parts=[
            lead(sentence, _facts(fit), fit.checks),
            section("runs", "The law and its runs", law_figure(shown, budgets)),
            law_section(as_study(shown), budgets),
            section("parameters-section", "How sure are the parameters?", *_parameters(fit)),
            _carried(moved),
        ],
        styles=budget_styles(budgets),
    )


def as_study(fit: Fit) -> StudyResults:
    """A fit alone, as the parts of a report read it."""
    import pandas as pd

    return StudyResults(name=fit.law, study={}, table=RunTable(pd.DataFrame(), ""), fit=fit)


def _sentence(fit: Fit, moved: Influence | None) -> str:
    if moved is None:
        unknown = f" They do not say what {' and '.join(fit.reasons)} is." if fit.reasons else ""
        return f"{fit.law.replace('_', ' ').capitalize()}, fitted to {_used(fit)} runs. {residual_title(fit)}.{unknown}"
    band = " to ".join(number(end, 3) for end in moved.interval or ())
    said = f" ({100 * moved.level:g} %: {band})" if band else ""
    return f"The best size grows as N* ~ C^{number(moved.exponent, 3)}{said}. {influence_sentence(moved)}."


def _used(fit: Fit) -> int:
    return int(fit.rows.get("used", len(fit.residuals)))


def _facts(fit: Fit) -> Iterator[tuple[str, str, str]]:
    lost = sum(int(row.get("count", 0)) for row in fit.rows.get("dropped") or [])
    yield "Runs", f"{_used(fit)} used", f"{lost} left out" if lost else "none left out"
    yield "Status", fit.status.replace("_", " "), f"condition number {significant(fit.conditioning)}"
    starts = fit.starts
    yield "Starts that agree", f"{starts.get('agree', 0)} of {starts.get('tried', 0)}", "within 1 % of the best"
    low, high = fit.ranges["flops"]
    yield "Compute", f"{power(low, 1)} to {power(high, 1)}", "FLOP"
    yield "Sizes", " to ".join(count(end) for end in fit.ranges["params"]), fit.params_column
    yield "Time", f"{fit.seconds:.2g} s", f"intervals {fit.interval_seconds:.2g} s"


def _parameters(fit: Fit) -> list[Html | None]:
    return [parameter_figure(fit), profile_figure(fit), objective_figure(fit)]


def _carried(moved: Influence | None) -> Html:
    """The section on the few runs that carry the fit."""
    if moved is None:
        words = (
            "Not looked at: this needs a law with a closed-form N*, and 20 runs or more that were not taken together."
        )
        return section("carried", "Do a few runs carry it?", element("p", words))
    return section("carried", "Do a few runs carry it?", influence_figure(moved), _own_words(moved))


def _own_words(moved: Influence) -> Html | None:
    outside = moved.interval and not moved.interval[0] <= moved.after("highest_loss", moved.few) <= moved.interval[1]
    if not outside:
        return None
    words = f"Without these {moved.few} runs the exponent lies outside the interval that all runs give: they carry it."
    return join([element("p", words, class_="doubt")])
