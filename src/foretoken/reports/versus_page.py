"""The page of a decision between two recipes: both curves, their difference, and the probability that one wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from foretoken.decisions import words
from foretoken.decisions.result import ComputePoint, Versus
from foretoken.reports.html import Html, checks_list, figure, section, table
from foretoken.reports.numbers import count, factor, number, percent, power, significant
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    RULE,
    SHADE,
    log_axis,
    padded,
    responsive,
    short_power,
    write_label,
)
from foretoken.runs.loss_units import short_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLEAR = 0.22
"""Opacity of the first recipe's band, so that the second's is seen below it."""


def versus_page(found: Versus, options: PageOptions) -> Page:
    """All that a decision between two recipes says."""
    sentence = words.decision(found)
    title = f"{found.first} or {found.second}"
    return Page(title=title, kicker="foretoken versus", sentence=sentence, parts=_parts(found, sentence))


def _parts(found: Versus, sentence: str) -> Iterator[Html | None]:
    yield lead(f"{sentence} {words.crossing(found)}", _facts(found), found.checks)
    yield section("curves", "Which is better, and from where on?", difference_figure(found), probability_figure(found))
    yield section("losses", "Both recipes along compute", losses_figure(found))
    yield section("checks", "Checks", checks_list(found.checks))
    yield assumed_section(found.assumed)


def _facts(found: Versus) -> Iterator[Fact]:
    unit, level = short_unit(found.unit), percent(found.level, 0)
    at = found.at
    yield f"{found.winner} wins", percent(found.sure, 1), f"at {power(found.compute)} FLOP"
    ends = f"{number(found.low, 4)} to {number(found.high, 4)} at {level}"
    yield f"{found.first} less {found.second}", f"{number(found.difference, 4)} {unit}", ends
    yield found.first, f"{number(at.first.loss, 4)} {unit}", _size(at.first.params, at.first.tokens)
    yield found.second, f"{number(at.second.loss, 4)} {unit}", _size(at.second.params, at.second.tokens)
    cross = found.crossing
    yield "They cross at", "nowhere" if cross is None else f"{power(cross.flops)} FLOP", _ends(found)
    saved = found.compute_saved
    if saved is not None:
        less = saved.factor >= 1
        values = [end if less or end is None else 1 / end for end in (saved.factor, saved.low, saved.high)]
        middle, *bounds = ("no bound" if end is None else significant(end) for end in values)
        told = f"{middle} times {'less' if less else 'more'} ({' to '.join(bounds if less else bounds[::-1])})"
        yield f"{found.first} needs", f"{power(saved.flops)} FLOP", told
    yield "Beyond the runs", factor(at.reach), "in the direction that is farthest"


def _size(params: float | None, tokens: float | None) -> str:
    return "" if params is None or tokens is None else f"{count(params)} parameters, {count(tokens)} tokens"


def _ends(found: Versus) -> str:
    cross = found.crossing
    if cross is None:
        return "in all that was looked at"
    low = "the smallest runs" if cross.low is None else power(cross.low)
    high = "beyond" if cross.high is None else power(cross.high)
    return f"{percent(found.level, 0)}: {low} to {high}"


def difference_figure(found: Versus) -> Html:
    """The difference of the losses along compute with its interval, the line of no difference, and the crossing."""
    unit = short_unit(found.unit)
    title = f"{found.first} less {found.second}: {number(found.difference, 4)} {unit} at {power(found.compute)} FLOP"
    caption = (
        f"Loss of {found.first} less that of {found.second}, {found.split}; the band is the interval at "
        f"{percent(found.level, 0)}. Below the line of no difference {found.first} is better. Shaded: the interval of "
        "the crossing, all computes at which neither is told to be better. Dotted: the compute of the decision."
    )
    return _figure(found, "difference", title, caption, partial(_draw_difference, found=found))


def probability_figure(found: Versus) -> Html:
    """The probability that the first wins along compute."""
    title = f"{found.first} wins with a probability of {percent(found.p_first, 1)} at {power(found.compute)} FLOP"
    caption = f"Probability that the loss of {found.first} is the lower one; the two grey lines are at 10 and 90 %."
    return _figure(found, "probability", title, caption, partial(_draw_probability, found=found))


def losses_figure(found: Versus) -> Html:
    """Both losses along compute, each with its own interval."""
    title = f"{found.first} and {found.second} along compute"
    caption = (
        f"Loss {found.split}, each with its own interval at {percent(found.level, 0)}. Bands that overlap do not say "
        "that the recipes are equal: errors that they have in common leave the difference above."
    )
    return _figure(found, "both", title, caption, partial(_draw_losses, found=found))


def _figure(found: Versus, key: str, title: str, caption: str, draw: Callable[[Axes], None]) -> Html:
    panels = responsive(key, draw, title=title, described=caption, wide=(760, 320), narrow=300)
    heads = ["compute (FLOP)", found.first, found.second, "difference", "low", "high", f"{found.first} wins", "beyond"]
    return figure(key, title, panels, caption, table(heads, map(_row, found.points), class_="numbers"))


def _row(point: ComputePoint) -> list[str]:
    losses = (point.first.loss, point.second.loss, point.difference, point.low, point.high)
    return [power(point.flops), *(number(loss, 4) for loss in losses), percent(point.p_first, 1), factor(point.reach)]


def _compute_axis(axes: Axes, found: Versus) -> list[float]:
    """The axis of compute, with the decision and the crossing marked; the computes."""
    flops = [point.flops for point in found.points]
    low, high = padded(flops, 0.02)
    log_axis(axes, "x", low, high, short_power)
    axes.set_xlabel("training compute (FLOP)")
    axes.axvline(found.compute, color=INK, linestyle=":", linewidth=1.4)
    write_label(axes, "decision", (found.compute, 0.98), (4, 0), colour=MUTED, va="top", above=True)
    axes.axvline(found.runs_end, color=RULE, linewidth=1)
    write_label(axes, "last runs", (found.runs_end, 0.04), (-4, 0), colour=MUTED, ha="right", above=True)
    return flops


def _shade_crossing(axes: Axes, found: Versus, flops: list[float]) -> None:
    cross = found.crossing
    if cross is not None:
        axes.axvspan(cross.low or flops[0], cross.high or flops[-1], color=SHADE, zorder=0)


def _draw_difference(axes: Axes, *, found: Versus) -> None:
    flops = _compute_axis(axes, found)
    _shade_crossing(axes, found, flops)
    low, high = ([getattr(point, end) for point in found.points] for end in ("low", "high"))
    axes.fill_between(flops, low, high, color=BAND, linewidth=0, zorder=1)
    axes.axhline(0, color=MUTED, linewidth=1.2, zorder=2)
    axes.plot(flops, [point.difference for point in found.points], color=ACCENT, linewidth=2, zorder=3)
    axes.plot([found.compute], [found.difference], "o", color=INK, markersize=6, zorder=4)
    if found.crossing is not None:
        axes.plot([found.crossing.flops], [0], "o", color=INK, markerfacecolor="none", markersize=7, zorder=4)
    axes.set_ylabel(f"difference of the losses ({short_unit(found.unit)})")


def _draw_probability(axes: Axes, *, found: Versus) -> None:
    flops = _compute_axis(axes, found)
    _shade_crossing(axes, found, flops)
    for share in (10, 90):
        axes.axhline(share, color=RULE, linewidth=1)
    axes.axhline(50, color=MUTED, linewidth=1.2)
    axes.plot(flops, [100 * point.p_first for point in found.points], color=ACCENT, linewidth=2, zorder=3)
    axes.plot([found.compute], [100 * found.p_first], "o", color=INK, markersize=6, zorder=4)
    axes.set_ylim(0, 100)
    axes.set_ylabel("first is better (%)")


def _draw_losses(axes: Axes, *, found: Versus) -> None:
    flops = _compute_axis(axes, found)
    sides = {
        found.second: [point.second for point in found.points],
        found.first: [point.first for point in found.points],
    }
    for (name, side), colour in zip(sides.items(), (INK, ACCENT), strict=True):
        low, high = ([getattr(one, end) for one in side] for end in ("low", "high"))
        fill, clear = (BAND, 1.0) if colour == INK else (ACCENT, CLEAR)
        axes.fill_between(flops, low, high, color=fill, alpha=clear, linewidth=0, zorder=1)
        axes.plot(flops, [one.loss for one in side], color=colour, linewidth=2, zorder=3)
        above = side[0].loss >= max(one[0].loss for one in sides.values())
        write_label(axes, name, (flops[0], side[0].loss), (6, 12 if above else -12), colour=colour)
    axes.set_ylabel(f"loss ({short_unit(found.unit)})")
