"""The page of the routes to N*: approaches 1, 2, 3 and Kaplan's side by side, with the curves that approach 2 reads."""

from __future__ import annotations

from collections.abc import Iterator

from foretoken.errors import RefusedError
from foretoken.fits.result import IsoflopFit
from foretoken.reports.checks import as_sentence, checks_list
from foretoken.reports.elements import Html, element, section, table
from foretoken.reports.isoflop_figure import isoflop_section
from foretoken.reports.numbers import number, percent
from foretoken.reports.palette import MOST_COLOURS
from foretoken.reports.route_figures import exponent_figure, known_routes, path_figure
from foretoken.reports.study_results import StudyResults
from foretoken.reports.summary import Page, assumed_section, lead
from foretoken.reports.svg import Budget, budget_styles
from foretoken.routes.approaches import Approaches, bias_text
from foretoken.routes.isoflop import isoflop
from foretoken.runs.table import RunTable


def approaches_page(found: Approaches, source: str = "", runs: RunTable | None = None) -> Page:
    """All routes; with the `runs` that they were made from, also the IsoFLOP curves."""
    curves = _curves(found, runs)
    budgets = _colours(curves)
    sentence = _sentence(found)
    return Page(
        title=source or "Routes to the best size",
        kicker="foretoken approaches",
        sentence=sentence,
        parts=[
            lead(sentence, _facts(found), found.checks),
            _routes(found),
            _isoflop(curves, budgets),
            section("methods", "How each route works", _methods(found)),
            section("checks", "Checks", checks_list(found.checks)),
            assumed_section(found.assumed),
        ],
        styles=budget_styles(budgets),
    )


def _sentence(found: Approaches) -> str:
    routes = known_routes(found)
    if not routes:
        return "The table allows none of the routes to the best size."
    values = sorted(route.exponent for route in routes if route.exponent is not None)
    many = f"{len(routes)} route{'s' * (len(routes) > 1)}"
    if len(values) == 1:
        return f"The one route that the table allows says N* ~ C^{number(values[0], 3)}."
    return f"{many} say that the best size grows as C^{number(values[0], 3)} to C^{number(values[-1], 3)}."


def _facts(found: Approaches) -> Iterator[tuple[str, str, str]]:
    for route in known_routes(found):
        band = " to ".join(number(end, 3) for end in route.exponent_interval or ())
        yield route.name, number(route.exponent, 3), f"{percent(found.level, 0)}: {band}"


def _routes(found: Approaches) -> Html:
    """The lines, the exponents, and the bias in words."""
    if not known_routes(found):
        return section("routes", "The routes side by side", element("p", "No route has an exponent.", class_="doubt"))
    biases = [f"{route.name}: {bias_text(route.bias)}." for route in found.routes if route.bias]
    told = [element("p", "What approach 2 does without any noise. ", " ".join(biases))] if biases else []
    return section("routes", "The routes side by side", path_figure(found), exponent_figure(found), *told)


def _curves(found: Approaches, runs: RunTable | None) -> IsoflopFit | None:
    """The IsoFLOP curves of the runs; None where no two sizes share a budget, or there are too many budgets to draw."""
    if runs is None:
        return None
    try:
        curves = isoflop(runs, params=found.params_column, level=found.level, draws=200)
    except RefusedError:
        return None
    return curves if len(curves.budgets) <= 2 * MOST_COLOURS else None


def _colours(curves: IsoflopFit | None) -> dict[str, Budget]:
    budgets = curves.budgets if curves else []
    return {b.group: Budget(b.group, b.flops, f"#0102{place:02x}") for place, b in enumerate(budgets)}


def _isoflop(curves: IsoflopFit | None, budgets: dict[str, Budget]) -> Html | None:
    """The section of the study's report, on the curves alone."""
    if curves is None:
        return None
    import pandas as pd

    study = StudyResults(name="", study={}, table=RunTable(pd.DataFrame(), ""), isoflop=curves)
    return isoflop_section(study, budgets)


def _methods(found: Approaches) -> Html:
    rows = [[route.name, as_sentence(route.reason or route.method), route.params_column] for route in found.routes]
    return table(["route", "method, or why it has no answer", "N is"], rows, class_="words")
