"""The page of a table of scores: every curve with its verdict, the sizes of a level, pairs of metrics, shots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from foretoken.abilities.axes import Axis
from foretoken.abilities.pairs import MetricPair
from foretoken.abilities.result import CurveVerdict, Scores
from foretoken.abilities.shots import ShotGain
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table
from foretoken.reports.numbers import factor, number, percent, significant
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    log_axis,
    log_ticks,
    padded,
    responsive,
    short_count,
    short_power,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
MOST_PANELS = 120
"""Curves that are drawn; the table has them all."""
ORIGINS = {"metric_artefact": "the metric's artefact", "real_jump": "a real jump", "cannot_say": "cannot be said"}


def scores_page(scores: Scores, options: PageOptions) -> Page:
    """All that was found of a table of scores."""
    sentence = _sentence(scores)
    return Page(
        title=options.source or "Scores",
        kicker="foretoken scores",
        sentence=sentence,
        parts=_parts(scores, sentence),
    )


def _parts(scores: Scores, sentence: str) -> Iterator[Html | None]:
    yield lead(sentence, _facts(scores), scores.checks)
    yield section("curves", "Every curve", _curves_figure(scores))
    yield _levels(scores)
    if scores.pairs:
        yield section("pairs", "Is it the metric?", *(_pair_figure(pair, scores) for pair in scores.pairs))
    if scores.shots:
        yield section(
            "shots", "What examples in the prompt gain", *(_shots_figure(gain, scores) for gain in scores.shots)
        )
    yield section("checks", "Checks", checks_list(scores.checks))
    yield assumed_section(scores.assumed)


def _sentence(scores: Scores) -> str:
    counts = scores.counts()
    told = ", ".join(f"{count} {VERDICT_WORDS.get(name, name)}" for name, count in counts.items())
    many = f"{len(scores.curves)} curves" if len(scores.curves) != 1 else "One curve"
    return f"{many} of scores against {AXIS_WORDS[scores.against]}: {told}."


def _facts(scores: Scores) -> Iterator[Fact]:
    for name, count in scores.counts().items():
        yield VERDICT_WORDS.get(name, name).capitalize(), str(count), f"of {len(scores.curves)}"
    reached = [curve for curve in scores.curves if curve.level]
    if reached:
        yield f"{scores.level_of.capitalize()} level", str(len(reached)), "curves whose size for it can be said"


def _level_words(curve: CurveVerdict) -> str:
    return f"; {curve.level.name} at {factor(curve.level.factor)}" if curve.level else ""


def _curves_figure(scores: Scores) -> Html:
    drawn = _chosen(scores.curves, MOST_PANELS)
    left = f" {len(drawn)} of {len(scores.curves)} curves are drawn." if len(drawn) < len(scores.curves) else ""
    caption = (
        f"Circles: scores. Line: the middle of the weighed shapes; band: where a new measurement falls"
        f" ({percent(scores.interval_level, 0)}); dashed beyond the largest size. Dotted across: chance; dashed: human"
        f" level. Point at a mark for its numbers.{left}"
    )
    panels = [_curve_panel(curve, scores.against, _level_words(curve)) for curve in drawn]
    heads = ["curve", "verdict", "shape", "sizes", "emergence", "linearity", "jump, nats", "why"]
    data = [
        [
            str(curve.name),
            VERDICT_WORDS.get(curve.verdict, curve.verdict),
            curve.shape or "",
            str(curve.sizes),
            number(curve.emergence_score, 1),
            number(curve.linearity, 2),
            number(curve.held_out.jump if curve.held_out else None, 1),
            as_sentence(curve.evidence),
        ]
        for curve in scores.curves
    ]
    rows = table(heads, data, class_="sortable words")
    return figure("small-multiples", _sentence(scores), panels, caption, rows, columns=3)


def _levels(scores: Scores) -> Html | None:
    """Where each curve reaches the level, and why it is not said of others that have one."""
    asked = [curve for curve in scores.curves if curve.level or _value(curve, scores.level_of) is not None]
    if not asked:
        return None
    size = f"size ({AXIS_WORDS[scores.against]})"
    heads = ["curve", "level", size, "times the largest", "by a straight line", "remark"]
    rows = []
    for curve in asked:
        level, remark = curve.level, as_sentence(curve.level_reason) if curve.level_reason else ""
        if level is None:
            rows.append([str(curve.name), significant(_value(curve, scores.level_of)), "", "", "", remark])
            continue
        ends = f"{significant(level.low)} to {'∞' if level.high is None else significant(level.high)}"
        times = f"{significant(level.factor)} ({ends})"
        line = significant(level.line_factor)
        rows.append([str(curve.name), significant(level.value), significant(level.size), times, line, remark])
    words = element(
        "p",
        "The size at which the curves that fit the scores reach the level: the middle of those that do, and in"
        f" brackets the {percent(scores.interval_level, 0)} interval of all; ∞ stands for curves that level off below.",
    )
    return section("levels", f"Where is the {scores.level_of} level?", words, table(heads, rows, class_="words"))


def _value(curve: CurveVerdict, level_of: str) -> float | None:
    return {"human": curve.human, "ceiling": curve.ceiling, "chance": curve.chance}.get(level_of)


def _pair_figure(pair: MetricPair, scores: Scores) -> Html:
    """The two metrics side by side, and the items that it takes to see the smooth curve in the sharp metric."""
    both = [
        curve
        for metric in (pair.sharp, pair.smooth)
        for curve in scores.curves
        if (curve.group, curve.task, curve.shots, curve.metric) == (pair.group, pair.task, pair.shots, metric)
    ]
    name = ", ".join(word for word in (pair.group, pair.task, pair.shots) if word)
    title = f"{name}: the jump of {pair.sharp} is {ORIGINS[pair.origin]}"
    if pair.origin == "cannot_say":
        title = f"{name}: whether {pair.sharp} jumps by itself cannot be said"
    caption = (
        f"The same answers by two metrics. {as_sentence(pair.evidence)} As p to the power L, answers are worth"
        f" {significant(pair.length)} tokens ({significant(pair.length_low)} to {significant(pair.length_high)})."
    )
    heads = ["size", f"{pair.sharp} by p^L", "items for one right answer (95 %)", "items there were"]
    rows = [
        [significant(one.size), significant(one.expected), significant(one.items_needed), significant(one.items)]
        for one in pair.resolution
    ]
    panels = [_curve_panel(curve, scores.against, "") for curve in both]
    key = f"pair-{scores.pairs.index(pair)}"
    return figure(key, title, panels, caption, table(heads, rows, class_="numbers"), columns=2)


def _shots_figure(gain: ShotGain, scores: Scores) -> Html:
    last = gain.sizes[-1]
    title = (
        f"{gain.shots}-shot against {gain.base}-shot: {100 * gain.sizes[0].mean:+.1f} points at the smallest size,"
        f" {100 * last.mean:+.1f} at the largest, where {last.better} of {last.tasks} tasks gain"
    )
    caption = "The mean gain over tasks, paired, with its interval over tasks by Student's t." + (
        f" Left out: {'; '.join(gain.left_out)}." if gain.left_out else ""
    )
    key = f"gain-{scores.shots.index(gain)}"
    draw = partial(_draw_gain, gain=gain, scores=scores)
    panels = responsive(key, draw, title=title, described=caption, wide=(760, 300), narrow=280)
    heads = ["size", "mean gain (points)", percent(scores.interval_level, 0), "tasks that gain", "by chance (Wilcoxon)"]
    rows = [
        [
            significant(one.size),
            number(100 * one.mean, 1),
            f"{number(100 * one.low, 1)} to {number(100 * one.high, 1)}",
            f"{one.better} of {one.tasks}",
            significant(one.probability, 2),
        ]
        for one in gain.sizes
    ]
    return figure(key, title, panels, caption, table(heads, rows, class_="numbers"))


def _draw_gain(axes: Axes, *, gain: ShotGain, scores: Scores) -> None:
    x = [one.size for one in gain.sizes]
    if scores.against != "loss":
        log_axis(axes, "x", *padded(x), short_power if scores.against == "flops" else short_count)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.vlines(
        x, [100 * one.low for one in gain.sizes], [100 * one.high for one in gain.sizes], color=BAND, linewidth=7
    )
    axes.plot(x, [100 * one.mean for one in gain.sizes], "o-", color=INK, markersize=6, linewidth=1.4, zorder=3)
    whole = [one for one in gain.sizes if one.better == one.tasks]
    axes.plot([one.size for one in whole], [100 * one.mean for one in whole], "o", color=ACCENT, markersize=8, zorder=4)
    axes.set_xlabel(f"{AXIS_WORDS[scores.against]} (coloured: every task gains)")
    axes.set_ylabel("gain (points)")


@dataclass(frozen=True)
class _View:
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


def _view_of(curve: CurveVerdict, against: Axis) -> _View:
    """The whole of a curve: bounded scores from 0 to 100 %, others on a log axis."""
    sizes = [point.size for point in curve.points] + [point.size for point in curve.band]
    ends = (max(sizes), min(sizes)) if against == "loss" else (min(sizes), max(sizes))
    if curve.unit != "raw":
        return _View(ends, (0.0, 1.0), against != "loss", False, True)
    scores = [point.score for point in curve.points] + [end for one in curve.band for end in (one.low, one.high)]
    return _View(ends, (min(scores), max(scores)), against != "loss", min(scores) > 0, False)


def _curve_panel(curve: CurveVerdict, against: Axis, level_words: str) -> Html:
    """The drawing of one curve, its verdict in the title; every mark tells its numbers to whoever points at it."""
    view = _view_of(curve, against)
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


def _axes(view: _View, against: Axis) -> list[Html]:
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


def _band(view: _View, curve: CurveVerdict) -> list[Html]:
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


def _bars(view: _View, curve: CurveVerdict) -> list[Html]:
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


def _points(view: _View, curve: CurveVerdict, against: Axis) -> list[Html]:
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


def _chosen(curves: Sequence[CurveVerdict], most: int) -> list[CurveVerdict]:
    """All curves, or so many of them, evenly over the table."""
    if len(curves) <= most:
        return list(curves)
    return [curves[round(k * (len(curves) - 1) / (most - 1))] for k in range(most)]
