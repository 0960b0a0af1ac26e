"""Small drawings of one task: score against loss with the band of its links, against compute with its forecast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foretoken.abilities.downstream_result import Band, TaskCurve, TaskForecast
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import significant
from foretoken.reports.score_panels import BOTTOM, LEFT, RIGHT, SIZE, TOP, View
from foretoken.reports.svg import log_ticks, short_power

MOST_NAME = 38
TICKS = 3
FONT = "font-size:11px"


def loss_panel(curve: TaskCurve) -> Html:
    """Score against loss: the runs, and the band of a new measurement at a loss that is known."""
    assert curve.by_loss is not None
    band = curve.by_loss
    view = View((max(band.x), min(band.x)), (0.0, 1.0), False, False, True)
    marks = [(one.loss, one.score, f"{one.run}: loss {significant(one.loss)}") for one in curve.measured if one.loss]
    return _panel(curve, "loss, falling", view, band, marks, ())


def compute_panel(curve: TaskCurve, forecasts: Sequence[TaskForecast]) -> Html:
    """Score against compute: the runs, the band of a new measurement, and the runs that were asked for."""
    sizes = [*curve.by_compute.x, *(one.flops for one in curve.measured), *(one.flops for one in forecasts)]
    view = View((min(sizes), max(sizes)), (0.0, 1.0), True, False, True)
    marks = [(one.flops, one.score, f"{one.run}: {short_power(one.flops)} FLOP") for one in curve.measured]
    return _panel(curve, "training compute (FLOP)", view, curve.by_compute, marks, forecasts)


def _panel(
    curve: TaskCurve,
    axis: str,
    view: View,
    band: Band,
    marks: Sequence[tuple[float, float, str]],
    forecasts: Sequence[TaskForecast],
) -> Html:
    name = ", ".join(word for word in (curve.group, curve.task, curve.metric, curve.shots) if word)
    shown = name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 1]}…"
    return element(
        "svg",
        element("title", f"{name} against {axis}"),
        _words(LEFT, 14, shown, "ink", "start", ";font-weight:600"),
        *_frame(view, axis),
        *_band(view, band),
        *_chance(view, curve.chance),
        *(_circle(view, *mark) for mark in marks),
        *(part for forecast in forecasts for part in _forecast(view, forecast)),
        viewBox=f"0 0 {SIZE[0]:g} {SIZE[1]:g}",
        role="img",
    )


def _words(x: float, y: float, words: str, role: str, anchor: str, more: str = "") -> Html:
    style = f"fill:var(--{role});{FONT};text-anchor:{anchor}{more}"
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", style=style)


def _frame(view: View, axis: str) -> Iterator[Html]:
    bottom, right = SIZE[1] - BOTTOM, SIZE[0] - RIGHT
    lines = f"M{LEFT:g},{TOP:g} L{LEFT:g},{bottom:g} L{right:g},{bottom:g}"
    yield element("path", d=lines, style="fill:none;stroke:var(--rule)")
    ticks = log_ticks(*view.x)[0] if view.log_x else sorted(view.x)
    for tick in ticks[:: -(-len(ticks) // TICKS)]:
        write = short_power(tick) if view.log_x else significant(tick)
        yield _words(min(view.across(tick), right - 12), bottom + 13, write, "muted", "middle")
    yield _words((LEFT + right) / 2, bottom + 28, axis, "muted", "middle")
    for score in (0.0, 0.5, 1.0):
        yield _words(LEFT - 4, view.down(score) + 4, view.tick(score), "muted", "end")


def _band(view: View, band: Band) -> Iterator[Html]:
    across = [view.across(x) for x in band.x]
    upper = [f"{x:.1f},{view.down(y):.1f}" for x, y in zip(across, band.high, strict=True)]
    lower = [f"{x:.1f},{view.down(y):.1f}" for x, y in zip(across, band.low, strict=True)]
    yield element("polygon", points=" ".join([*upper, *reversed(lower)]), style="fill:var(--band);stroke:none")
    middle = " ".join(f"{x:.1f},{view.down(y):.1f}" for x, y in zip(across, band.score, strict=True))
    yield element("polyline", points=middle, style="fill:none;stroke:var(--ink);stroke-width:1.4")


def _chance(view: View, chance: float | None) -> Iterator[Html]:
    if chance is None:
        return
    y = f"{view.down(chance):.1f}"
    told = element("title", f"chance: {view.written(chance)}")
    style = "stroke:var(--muted);stroke-dasharray:2 3"
    yield element("line", told, x1=f"{LEFT:g}", x2=f"{SIZE[0] - RIGHT:g}", y1=y, y2=y, style=style)
    yield _words(SIZE[0] - RIGHT, view.down(chance) - 3, "chance", "muted", "end")


def _circle(view: View, x: float, score: float, words: str) -> Html:
    told = element("title", f"{words}: {view.written(score)}")
    style = "fill:var(--paper);stroke:var(--ink);stroke-width:1.2"
    return element("circle", told, cx=f"{view.across(x):.1f}", cy=f"{view.down(score):.1f}", r="3", style=style)


def _forecast(view: View, one: TaskForecast) -> Iterator[Html]:
    if one.score is None or one.low is None or one.high is None:
        return
    x, low, high = f"{view.across(one.flops):.1f}", view.down(one.low), view.down(one.high)
    ends = f"{view.written(one.low)} to {view.written(one.high)}"
    told = element("title", f"{short_power(one.flops)} FLOP: {view.written(one.score)} ({ends})")
    style = "stroke:var(--accent);stroke-width:2"
    yield element("line", told, x1=x, x2=x, y1=f"{low:.1f}", y2=f"{high:.1f}", style=style)
    style = "fill:var(--accent);stroke:var(--paper)"
    yield element("circle", told, cx=x, cy=f"{view.down(one.score):.1f}", r="4", style=style)
