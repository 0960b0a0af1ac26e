"""One small drawing per curve of scores: what was measured, the band of a new measurement, chance and human level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeVar

from foretoken.abilities.axes import Axis
from foretoken.abilities.result import BandPoint, CurveVerdict
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import significant
from foretoken.reports.svg import log_ticks, short_count, short_power

Curve = TypeVar("Curve")
SIZE = (250.0, 214.0)
"""Width and height of a panel, in pixels of its own."""
LEFT, RIGHT, TOP, BOTTOM = 42.0, 8.0, 54.0, 38.0
INSET = 6.0
"""Between the axis and the first mark."""
LETTERS, LINE, NAME = 36, 13.0, 46.0
"""Letters of a name that a panel is wide, the height of a line, and the width of the name of a level."""
TICKS = 4
"""Ticks of an axis at most."""
ON_PAPER = ";paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round"
"""Words on a border of paper, so that no line or mark runs through them."""
DASHES = {"chance": "2 3", "human": "6 3", "ceiling": "1 2"}
AXIS_WORDS: dict[Axis, str] = {
    "params": "parameters",
    "tokens": "tokens",
    "flops": "training compute (FLOP)",
    "loss": "loss, falling",
}
VERDICT_WORDS = {"u_shaped": "U-shaped", "not_enough_data": "not enough data"}


@dataclass(frozen=True)
class View:
    """From sizes and scores to pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool
    log_y: bool
    percent: bool

    def across(self, size: float) -> float:
        """Pixels from the left; losses fall to the right."""
        low, high = (self._x(end) for end in self.x)
        return LEFT + INSET + (SIZE[0] - LEFT - INSET - RIGHT) * (self._x(size) - low) / ((high - low) or 1.0)

    def down(self, score: float) -> float:
        """Pixels from the top."""
        low, high = (self._y(end) for end in self.y)
        share = (self._y(min(max(score, self.y[0]), self.y[1])) - low) / ((high - low) or 1.0)
        return SIZE[1] - BOTTOM - (SIZE[1] - TOP - BOTTOM) * share

    def _x(self, size: float) -> float:
        return math.log(size) if self.log_x else -size

    def _y(self, score: float) -> float:
        return math.log(max(score, 1e-300)) if self.log_y else score

    def written(self, score: float) -> str:
        """A score with its unit."""
        return f"{significant(100 * score)}\u202f%" if self.percent else significant(score)

    def tick(self, score: float) -> str:
        """A score as the axis has it."""
        return f"{100 * score:g}\u202f%" if self.percent else significant(score)


def view_of_curve(curve: CurveVerdict, against: Axis) -> View:
    """The whole of a curve: bounded scores from 0 to 100 %, others on a log axis."""
    sizes = [point.size for point in curve.points] + [point.size for point in curve.band]
    ends = (max(sizes), min(sizes)) if against == "loss" else (min(sizes), max(sizes))
    if curve.unit != "raw":
        return View(ends, (0.0, 1.0), against != "loss", False, True)
    scores = [point.score for point in curve.points] + [end for one in curve.band for end in (one.low, one.high)]
    return View(ends, (min(scores), max(scores)), against != "loss", min(scores) > 0, False)


def curve_panel(curve: CurveVerdict, against: Axis, level_words: str) -> Html:
    """The drawing of one curve, its verdict in the title; every mark tells its numbers to whoever points at it."""
    view = view_of_curve(curve, against)
    name, verdict = str(curve.name), VERDICT_WORDS.get(curve.verdict, curve.verdict)
    below = (f"{verdict}{level_words}", "accent" if curve.verdict == "sharp" else "muted")
    body = [*axes(view, AXIS_WORDS[against], short_power if against == "flops" else short_count)]
    body += [*curve_band(view, curve), *_bars(view, curve)]
    for point in curve.points:
        told = f"{significant(point.size)} {AXIS_WORDS[against]}"
        body.append(mark(view, point.size, point.score, told))
    return panel(name, f"{name}: {verdict}. {curve.evidence}", body, below)


def panel(name: str, told: str, body: Iterable[Html], below: tuple[str, str] | None = None) -> Html:
    """A panel with its name above it, in two lines where it is long, and a line `below` that with its role."""
    lines = wrap(name, LETTERS, max_lines=2, placeholder=" …")
    above = [(words, "ink", ";font-weight:600") for words in lines] + ([(*below, "")] if below else [])
    first = TOP - 16 - LINE * (len(above) - 1)
    head = [
        words_at(2, first + LINE * number, words, role, style=style)
        for number, (words, role, style) in enumerate(above)
    ]
    box = f"0 {first - LINE:g} {SIZE[0]:g} {SIZE[1] - first + LINE:g}"
    return element("svg", element("title", told), *head, *body, viewBox=box, role="img")


def words_at(x: float, y: float, words: str, role: str, *, anchor: str = "start", style: str = "") -> Html:
    """Words at a pixel."""
    whole = f"fill:var(--{role});font-size:11px;text-anchor:{anchor}{style}"
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", style=whole)


