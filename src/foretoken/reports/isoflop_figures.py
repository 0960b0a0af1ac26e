"""Figures of approach 2: IsoFLOP curves with their minima, and how the best size grows with compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from foretoken.forecasts.forecast import Forecast
from foretoken.reports.html import Html, checks_list, element, figure, section, table
from foretoken.reports.numbers import count, interval, number, percent, power, significant
from foretoken.reports.palette import Budgets, colour_of
from foretoken.reports.svg import (
    ACCENT,
    INK,
    PAPER,
    apart,
    drawing,
    log_axis,
    padded,
    short_count,
    short_power,
    write_label,
)
from foretoken.routes.isoflop import IsoflopBudget, IsoflopFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (430, 340)
STATUS_WORDS = {
    "interior": "inside the sizes tried",
    "edge_small": "at or below the smallest size tried",
    "edge_large": "at or above the largest size tried",
    "no_minimum": "none: the curve does not turn up",
    "too_few": "too few runs for a curve",
}


LABEL_SHIFT = 7
"""Pixels from a curve's end to its name."""


@dataclass(frozen=True)
class Edge:
    """A curve whose lowest run is its last on one side: an arrow beside it says where the minimum must be."""

    run: int
    """Index of the lowest run, in order of size."""
    arrow: str
    shift: int
    """Pixels from the run to the arrow."""
    label_shift: int = LABEL_SHIFT
    """Pixels from the curve's end to its name, beyond an arrow that stands there."""


EDGES = {"edge_small": Edge(0, "←", -15), "edge_large": Edge(-1, "→", 15, label_shift=28)}


def isoflop_section(isoflop: IsoflopFit, budgets: Budgets, target: Forecast | None = None) -> Html | None:
    """The curves and how their minima grow; with a `target`, its proportions too. None where no budget has runs."""
    if not any(budget.runs for budget in isoflop.budgets):
        return None
    curves = drawing(
        "isoflop-curves",
        PANEL,
        partial(_draw_curves, isoflop=isoflop, budgets=budgets),
        title="Loss against parameters, one curve per compute budget",
        described=_curves_caption(isoflop),
    )
    drawings = [figure("isoflop", _curves_title(isoflop), [curves], _curves_caption(isoflop), _curves_data(isoflop))]
    if any(budget.is_interior for budget in isoflop.budgets):
        drawings.append(growth_figure(isoflop, budgets, target))
    doubts = [checks_list(isoflop.checks)] if isoflop.checks else []
    return section(
        "isoflop-section", "Which size is best at each budget?", element("div", *drawings, class_="pair"), *doubts
    )


def _curves_title(isoflop: IsoflopFit) -> str:
    inside = sum(budget.is_interior for budget in isoflop.budgets)
    have = "has its" if inside == 1 else "have their"
    return f"{inside} of {len(isoflop.budgets)} budgets {have} best size inside the sizes tried"


def _curves_caption(isoflop: IsoflopFit) -> str:
    words = (
        "Open circles: runs of one compute budget. Line: parabola over log size. Filled: its minimum, "
        f"the bar is its {percent(isoflop.level, 0)} interval."
    )
    edges = [power(budget.flops) for budget in isoflop.budgets if budget.status in EDGES]
    hollow = (
        f" Hollow with an arrow ({', '.join(edges)} FLOP): the best size tried is at the edge, so it gives no minimum."
    )
    return words + (hollow if edges else "")


def _curves_data(isoflop: IsoflopFit) -> Html:
    headers = ["budget (FLOP)", "N*", "interval", "D*", "D*/N*", f"loss at N* ({isoflop.loss_unit})", "minimum"]
    rows = [
        [
            power(budget.flops),
            count(budget.params),
            f"{count(budget.params_interval[0])} to {count(budget.params_interval[1])}"
            if budget.params_interval
            else "—",
            count(budget.tokens),
            significant(budget.tokens / budget.params) if budget.params and budget.tokens else "—",
            number(budget.loss, 4),
            STATUS_WORDS.get(budget.status, budget.status),
        ]
        for budget in isoflop.budgets
    ]
    return table(headers, rows, class_="numbers words-7")


