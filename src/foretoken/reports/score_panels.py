"""One small drawing per curve of scores: what was measured, the band of a new measurement, chance and human level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from foretoken.abilities.axes import Axis
from foretoken.abilities.result import CurveVerdict
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import significant
from foretoken.reports.svg import log_ticks, short_count, short_power

Curve = TypeVar("Curve")
SIZE = (250.0, 190.0)
"""Width and height of a panel, in pixels of its own."""
LEFT, RIGHT, TOP, BOTTOM = 40.0, 8.0, 34.0, 34.0
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
        return LEFT + (SIZE[0] - LEFT - RIGHT) * (self._x(size) - low) / ((high - low) or 1.0)

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
    head = [
        _text(LEFT, 12, _cut(name), "ink", weight="600"),
        _text(LEFT, 26, f"{verdict}{level_words}", "accent" if curve.verdict == "sharp" else "muted"),
    ]
    body = [*_axes(view, against), *_band(view, curve), *_bars(view, curve), *_points(view, curve, against)]
    return element(
        "svg",
        element("title", f"{name}: {verdict}. {curve.evidence}"),
        *head,
        *body,
        viewBox=f"0 0 {SIZE[0]:g} {SIZE[1]:g}",
        role="img",
    )


def _cut(name: str, most: int = 36) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _text(x: float, y: float, words: str, role: str, *, anchor: str = "start", weight: str | None = None) -> Html:
    style = f"fill:var(--{role});font-size:11px;text-anchor:{anchor}" + (f";font-weight:{weight}" if weight else "")
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", style=style)


def _line(x1: float, y1: float, x2: float, y2: float, style: str, *children: Html) -> Html:
    return element("line", *children, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", style=style)


def _axes(view: View, against: Axis) -> list[Html]:
    bottom, right = SIZE[1] - BOTTOM, SIZE[0] - RIGHT
    rule = "stroke:var(--rule);stroke-width:1"
    parts = [_line(LEFT, bottom, right, bottom, rule), _line(LEFT, TOP, LEFT, bottom, rule)]
    if view.log_x:
        ticks, _ = log_ticks(*view.x)
        every = max(1, math.ceil(len(ticks) / 4))
        write = short_power if against == "flops" else short_count
    else:
        ticks, every, write = sorted(view.x), 1, significant
    parts += [_text(view.across(tick), bottom + 13, write(tick), "muted", anchor="middle") for tick in ticks[::every]]
    parts.append(_text((LEFT + right) / 2, bottom + 28, AXIS_WORDS[against], "muted", anchor="middle"))
    for score in (0.0, 0.5, 1.0) if view.percent else view.y:
        parts.append(_text(LEFT - 4, view.down(score) + 4, view.tick(score), "muted", anchor="end"))
    return parts


def _band(view: View, curve: CurveVerdict) -> list[Html]:
    """The band of a new measurement, and the middle of the curves; both lighter beyond the largest size."""
    band = curve.band
    if not band:
        return []
    first = next((place for place, point in enumerate(band) if point.beyond), len(band))
    parts = []
    for part, dashed in ((band[:first], False), (band[max(first - 1, 0) :], True)):
        if len(part) < 2:
            continue
        upper = [f"{view.across(point.size):.1f},{view.down(point.high):.1f}" for point in part]
        lower = [f"{view.across(point.size):.1f},{view.down(point.low):.1f}" for point in reversed(part)]
        fill = f"fill:var(--band);stroke:none{';fill-opacity:.55' if dashed else ''}"
        parts.append(element("polygon", points=" ".join([*upper, *lower]), style=fill))
        middle = " ".join(f"{view.across(point.size):.1f},{view.down(point.mean):.1f}" for point in part)
        dash = ";stroke-dasharray:4 3" if dashed else ""
        parts.append(element("polyline", points=middle, style=f"fill:none;stroke:var(--ink);stroke-width:1.4{dash}"))
    return parts


def _bars(view: View, curve: CurveVerdict) -> list[Html]:
    """Chance, ceiling and human level, as lines across."""
    parts = []
    for name, value, dash in (
        ("chance", curve.chance, "2 3"),
        ("human", curve.human, "6 3"),
        ("ceiling", curve.ceiling, "1 2"),
    ):
        if value is None:
            continue
        y = view.down(value)
        told = element("title", f"{name}: {view.written(value)}")
        style = f"stroke:var(--muted);stroke-width:1.2;stroke-dasharray:{dash}"
        parts.append(_line(LEFT, y, SIZE[0] - RIGHT, y, style, told))
        parts.append(_text(SIZE[0] - RIGHT, y - 3, name, "muted", anchor="end"))
    return parts


def _points(view: View, curve: CurveVerdict, against: Axis) -> list[Html]:
    return [
        element(
            "circle",
            element("title", f"{significant(point.size)} {AXIS_WORDS[against]}: {view.written(point.score)}"),
            cx=f"{view.across(point.size):.1f}",
            cy=f"{view.down(point.score):.1f}",
            r="3.2",
            style="fill:var(--paper);stroke:var(--ink);stroke-width:1.3",
        )
        for point in curve.points
    ]


def chosen(curves: Sequence[Curve], most: int) -> list[Curve]:
    """All curves, or so many of them, evenly over the table."""
    if len(curves) <= most:
        return list(curves)
    return [curves[round(k * (len(curves) - 1) / (most - 1))] for k in range(most)]
