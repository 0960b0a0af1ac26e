"""Colours of runs by their compute, for any table: one per budget, or per step of compute where none are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit, FittedRun
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import power
from foretoken.reports.svg import Budget, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLOURS = 8
MOST_MARKS = 400
"""Runs that one panel draws; of more, as many are chosen evenly over compute."""
SAME_BUDGET = 1.05
"""Runs are of one budget while each has at most 5 % more FLOP than the one before ..."""
ONE_BUDGET = 1.3
"""... and none has more than 30 % above the least of them; else compute is cut into even steps."""


def coloured(fit: Fit) -> tuple[Fit, dict[str, Budget]]:
    """The fit with the compute of each run as its group, and the colour of each group."""
    names, budgets = colour_groups([run.flops for run in fit.runs])
    runs = [replace(run, group=name) for run, name in zip(fit.runs, names, strict=True)]
    return replace(fit, runs=runs), budgets


def colour_groups(flops: Sequence[float]) -> tuple[list[str], dict[str, Budget]]:
    """The name of each run's colour group, and the groups in order of compute (FLOP).

    >>> colour_groups([1e18, 2e18, 1.001e18])[0]
    ['0', '1', '0']
    """
    groups = _budgets(flops) or _steps(flops)
    names = [""] * len(flops)
    budgets = {}
    for place, members in enumerate(groups):
        middle = math.exp(sum(math.log(flops[i]) for i in members) / len(members))
        budgets[str(place)] = Budget(str(place), middle, f"#0102{place:02x}")
        for i in members:
            names[i] = str(place)
    return names, budgets


def _budgets(flops: Sequence[float]) -> list[list[int]]:
    """Runs of nearly equal compute together; nothing when these are too many, or no budgets."""
    groups: list[list[int]] = []
    for i in sorted(range(len(flops)), key=flops.__getitem__):
        if groups and flops[i] <= SAME_BUDGET * flops[groups[-1][-1]]:
            groups[-1].append(i)
        else:
            groups.append([i])
    wide = any(flops[group[-1]] > ONE_BUDGET * flops[group[0]] for group in groups)
    return [] if wide or len(groups) > MOST_COLOURS + 4 else groups


def _steps(flops: Sequence[float]) -> list[list[int]]:
    """Runs by even steps of log compute."""
    low, high = math.log(min(flops)), math.log(max(flops))
    width = (high - low) / MOST_COLOURS or 1.0
    groups: dict[int, list[int]] = {}
    for i, value in enumerate(flops):
        groups.setdefault(min(MOST_COLOURS - 1, int((math.log(value) - low) / width)), []).append(i)
    return [groups[step] for step in sorted(groups)]


def colour_key(budgets: dict[str, Budget]) -> Html | None:
    """What each colour stands for, as one line of text."""
    if len(budgets) < 2:
        return None
    items = [
        element("span", element("i", class_="dot", style=f"background:var(--budget-{name})"), power(budget.flops, 1))
        for name, budget in budgets.items()
    ]
    return element("p", *items, element("span", "FLOP"), class_="key")


def thinned(runs: Sequence[FittedRun], most: int = MOST_MARKS) -> list[int]:
    """Which runs are drawn: all, or `most` of them evenly over compute, and always the ten farthest from the law."""
    if len(runs) <= most:
        return list(range(len(runs)))
    order = sorted(range(len(runs)), key=lambda i: runs[i].flops)
    even = {order[round(k * (len(order) - 1) / (most - 1))] for k in range(most)}
    far = sorted(range(len(runs)), key=lambda i: -abs(runs[i].loss - runs[i].fitted) / abs(runs[i].fitted))[:10]
    return sorted(even | set(far))


def mark_noun(fit: Fit) -> str:
    """What one mark is: a run, or a cell of many runs that the fit took together."""
    return "cells of runs" if fit.is_aggregated else "runs"


def drawn_words(shown: int, of: int, noun: str = "runs") -> str:
    """What a caption says of marks that are not drawn.

    >>> drawn_words(400, 24000), drawn_words(5, 5)
    ('Drawn: 400 of 24k runs, evenly over compute. ', '')
    """
    return f"Drawn: {shown} of {short_count(of)} {noun}, evenly over compute. " if shown < of else ""


def draw_marks(axes: Axes, points: Iterable[tuple[float, float, str]], budgets: dict[str, Budget]) -> None:
    """Open circles, one path per colour: points are (x, y, group)."""
    by_group: dict[str, tuple[list[float], list[float]]] = {}
    for x, y, group in points:
        columns = by_group.setdefault(group, ([], []))
        columns[0].append(x)
        columns[1].append(y)
    for group, columns in by_group.items():
        axes.plot(
            *columns,
            "o",
            markerfacecolor="none",
            color=budgets[group].colour,
            markersize=5 if len(columns[0]) < 60 else 4,
            markeredgewidth=1.2,
            zorder=3,
        )
