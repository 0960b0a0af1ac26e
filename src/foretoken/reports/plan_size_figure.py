"""Figure of a plan: loss over size at its budget, with the band, the draws, and where other choices lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from foretoken.laws import PUBLISHED
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.html import Html, figure, table
from foretoken.reports.numbers import count, factor, number, percent, power
from foretoken.reports.plan_curves import REACH, SizeCurve, shown_sizes
from foretoken.reports.plan_limits import draw_limits, limits_words
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    PAPER,
    RULE,
    figure_size,
    is_wide,
    log_axis,
    log_ticks,
    responsive,
    short_count,
    write_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDS = ("smallest in the band", "largest in the band")
LINE = 0.085
"""Height of one name in the valley, as a share of the axis."""
RIGHT_SIDE = 0.7
"""Marks beyond this share of the width have their names at the left, where there is room."""
HIGH = 0.45
"""Marks above this share of the height are named beside, those below in the valley of the curve."""


MarkKind = Literal["plan", "choice", "law"]
"""The plan itself, another choice of the user's, or the advice of a published law."""
NAME_COLOURS: dict[MarkKind, str] = {"plan": ACCENT, "choice": INK, "law": MUTED}
MARK_STYLES: dict[MarkKind, dict[str, Any]] = {
    "plan": {"marker": "o", "color": ACCENT, "markersize": 9, "markeredgecolor": PAPER, "zorder": 6},
    "choice": {"marker": "o", "color": INK, "markerfacecolor": PAPER, "markersize": 7, "zorder": 5},
    "law": {"marker": "D", "color": MUTED, "markerfacecolor": PAPER, "markersize": 5.5, "zorder": 4},
}


@dataclass(frozen=True)
class Mark:
    """A choice on the curve; without a name where too many would be named."""

    params: float
    loss: float
    name: str
    kind: MarkKind


def size_figure(plan: Plan, curve: SizeCurve) -> Html:
    """Loss over N at the budget."""
    title, caption = _title(plan, curve), _caption(plan, curve)
    draw = partial(_draw, plan=plan, curve=curve)
    panels = responsive("sizes", draw, title=title, described=caption, wide=(760, 430), narrow=360)
    least, points = curve.best[1], zip(curve.params, curve.tokens, curve.losses, strict=True)
    rows = [
        [count(size), count(tokens), number(tokens / size, 1), number(loss, 4), percent(loss / least - 1, 2)]
        for size, tokens, loss in list(points)[::3]
    ]
    heads = ["N", "D", "D/N", f"loss ({plan.loss_unit})", "above the least"]
    return figure("sizes", title, panels, caption, table(heads, rows, class_="numbers"))


def _title(plan: Plan, curve: SizeCurve) -> str:
    if plan.band is not None:
        near = f"within {tolerance_words(plan)} of the least loss"
        if plan.band.sizes:
            return f"Of the sizes allowed, {', '.join(map(count, plan.band.sizes))} lie {near} that they reach"
        low, high = map(count, plan.band.params)
        return f"Any size from {low} to {high} is {near}" + (" that the limits allow" if plan.binding else "")
    share = plan.params / curve.best[0]
    if 0.99 < share < 1.01:
        return f"{count(plan.params)} is the best size at {power(plan.flops)} FLOP"
    over = percent((plan.loss or curve.best[1]) / curve.best[1] - 1, 2)
    return f"{count(plan.params)} is {factor(share)} the best size at this compute, and its loss {over} above the least"


def tolerance_words(plan: Plan) -> str:
    """The band's tolerance as a percentage."""
    assert plan.band is not None
    return f"{100 * plan.band.tolerance:g}\u202f%"


def _caption(plan: Plan, curve: SizeCurve) -> str:
    text = f"Loss of every split of {power(plan.flops)} FLOP, by the law, moved to the plan's stated loss; "
    text += "tokens on the upper axis. "
    if plan.band is not None:
        text += f"Shaded: the band, within {tolerance_words(plan)} of the least loss. "
    if plan.interval.params:
        text += f"Filled: the plan, the bar its {percent(plan.level, 0)} interval. "
    else:
        text += "Filled: the plan. "
    if len(curve.fan):
        text += (
            f"Faint: {len(curve.fan)} draws of the law, each moved to the same least loss, because a plan hangs on "
            "where it lies. "
        )
    text += "Hollow: other choices (circles) and what published laws advise (diamonds)"
    text = " ".join(filter(None, (limits_words(plan), text)))
    far = len([1 for choice in plan.alternatives if choice.params not in shown_sizes(plan)])
    return text + (f"; {far} more than {factor(REACH)} away are in the table alone." if far else ".")