def line(x1: float, y1: float, x2: float, y2: float, style: str, *children: Html) -> Html:
    """A straight line between two pixels."""
    return element("line", *children, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", style=style)


def axes(view: View, name: str, write: Callable[[float], str]) -> Iterator[Html]:
    """Both axes: `name` of the one across, whose ticks `write` writes where it is logarithmic."""
    bottom, right = SIZE[1] - BOTTOM, SIZE[0] - RIGHT
    rule = "stroke:var(--rule);stroke-width:1"
    yield line(LEFT, bottom, right, bottom, rule)
    yield line(LEFT, TOP, LEFT, bottom, rule)
    ticks = log_ticks(*view.x)[0] if view.log_x else sorted(view.x)
    for tick in ticks[:: max(1, math.ceil(len(ticks) / TICKS))]:
        told = write(tick) if view.log_x else significant(tick)
        yield words_at(min(view.across(tick), right - 10), bottom + 15, told, "muted", anchor="middle")
    yield words_at((LEFT + right) / 2, bottom + 30, name, "muted", anchor="middle")
    for score in (0.0, 0.5, 1.0) if view.percent else view.y:
        yield words_at(LEFT - 5, view.down(score) + 3, view.tick(score), "muted", anchor="end")


def band(view: View, points: Sequence[tuple[float, float, float, float]], *, beyond: bool = False) -> Iterator[Html]:
    """The band of a new measurement and the middle at points (x, middle, low, high); lighter `beyond` the runs."""
    upper, lower = ([f"{view.across(x):.1f},{view.down(end[k]):.1f}" for x, *end in points] for k in (2, 1))
    fill = f"fill:var(--band);stroke:none{';fill-opacity:.55' if beyond else ''}"
    yield element("polygon", points=" ".join([*upper, *reversed(lower)]), style=fill)
    middle = " ".join(f"{view.across(x):.1f},{view.down(y):.1f}" for x, y, *_ in points)
    dash = ";stroke-dasharray:4 3" if beyond else ""
    yield element("polyline", points=middle, style=f"fill:none;stroke:var(--ink);stroke-width:1.4{dash}")


def bar(view: View, name: str, value: float, marks: Sequence[tuple[float, float]]) -> Iterator[Html]:
    """A level, as a line across, with its name at the end where fewer marks (x, score) are in its way."""
    y = view.down(value)
    style = f"stroke:var(--muted);stroke-width:1.2;stroke-dasharray:{DASHES[name]}"
    yield line(LEFT, y, SIZE[0] - RIGHT, y, style, element("title", f"{name}: {view.written(value)}"))
    near = [view.across(x) for x, score in marks if -LINE - 3 < view.down(score) - y < 3]
    at_right = sum(x > SIZE[0] - RIGHT - NAME for x in near) <= sum(x < LEFT + NAME for x in near)
    place, anchor = (SIZE[0] - RIGHT, "end") if at_right else (LEFT + 3, "start")
    yield words_at(place, y - 3, name, "muted", anchor=anchor, style=ON_PAPER)


def mark(view: View, x: float, score: float, told: str) -> Html:
    """A score that was measured."""
    title = element("title", f"{told}: {view.written(score)}")
    style = "fill:var(--paper);stroke:var(--ink);stroke-width:1.3"
    return element("circle", title, cx=f"{view.across(x):.1f}", cy=f"{view.down(score):.1f}", r="3.2", style=style)


def band_within(curve: CurveVerdict, x: tuple[float, float]) -> list[BandPoint]:
    """The points of a curve's band between two sizes."""
    return [point for point in curve.band if min(x) * (1 - 1e-9) <= point.size <= max(x) * (1 + 1e-9)]


def curve_band(view: View, curve: CurveVerdict) -> Iterator[Html]:
    """The band of a curve, as far as the view goes; lighter beyond the largest size."""
    shown = band_within(curve, view.x)
    points = [(point.size, point.mean, point.low, point.high) for point in shown]
    first = next((place for place, point in enumerate(shown) if point.beyond), len(points))
    for part, beyond in ((points[:first], False), (points[max(first - 1, 0) :], True)):
        if len(part) > 1:
            yield from band(view, part, beyond=beyond)


def _bars(view: View, curve: CurveVerdict) -> Iterator[Html]:
    """Chance, ceiling and human level, as lines across."""
    marks = [(point.size, point.score) for point in curve.points]
    for name, value in (("chance", curve.chance), ("human", curve.human), ("ceiling", curve.ceiling)):
        if value is not None:
            yield from bar(view, name, value, marks)


def chosen(curves: Sequence[Curve], most: int) -> list[Curve]:
    """All curves, or so many of them, evenly over the table."""
    if len(curves) <= most:
        return list(curves)
    return [curves[round(k * (len(curves) - 1) / (most - 1))] for k in range(most)]
