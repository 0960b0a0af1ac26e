"""The page of a table of scores: every curve with its verdict, the sizes of a level, pairs of metrics, shots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from foretoken.abilities.pairs import ORIGIN_WORDS, MetricPair
from foretoken.abilities.result import CurveVerdict, Scores
from foretoken.abilities.shots import ShotGain
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table
from foretoken.reports.numbers import factor, number, percent, significant
from foretoken.reports.score_panels import AXIS_WORDS, VERDICT_WORDS, chosen, curve_panel
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import ACCENT, BAND, INK, MUTED, log_axis, padded, responsive, short_count, short_power

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 120
"""Curves that are drawn; the table has them all."""


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
    yield from pairs_and_shots(scores)
    yield section("checks", "Checks", checks_list(scores.checks))
    yield assumed_section(scores.assumed)


def pairs_and_shots(scores: Scores) -> Iterator[Html]:
    """Pairs of metrics side by side, and what shots gain; the sections that a study's page shows, too."""
    if scores.pairs:
        yield section("pairs", "Is it the metric?", *(_pair_figure(pair, scores) for pair in scores.pairs))
    if scores.shots:
        yield section(
            "shots", "What examples in the prompt gain", *(_shots_figure(gain, scores) for gain in scores.shots)
        )


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
    drawn = chosen(scores.curves, MOST_PANELS)
    left = f" {len(drawn)} of {len(scores.curves)} curves are drawn." if len(drawn) < len(scores.curves) else ""
    caption = (
        f"Circles: scores. Line: the middle of the weighed shapes; band: where a new measurement falls"
        f" ({percent(scores.interval_level, 0)}); dashed beyond the largest size. Dotted across: chance; dashed: human"
        f" level. Point at a mark for its numbers.{left}"
    )
    panels = [curve_panel(curve, scores.against, _level_words(curve)) for curve in drawn]
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
    title = f"{pair.name}: the jump of {pair.sharp} is {ORIGIN_WORDS[pair.origin]}"
    if pair.origin == "cannot_say":
        title = f"{pair.name}: whether {pair.sharp} jumps by itself cannot be said"
    caption = (
        f"The same answers by two metrics. {as_sentence(pair.evidence)} As p to the power L, answers are worth"
        f" {significant(pair.length)} tokens ({significant(pair.length_low)} to {significant(pair.length_high)}), and"
        f" {pair.sharp} lies inside the interval of that at {pair.inside} of {len(pair.resolution)} scores."
    )
    between = f"{percent(scores.interval_level, 0)} interval"
    heads = ["size", "right answers", "by p^L", between, "items for one right answer (95 %)", "items there were"]
    rows = [
        [
            significant(one.size),
            significant(one.score) + ("" if one.inside else " (outside)"),
            significant(one.expected),
            f"{significant(one.low)} to {significant(one.high)}",
            significant(one.items_needed),
            significant(one.items),
        ]
        for one in pair.resolution
    ]
    panels = [curve_panel(curve, scores.against, "") for curve in both]
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