def _draw_curves(axes: Axes, *, isoflop: IsoflopFit, budgets: Budgets) -> None:
    shown = [budget for budget in isoflop.budgets if budget.runs]
    sizes = [run.params for budget in shown for run in budget.runs]
    low, high = padded(sizes)
    # 13 % more of the log axis at the right: the curves' names stand there.
    log_axis(axes, "x", low, high * (high / low) ** 0.13, short_count)
    ends = [_draw_curve(axes, budget, colour_of(budget.group, budgets)) for budget in shown]
    bottom, top = axes.get_ylim()
    heights = apart([loss for _, loss, _, _ in ends], (top - bottom) * 0.055)
    for (size, _, flops, shift), height in zip(ends, heights, strict=True):
        write_label(axes, power(flops), (size, height), (shift, 0))
    axes.set_xlabel("parameters N")
    axes.set_ylabel(f"validation loss ({isoflop.loss_unit})")


def _draw_curve(axes: Axes, budget: IsoflopBudget, colour: str) -> tuple[float, float, float, int]:
    """Runs, parabola and minimum of one budget; returns where its label belongs, and how far to the right."""
    import numpy as np

    runs = sorted(budget.runs, key=lambda run: run.params)
    sizes, losses = [run.params for run in runs], [run.loss for run in runs]
    axes.plot(sizes, losses, "o", markerfacecolor="none", color=colour, markersize=5.5, markeredgewidth=1.3, zorder=3)
    if budget.parabola is not None:
        # The parabola is one in ln N, fitted to the loss itself (approach 2 of Hoffmann et al. 2022).
        grid = np.linspace(np.log(sizes[0]), np.log(sizes[-1]), 40)
        axes.plot(np.exp(grid), np.polyval(budget.parabola, grid), color=colour, linewidth=1.4, zorder=2)
    if budget.params is not None and budget.loss is not None:
        if budget.params_interval:
            axes.plot(budget.params_interval, [budget.loss] * 2, color=colour, linewidth=3, alpha=0.45, zorder=3)
        axes.plot(budget.params, budget.loss, "o", color=colour, markersize=8, markeredgecolor=PAPER, zorder=4)
    elif (edge := EDGES.get(budget.status)) is not None:
        size, loss = runs[edge.run].params, runs[edge.run].loss
        axes.plot(size, loss, "o", color=colour, markerfacecolor=PAPER, markersize=9, markeredgewidth=1.8, zorder=4)
        write_label(axes, edge.arrow, (size, loss), (edge.shift, 0.5), colour=colour, size=17, ha="center")
        return sizes[-1], losses[-1], budget.flops, edge.label_shift
    return sizes[-1], losses[-1], budget.flops, LABEL_SHIFT


GROWTH_PANEL = (430, 215)
GROWTH_CAPTION = (
    "Best size N* (above) and its tokens D* (below) of each budget, with their intervals. Line: power law through "
    "the minima, dashed beyond them."
)
OF_TARGET = " Bar across: the proportions of the target."


@dataclass(frozen=True)
class Growth:
    """One of the two power laws: value = prefactor C^exponent."""

    letter: str
    column: str
    prefactor: float | None
    exponent: float | None
    bounds: list[float] | None

    def at(self, flops: float) -> float | None:
        """The law's value; None without a law."""
        if self.prefactor is None or self.exponent is None:
            return None
        return float(self.prefactor * flops**self.exponent)


