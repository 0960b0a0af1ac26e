"""Figures of the routes to N*: their lines with the points these go through, and their exponents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.reports.elements import Html, figure, table
from foretoken.reports.forest import Line, forest
from foretoken.reports.numbers import count, factor, interval, number, percent, power, significant
from foretoken.reports.svg import ACCENT, INK, PAPER, apart, drawing, log_axis, padded, short_count, short_power
from foretoken.routes.approaches import Approaches, is_biased
from foretoken.routes.route import Route

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def known_routes(found: Approaches) -> list[Route]:
    """The routes that the table allows."""
    return [route for route in found.routes if route.exponent is not None]


def path_figure(found: Approaches) -> Html:
    """N* against compute, a line per route."""
    routes = known_routes(found)
    ends = [route.largest["params"] for route in routes if route.largest]
    largest = max((route.largest["flops"] for route in routes if route.largest), default=0.0)
    spread = max(ends) / min(ends) if ends else 1.0
    title = f"At {power(largest, 1)} FLOP the routes' best sizes differ by {factor(spread)}"
    caption = (
        "Best size N* against compute by each route. Marks: what its line goes through (minima of budgets, the lowest "
        "curves); routes without marks ask a fitted surface. Bars at the right: N* at the largest compute with its "
        f"{percent(found.level, 0)} interval. Each route counts N as its row in the table of methods says."
    )
    panels = [
        drawing(
            f"paths-{kind}",
            (width, height),
            partial(_draw_paths, routes=routes, room=LABEL / (width - LABEL - AXIS)),
            title=title,
            described=caption,
            class_=kind,
        )
        for kind, width, height in (("wide", 760, 420), ("narrow", 380, 360))
    ]
    rows = [[route.name, power(point["flops"]), count(point["params"])] for route in routes for point in route.points]
    return figure("paths", title, panels, caption, table(["route", "C (FLOP)", "N*"], rows, class_="numbers"))


def exponent_figure(found: Approaches) -> Html:
    """The exponents side by side, and for approach 2 what is left when its simulated bias is taken off."""
    routes = known_routes(found)
    values = [route.exponent for route in routes if route.exponent is not None]
    title = f"The exponent of N* is {number(min(values), 3)} to {number(max(values), 3)}, by route"
    caption = (
        f"Exponent a of N* = G C^a with its {percent(found.level, 0)} interval. Hollow: approach 2 less its bias, "
        "which is what the same method makes of the same runs without any noise on the surface of approach 3, less the "
        "surface's own exponent."
    )
    lines = [
        Line(
            route.name,
            route.exponent,
            route.exponent_interval,
            beside=None if route.bias is None or route.exponent is None else route.exponent - route.bias["exponent"],
            strong=bool(route.bias and is_biased(route.bias)),
        )
        for route in routes
    ]
    panels = forest("exponents", lines, "exponent a of N* ~ C^a", title=title, described=caption)
    rows = [_row(route) for route in found.routes]
    heads = ["route", "exponent", "interval", "bias", "G", "N* at the largest C", "interval"]
    return figure("exponents", title, panels, caption, table(heads, rows, class_="numbers"))


def _row(route: Route) -> list[str]:
    end = route.largest or {}
    return [
        route.name,
        number(route.exponent, 3),
        interval(route.exponent_interval),
        "" if route.bias is None else number(route.bias["exponent"], 3),
        significant(route.prefactor),
        count(end.get("params")),
        " to ".join(count(bound) for bound in end.get("interval") or []) or "—",
    ]


def _draw_paths(axes: Axes, *, routes: Sequence[Route], room: float) -> None:
    points = [point for route in routes for point in route.points]
    ends = [route.largest for route in routes if route.largest]
    low, high = padded([*(point["flops"] for point in points), *(end["flops"] for end in ends)], 0.04)
    first = min((point["flops"] for point in points), default=high / 1e3)
    write = lambda flops: short_power(flops) if flops <= high else ""  # noqa: E731
    log_axis(axes, "x", low, high * (high / low) ** room, write)
    sizes = [point["params"] for point in points] + [size for end in ends for size in (end["params"], *end["interval"])]
    log_axis(axes, "y", *padded(sizes), short_count)
    for place, route in enumerate(routes):
        _draw_route(axes, route, first, place)
    _name_ends(axes, routes)
    axes.set_xlabel("compute C (FLOP)")
    axes.set_ylabel("best size N*")


def _draw_route(axes: Axes, route: Route, first: float, place: int) -> None:
    assert route.largest is not None
    assert route.exponent is not None
    assert route.prefactor is not None
    marker, dashes = STYLES.get(route.name, ("v", "-"))
    colour = ACCENT if route.name == "approach 3" else INK
    end = route.largest["flops"]
    line = [route.prefactor * flops**route.exponent for flops in (first, end)]
    axes.plot([first, end], line, color=colour, linestyle=dashes, linewidth=1.5, zorder=2)
    if marker and route.points:
        x, y = zip(*((point["flops"], point["params"]) for point in route.points), strict=True)
        axes.plot(x, y, marker, color=colour, markerfacecolor=PAPER, markersize=5.5, markeredgewidth=1.2, zorder=3)
    left, right = axes.get_xlim()
    beside = end * (right / left) ** (0.006 * (place + 1))
    axes.plot([beside] * 2, route.largest["interval"], color=colour, linewidth=1.6, zorder=2)


def _name_ends(axes: Axes, routes: Sequence[Route]) -> None:
    """Each route's name at the right of its line."""
    import math

    ends = [(math.log(route.largest["params"]), route) for route in routes if route.largest]
    bottom, top = map(math.log, axes.get_ylim())
    height = 72 * axes.figure.get_figheight()  # type: ignore[union-attr]
    places = apart([end for end, _ in ends], (top - bottom) * 17 / height)
    left, right = axes.get_xlim()
    for (_, route), place in zip(ends, places, strict=True):
        assert route.largest is not None
        colour = ACCENT if route.name == "approach 3" else INK
        beside = route.largest["flops"] * (right / left) ** 0.045
        axes.annotate(_short(route.name), (beside, math.exp(place)), va="center", fontsize=11, color=colour)


def _short(name: str) -> str:
    return name.replace("approach 2 (interpolated)", "2, interpolated").replace("approach 2 (parabola)", "2, parabola")
