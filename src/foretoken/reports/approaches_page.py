"""The page of the routes to N*: approaches 1, 2, 3 and Kaplan's side by side, with the curves that approach 2 reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.errors import RefusedError
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table, with_code
from foretoken.reports.isoflop_figures import isoflop_section
from foretoken.reports.numbers import count, factor, interval, number, percent, power, significant
from foretoken.reports.palette import MOST_COLOURS, Budgets, budget_styles, ranked
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import (
    ACCENT,
    INK,
    PAPER,
    apart,
    figure_size,
    log_axis,
    padded,
    responsive,
    short_count,
    short_power,
)
from foretoken.routes.approaches import Approaches
from foretoken.routes.isoflop import IsoflopFit, isoflop
from foretoken.routes.route import Route
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def approaches_page(approaches: Approaches, options: PageOptions) -> Page:
    """All routes; with the runs that they were made from, also the IsoFLOP curves."""
    curves = _curves(approaches, options.runs)
    budgets = ranked((budget.group, budget.flops) for budget in curves.budgets) if curves else {}
    sentence = _sentence(approaches)
    return Page(
        title=options.source or "Routes to the best size",
        kicker="foretoken approaches",
        sentence=sentence,
        parts=_parts(approaches, sentence, curves, budgets, options.runs),
        styles=budget_styles(budgets),
    )


def _parts(
    approaches: Approaches, sentence: str, curves: IsoflopFit | None, budgets: Budgets, runs: RunTable | None
) -> Iterator[Html | None]:
    yield lead(sentence, _facts(approaches), approaches.checks)
    yield _routes(approaches, runs)
    yield isoflop_section(curves, budgets) if curves else None
    yield section("methods", "How each route works", _methods(approaches))
    yield section("checks", "Checks", checks_list(approaches.checks))
    yield assumed_section(approaches.assumed)


def _sentence(approaches: Approaches) -> str:
    routes = known_routes(approaches)
    if not routes:
        told = next((route.largest for route in approaches.routes if route.largest), None)
        if told:
            return f"One budget has a minimum: N* is {count(told.params)} at {power(told.flops)} FLOP; no exponent."
        return "The table allows none of the routes to the best size."
    values = sorted(route.exponent for route in routes if route.exponent is not None)
    many = f"{len(routes)} route{'s' * (len(routes) > 1)}"
    if len(values) == 1:
        return f"The one route that the table allows says N* ~ C^{number(values[0], 3)}."
    return f"{many} say that the best size grows as C^{number(values[0], 3)} to C^{number(values[-1], 3)}."


def _facts(approaches: Approaches) -> Iterator[Fact]:
    for route in known_routes(approaches):
        band = " to ".join(number(end, 3) for end in route.exponent_interval or ())
        yield route.name, number(route.exponent, 3), f"{percent(approaches.level, 0)}: {band}"
    yield "Unit", approaches.loss_unit, "of the loss"


def _routes(approaches: Approaches, runs: RunTable | None) -> Html:
    """The lines, the exponents, and the bias in words."""
    if not known_routes(approaches):
        return section("routes", "The routes side by side", element("p", "No route has an exponent.", class_="doubt"))
    biases = [as_sentence(f"{route.name}: {route.bias}") for route in approaches.routes if route.bias]
    bias_words = (
        [element("p", "Bias of approach 2, on the same runs without noise. ", " ".join(biases))] if biases else []
    )
    return section(
        "routes", "The routes side by side", path_figure(approaches, runs), exponent_figure(approaches), *bias_words
    )


def _curves(approaches: Approaches, runs: RunTable | None) -> IsoflopFit | None:
    """The IsoFLOP curves of the runs; None where no budget has sizes enough for one, or too many budgets have runs."""
    if runs is None:
        return None
    try:
        curves = isoflop(runs, params=approaches.params_column, level=approaches.level)
    except RefusedError:
        return None
    drawable = any(budget.parabola for budget in curves.budgets) and len(curves.budgets) <= 2 * MOST_COLOURS
    return curves if drawable else None


def _methods(approaches: Approaches) -> Html:
    rows = [
        [route.name, with_code(as_sentence(route.reason or route.method)), route.params_column]
        for route in approaches.routes
    ]
    return table(["route", "method, or why it has no answer", "N is"], rows, class_="words")


STYLES = {
    "approach 1": ("s", (0, (1, 1.5))),
    "approach 2 (parabola)": ("o", (0, (5, 2))),
    "approach 2 (interpolated)": ("D", (0, (5, 2, 1, 2))),
    "approach 3": ("", "-"),
    "Kaplan": ("", (0, (8, 3))),
}
"""Marker and dashes of each route: shapes, so that no colour has to tell them apart."""

LABEL, AXIS = 125, 55
"""Pixels for the names at the right, and for the axis at the left."""


def known_routes(approaches: Approaches) -> list[Route]:
    """The routes that the table allows."""
    return [route for route in approaches.routes if route.exponent is not None]


def path_figure(approaches: Approaches, runs: RunTable | None = None) -> Html:
    """N* against compute, a line per route, over the compute of the runs where they are given."""
    routes = known_routes(approaches)
    ends = [route.largest.params for route in routes if route.largest]
    largest = max((route.largest.flops for route in routes if route.largest), default=0.0)
    # A ratio, because sizes are compared on a log axis.
    spread = max(ends) / min(ends) if ends else 1.0
    title = f"At {power(largest, 1)} FLOP the routes' best sizes differ by {factor(spread)}"
    caption = (
        "Best size N* against compute by each route. Marks: what its line goes through (minima of budgets, the lowest "
        "curves); routes without marks read a fitted surface. Bars at the right: N* at the largest compute with its "
        f"{percent(approaches.level, 0)} interval. Each route counts N as its row in the table of methods says."
    )
    draw = partial(_draw_paths, routes=routes, first=_first(routes, largest, runs))
    panels = responsive("paths", draw, title=title, described=caption, wide=(760, 420), narrow=360)
    rows = [[route.name, power(point.flops), count(point.params)] for route in routes for point in route.points]
    return figure("paths", title, panels, caption, table(["route", "C (FLOP)", "N*"], rows, class_="numbers"))


def _first(routes: Sequence[Route], largest: float, runs: RunTable | None) -> float:
    """Where the lines begin: at the least compute of the points, of the runs, or three decades down."""
    points = [point.flops for route in routes for point in route.points]
    if not points and runs is not None and "flops" in runs.frame:
        points = [float(flops) for flops in runs.frame["flops"] if 0 < flops < largest]
    return min(points, default=largest / 1e3)


def exponent_figure(approaches: Approaches) -> Html:
    """The exponents side by side, and for approach 2 what is left when its simulated bias is taken off."""
    routes = known_routes(approaches)
    values = [route.exponent for route in routes if route.exponent is not None]
    title = f"The exponent of N* is {number(min(values), 3)} to {number(max(values), 3)}, by route"
    caption = (
        f"Exponent a of N* = G C^a with its {percent(approaches.level, 0)} interval. Hollow: approach 2 less its bias, "
        "which is what the same method makes of the same runs without any noise on the surface of approach 3, less the "
        "surface's own exponent."
    )
    lines = [
        Line(
            route.name,
            route.exponent,
            route.exponent_interval,
            beside=None if route.bias is None or route.exponent is None else route.exponent - route.bias.exponent,
            strong=bool(route.bias and route.bias.is_large),
        )
        for route in routes
    ]
    panels = forest("exponents", lines, "exponent a of N* ~ C^a", title=title, described=caption)
    rows = [_row(route) for route in approaches.routes]
    heads = ["route", "exponent", "interval", "bias", "G", "N* at the largest C", "interval"]
    return figure("exponents", title, panels, caption, table(heads, rows, class_="numbers"))


def _row(route: Route) -> list[str]:
    end = route.largest
    return [
        route.name,
        number(route.exponent, 3),
        interval(route.exponent_interval),
        "" if route.bias is None else number(route.bias.exponent, 3),
        significant(route.prefactor),
        count(end.params if end else None),
        " to ".join(count(bound) for bound in (end.interval if end else ())) or "—",
    ]


def _draw_paths(axes: Axes, *, routes: Sequence[Route], first: float) -> None:
    room = LABEL / (figure_size(axes)[0] - LABEL - AXIS)
    points = [point for route in routes for point in route.points]
    ends = [route.largest for route in routes if route.largest]
    low, high = padded([first, *(end.flops for end in ends)], 0.04)
    log_axis(axes, "x", low, high * (high / low) ** room, short_power)
    sizes = [point.params for point in points] + [size for end in ends for size in (end.params, *end.interval)]
    sizes += [route.prefactor * first**route.exponent for route in routes if route.prefactor and route.exponent]
    log_axis(axes, "y", *padded(sizes), short_count)
    for rank, route in enumerate(routes):
        _draw_route(axes, route, first, rank)
    _name_ends(axes, routes)
    axes.set_xlabel("compute C (FLOP)")
    axes.set_ylabel("best size N*")


def _draw_route(axes: Axes, route: Route, first: float, rank: int) -> None:
    assert route.largest is not None
    assert route.exponent is not None
    assert route.prefactor is not None
    marker, dashes = STYLES.get(route.name, ("v", "-"))
    colour = ACCENT if route.name == "approach 3" else INK
    end = route.largest.flops
    line = [route.prefactor * flops**route.exponent for flops in (first, end)]
    axes.plot([first, end], line, color=colour, linestyle=dashes, linewidth=1.5, zorder=2)
    if marker and route.points:
        x, y = zip(*((point.flops, point.params) for point in route.points), strict=True)
        axes.plot(x, y, marker, color=colour, markerfacecolor=PAPER, markersize=5.5, markeredgewidth=1.2, zorder=3)
    left, right = axes.get_xlim()
    # Intervals at the largest compute stand side by side, or routes that agree would hide each other.
    beside = end * (right / left) ** (0.006 * (rank + 1))
    axes.plot([beside] * 2, route.largest.interval, color=colour, linewidth=1.6, zorder=2)


def _name_ends(axes: Axes, routes: Sequence[Route]) -> None:
    """Each route's name at the right of its line."""
    import math

    ends = [(math.log(route.largest.params), route) for route in routes if route.largest]
    bottom, top = map(math.log, axes.get_ylim())
    drawing_height = figure_size(axes)[1]
    heights = apart([end for end, _ in ends], (top - bottom) * 17 / drawing_height)
    left, right = axes.get_xlim()
    for (_, route), height in zip(ends, heights, strict=True):
        assert route.largest is not None
        colour = ACCENT if route.name == "approach 3" else INK
        beside = route.largest.flops * (right / left) ** 0.045
        axes.annotate(_short(route.name), (beside, math.exp(height)), va="center", fontsize=11, color=colour)


def _short(name: str) -> str:
    return name.replace("approach 2 (interpolated)", "2, interpolated").replace("approach 2 (parabola)", "2, parabola")