def _marks(plan: Plan, name_laws: bool) -> list[Mark]:
    """The plan, the choices, and the laws, of which the smallest and the largest may be named."""
    shown = set(shown_sizes(plan))
    near = [
        choice
        for choice in plan.alternatives
        if choice.params in shown and choice.loss is not None and choice.name not in ENDS
    ]
    same = [choice for choice in near if abs(choice.params * choice.tokens / plan.params / plan.tokens - 1) < 0.02]
    laws = sorted((choice for choice in same if choice.name in PUBLISHED), key=lambda choice: choice.params)
    named = {laws[0].name, laws[-1].name} if laws and name_laws else set()
    marks = [Mark(plan.params, plan.loss or 0.0, f"{count(plan.params)} on {count(plan.tokens)}", "plan")]
    marks += [_mark(choice, choice.name, "choice") for choice in same if choice.name not in PUBLISHED]
    return marks + [_mark(choice, choice.name if choice.name in named else "", "law") for choice in laws]


def _mark(choice: Alternative, name: str, kind: MarkKind) -> Mark:
    assert choice.loss is not None
    return Mark(choice.params, choice.loss, name, kind)


def _draw(axes: Axes, *, plan: Plan, curve: SizeCurve) -> None:
    marks = _marks(plan, name_laws=is_wide(axes))
    low, high = float(curve.params[0]), float(curve.params[-1])
    log_axis(axes, "x", low, high, short_count)
    least = min(curve.best[1], plan.loss or curve.best[1])
    top = float(max(curve.losses[0], curve.losses[-1]))
    axes.set_ylim(least - 0.06 * (top - least), top + 0.03 * (top - least))
    if plan.band is not None:
        axes.axvspan(*plan.band.params, color=BAND, linewidth=0, zorder=0)
    draw_limits(axes, plan)
    for draw in curve.fan:
        axes.plot(curve.params, draw, color=RULE, linewidth=0.6, alpha=0.7, zorder=1)
    axes.plot(curve.params, curve.losses, color=INK, linewidth=1.8, zorder=2)
    if plan.interval.params and plan.loss is not None:
        axes.plot(plan.interval.params, [plan.loss] * 2, color=ACCENT, linewidth=4, alpha=0.45, zorder=3)
    for mark in marks:
        axes.plot([mark.params], [mark.loss], linestyle="none", **MARK_STYLES[mark.kind])
    _name_marks(axes, [mark for mark in marks if mark.name])
    _token_axis(axes, float(curve.params[0] * curve.tokens[0]))
    axes.set_xlabel("parameters N")
    axes.set_ylabel(f"loss ({plan.loss_unit})")


def _name_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Names beside marks that lie high; in the open valley, with a thin line, for those that lie low."""
    bottom, top = axes.get_ylim()
    left, right = axes.get_xlim()
    far, level = left * (right / left) ** RIGHT_SIDE, 0.95
    shares = [(mark.loss - bottom) / (top - bottom) for mark in marks]
    taken = [share for share in shares if share > HIGH]
    # Outermost first on both sides: a mark nearer the middle has its name lower, so that no line crosses a name.
    ordered = sorted(marks, key=lambda mark: (mark.params < far, mark.params if mark.params < far else -mark.params))
    for mark in ordered:
        colour = NAME_COLOURS[mark.kind]
        side, away = ("left", 1) if mark.params < far else ("right", -1)
        if (mark.loss - bottom) / (top - bottom) > HIGH:
            write_label(axes, mark.name, (mark.params, mark.loss), (10 * away, 0), colour=colour, ha=side)
            continue
        level = free_level(level, taken)
        height = bottom + level * (top - bottom)
        axes.plot([mark.params] * 2, [mark.loss, height], color=colour, linewidth=0.7, zorder=2)
        write_label(axes, mark.name, (mark.params, height), (4 * away, 0), colour=colour, ha=side)
        level -= LINE


def free_level(level: float, taken: Sequence[float]) -> float:
    """The first height from `level` downwards, in lines, that no name beside a high mark takes; shares of the axis.

    >>> free_level(0.95, [0.3]), round(free_level(0.95, [0.94]), 3)
    (0.95, 0.865)
    """
    while any(abs(level - other) < 0.6 * LINE for other in taken):
        level -= LINE
    return level


def _token_axis(axes: Axes, product: float) -> None:
    """Tokens that the budget leaves to each size, on the upper edge."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    # N D is the same for every split of the budget, so the map from N to D is its own inverse.
    def turn(value: Any) -> Any:
        return product / np.maximum(np.asarray(value, dtype=np.float64), 1e-30)

    upper = axes.secondary_xaxis("top", functions=(turn, turn))
    left, right = axes.get_xlim()
    width = figure_size(axes)[0]
    labelled, bare = log_ticks(product / right, product / left, int((width - 80) / 60))
    # 50 pixels to a label, and division rounded up: too few labels rather than two that touch.
    every = max(1, -(-len(labelled) * 50 // int(width)))
    upper.xaxis.set_major_locator(FixedLocator(labelled[::every]))
    upper.xaxis.set_minor_locator(FixedLocator(bare) if bare else NullLocator())
    upper.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    upper.xaxis.set_minor_formatter(NullFormatter())
    upper.set_xlabel("tokens D")
