"""Figure: the best size and its tokens against compute, through the minima of the IsoFLOP curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import IsoflopBudget, IsoflopFit
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import interval, percent, significant
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import (
    ACCENT,
    INK,
    PAPER,
    Budget,
    drawing,
    log_axis,
    padded,
    short_count,
    short_power,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (430, 215)
CAPTION = (
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


def growth_figure(study: StudyResults, isoflop: IsoflopFit, budgets: dict[str, Budget]) -> Html:
    """N* and D* against compute, one panel each."""
    growths = [_growth(isoflop, "N", "params"), _growth(isoflop, "D", "tokens")]
    powers = [significant(growth.exponent, 2) for growth in growths]
    title = f"The best size grows with compute to the power {powers[0]}, its tokens to the power {powers[1]}"
    if growths[0].exponent is None:
        title = "Too few minima for a power law in compute"
    caption = CAPTION + (OF_TARGET if study.predicted else "")
    panels = [
        drawing(
            f"isoflop-{growth.column}",
            PANEL,
            partial(_draw, study=study, isoflop=isoflop, budgets=budgets, growth=growth),
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


def _draw(axes: Axes, *, study: StudyResults, isoflop: IsoflopFit, budgets: dict[str, Budget], growth: Growth) -> None:
    """Minima with their intervals, the law through them, and the target, on two log axes."""
    minima = [(budget, *_minimum(budget, growth)) for budget in isoflop.budgets if budget.status == "interior"]
    goal, wish = study.predicted.get("flops"), study.predicted.get(growth.column)
    log_axis(axes, "x", *padded([b.flops for b in isoflop.budgets] + ([goal] if goal else [])), short_power)
    heights = [height for _, value, pair in minima for height in (value, *pair)]
    heights += _draw_law(axes, growth, minima[0][0].flops, minima[-1][0].flops)
    log_axis(axes, "y", *padded(heights + ([wish] if wish else [])), short_count)
    for budget, value, pair in minima:
        colour = budgets[budget.group].colour if budget.group in budgets else INK
        axes.plot([budget.flops] * len(pair), pair, color=colour, linewidth=3, alpha=0.45, zorder=3)
        axes.plot(budget.flops, value, "o", color=colour, markersize=8, markeredgecolor=PAPER, zorder=4)
    if goal and wish:
        _draw_target(axes, goal, wish, above=wish >= (growth.at(goal) or 0.0))
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
    axes.annotate("target", (flops, value), (0, shift), textcoords="offset points", ha="center", va=side, color=ACCENT)


def _minimum(budget: IsoflopBudget, growth: Growth) -> tuple[float, Sequence[float]]:
    """N* or D* of a budget and its interval; D* falls where N* rises, at equal compute."""
    assert budget.params is not None
    assert budget.tokens is not None
    pair = budget.params_interval or []
    if growth.letter == "N":
        return budget.params, pair
    return budget.tokens, [budget.tokens * budget.params / bound for bound in reversed(pair)]
