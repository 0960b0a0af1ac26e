"""Figure of approach 2: loss against parameters, a curve per budget with its minimum."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import IsoflopBudget, IsoflopFit
from foretoken.reports.checks import checks_list
from foretoken.reports.elements import Html, element, figure, section, table
from foretoken.reports.growth_figure import growth_figure
from foretoken.reports.numbers import count, number, percent, power, significant
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import (
    INK,
    PAPER,
    Budget,
    apart,
    drawing,
    log_axis,
    padded,
    short_count,
)

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


def isoflop_section(study: StudyResults, budgets: dict[str, Budget]) -> Html | None:
    """The section, or None for a study without IsoFLOP curves."""
    isoflop = study.isoflop
    if isoflop is None or not any(budget.runs for budget in isoflop.budgets):
        return None
    curves = drawing(
        "isoflop-curves",
        PANEL,
        partial(_draw_curves, isoflop=isoflop, budgets=budgets),
        title="Loss against parameters, one curve per compute budget",
        described=_curves_caption(isoflop),
    )
    drawings = [figure("isoflop", _curves_title(isoflop), [curves], _curves_caption(isoflop), _curves_data(isoflop))]
    if any(budget.status == "interior" for budget in isoflop.budgets):
        drawings.append(growth_figure(study, isoflop, budgets))
    doubts = [checks_list(isoflop.checks)] if isoflop.checks else []
    return section(
        "isoflop-section", "Which size is best at each budget?", element("div", *drawings, class_="pair"), *doubts
    )


def _curves_title(isoflop: IsoflopFit) -> str:
    inside = sum(budget.status == "interior" for budget in isoflop.budgets)
    return f"{inside} of {len(isoflop.budgets)} budgets have their best size inside the sizes tried"


def _curves_caption(isoflop: IsoflopFit) -> str:
    words = (
        "Open circles: runs of one compute budget. Line: parabola over log size. Filled: its minimum, "
        f"the bar is its {percent(isoflop.level, 0)} interval."
    )
    edges = [power(b.flops) for b in isoflop.budgets if b.status.startswith("edge")]
    hollow = (
        f" Hollow with an arrow ({', '.join(edges)} FLOP): the best size tried is at the edge, so it gives no minimum."
    )
    return words + (hollow if edges else "")


def _curves_data(isoflop: IsoflopFit) -> Html:
    headers = ["budget (FLOP)", "N*", "interval", "D*", "D*/N*", "loss at N* (nats per token)", "minimum"]
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


def _draw_curves(axes: Axes, *, isoflop: IsoflopFit, budgets: dict[str, Budget]) -> None:
    shown = [budget for budget in isoflop.budgets if budget.runs]
    sizes = [run.params for budget in shown for run in budget.runs]
    low, high = padded(sizes)
    log_axis(axes, "x", low, high * (high / low) ** 0.13, short_count)
    ends = []
    for budget in shown:
        known = budgets.get(budget.group)
        ends.append(_draw_curve(axes, budget, known.colour if known else INK))
    bottom, top = axes.get_ylim()
    places = apart([loss for _, loss, _, _ in ends], (top - bottom) * 0.055)
    for (size, _, flops, shift), place in zip(ends, places, strict=True):
        axes.annotate(power(flops), (size, place), (shift, 0), textcoords="offset points", va="center", fontsize=11)
    axes.set_xlabel("parameters N (all trained)")
    axes.set_ylabel("validation loss (nats per token)")


def _draw_curve(axes: Axes, budget: IsoflopBudget, colour: str) -> tuple[float, float, float, int]:
    """Runs, parabola and minimum of one budget; returns where its label belongs, and how far to the right."""
    import numpy as np

    runs = sorted(budget.runs, key=lambda run: run.params)
    sizes, losses = [run.params for run in runs], [run.loss for run in runs]
    axes.plot(sizes, losses, "o", markerfacecolor="none", color=colour, markersize=5.5, markeredgewidth=1.3, zorder=3)
    if budget.parabola is not None:
        grid = np.linspace(np.log(sizes[0]), np.log(sizes[-1]), 40)
        axes.plot(np.exp(grid), np.polyval(budget.parabola, grid), color=colour, linewidth=1.4, zorder=2)
    if budget.params is not None and budget.loss is not None:
        if budget.params_interval:
            axes.plot(budget.params_interval, [budget.loss] * 2, color=colour, linewidth=3, alpha=0.45, zorder=3)
        axes.plot(budget.params, budget.loss, "o", color=colour, markersize=8, markeredgecolor=PAPER, zorder=4)
    elif budget.status.startswith("edge"):
        best = runs[0] if budget.status == "edge_small" else runs[-1]
        _edge_mark(axes, (best.params, best.loss), budget.status == "edge_large", colour)
    return sizes[-1], losses[-1], budget.flops, 28 if budget.status == "edge_large" else 7


def _edge_mark(axes: Axes, place: tuple[float, float], larger: bool, colour: str) -> None:
    """A hollow mark whose arrow says on which side the minimum must be."""
    axes.plot(*place, "o", markerfacecolor=PAPER, color=colour, markersize=9, markeredgewidth=1.8, zorder=4)
    arrow, shift = ("→", 15) if larger else ("←", -15)
    axes.annotate(
        arrow, place, (shift, 0.5), textcoords="offset points", ha="center", va="center", fontsize=17, color=colour
    )