def growth_figure(isoflop: IsoflopFit, budgets: Budgets, target: Forecast | None) -> Html:
    """N* and D* against compute, one panel each."""
    growths = [_growth(isoflop, "N", "params"), _growth(isoflop, "D", "tokens")]
    powers = [significant(growth.exponent, 2) for growth in growths]
    title = f"The best size grows with compute to the power {powers[0]}, its tokens to the power {powers[1]}"
    if growths[0].exponent is None:
        title = "Too few minima for a power law in compute"
    caption = GROWTH_CAPTION + (OF_TARGET if target else "")
    panels = [
        drawing(
            f"isoflop-{growth.column}",
            GROWTH_PANEL,
            partial(_draw_growth, target=target, isoflop=isoflop, budgets=budgets, growth=growth),
            title=title,
            described=caption,
        )
        for growth in growths
    ]
    rows = [
        [f"{growth.letter}*", significant(growth.prefactor), significant(growth.exponent), interval(growth.bounds)]
        for growth in growths
    ]
    data = table(["law", "prefactor", "exponent", f"{percent(isoflop.level, 0)} interval"], rows, class_="numbers")
    return figure("isoflop-growth", title, panels, caption, data)


def _growth(isoflop: IsoflopFit, letter: str, column: str) -> Growth:
    parts = (getattr(isoflop, f"{column}_{part}") for part in ("prefactor", "exponent", "exponent_interval"))
    return Growth(letter, column, *parts)


def _draw_growth(axes: Axes, *, target: Forecast | None, isoflop: IsoflopFit, budgets: Budgets, growth: Growth) -> None:
    """Minima with their intervals, the law through them, and the target, on two log axes."""
    minima = [(budget, *_minimum(budget, growth)) for budget in isoflop.budgets if budget.is_interior]
    goal, target_value = (target.flops, getattr(target, growth.column)) if target else (None, None)
    log_axis(axes, "x", *padded([b.flops for b in isoflop.budgets] + ([goal] if goal else [])), short_power)
    heights = [height for _, value, pair in minima for height in (value, *pair)]
    heights += _draw_law(axes, growth, minima[0][0].flops, minima[-1][0].flops)
    log_axis(axes, "y", *padded(heights + ([target_value] if target_value else [])), short_count)
    for budget, value, pair in minima:
        colour = colour_of(budget.group, budgets)
        axes.plot([budget.flops] * len(pair), pair, color=colour, linewidth=3, alpha=0.45, zorder=3)
        axes.plot(budget.flops, value, "o", color=colour, markersize=8, markeredgecolor=PAPER, zorder=4)
    if goal and target_value:
        _draw_target(axes, goal, target_value, above=target_value >= (growth.at(goal) or 0.0))
    axes.set_ylabel("best size N*" if growth.letter == "N" else "its tokens D*")
    axes.set_xlabel("" if growth.letter == "N" else "compute budget C (FLOP)")


def _draw_law(axes: Axes, growth: Growth, first: float, last: float) -> list[float]:
    """The line, solid within the minima, and its formula; returns the heights it reaches."""
    end = axes.get_xlim()[1]
    values = [growth.at(flops) for flops in (first, last, end)]
    heights = [value for value in values if value is not None]
    if not heights:
        return []
    axes.plot([first, last], heights[:2], color=INK, linewidth=1.4, zorder=2)
    axes.plot([last, end], heights[1:], color=INK, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
    power = f"{significant(growth.exponent, 2)} {interval(growth.bounds, 2)}"
    words = f"{growth.letter}* = {significant(growth.prefactor, 2)} C^({power})"
    axes.text(0.03, 0.96, words, transform=axes.transAxes, va="top")
    return heights


def _draw_target(axes: Axes, flops: float, value: float, *, above: bool) -> None:
    axes.plot(flops, value, "_", color=ACCENT, markersize=14, markeredgewidth=2.5, zorder=5)
    side, shift = ("bottom", 5) if above else ("top", -6)
    write_label(axes, "target", (flops, value), (0, shift), colour=ACCENT, size=12, ha="center", va=side)


def _minimum(budget: IsoflopBudget, growth: Growth) -> tuple[float, Sequence[float]]:
    """N* or D* of a budget and its interval; D* falls where N* rises, at equal compute."""
    assert budget.params is not None
    assert budget.tokens is not None
    pair: Sequence[float] = budget.params_interval or ()
    if growth.letter == "N":
        return budget.params, pair
    # D = C / (k N) at one budget: the ends of the interval of D* are those of N* in reverse, D* N* / bound.
    return budget.tokens, [budget.tokens * budget.params / bound for bound in reversed(pair)]
