"""Colours of runs by compute: one per budget, or per step of log compute where a table has no budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foretoken.fits.parts import FittedRun
from foretoken.fits.result import Fit
from foretoken.reports.html import Html, element
from foretoken.reports.numbers import power
from foretoken.reports.svg import INK, short_count

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_COLOURS = 8
"""Steps of compute: neighbours of more than eight tints of viridis are hard to tell apart."""
MOST_MARKS = 400
"""Runs that one panel draws, evenly over compute: more circles hide each other, and a page stays below 400 kB."""
SAME_BUDGET = 1.05
"""Runs are of one budget while each has at most 5 % more FLOP than the one before ..."""
ONE_BUDGET = 1.3
"""... and none has more than 30 % above the least of them; else compute is cut into even steps."""


LIGHT_RANGE, DARK_RANGE = (0.0, 0.72), (0.32, 1.0)
"""Parts of viridis that stand out on light and on dark paper."""


@dataclass(frozen=True)
class Budget:
    """One colour: the runs of a group, by their compute."""

    group: str
    flops: float
    rank: int
    """Position in the order of compute."""

    @property
    def label(self) -> str:
        """Its compute, as curves and tables name it."""
        return power(self.flops)

    @property
    def colour(self) -> str:
        """The placeholder that becomes `variable` in a drawing (see svg.py)."""
        return f"#0102{self.rank:02x}"

    @property
    def variable(self) -> str:
        """The CSS variable that `budget_styles` sets."""
        return f"var(--budget-{self.rank})"


Budgets = Mapping[str, Budget]
"""Colours by the name of their group, in order of compute."""


def budgets_of(ladder: pd.DataFrame) -> dict[str, Budget]:
    """The groups of a run table in order of compute, with the colour that each has in every figure."""
    if not len(ladder) or "group" not in ladder or "flops" not in ladder:
        return {}
    medians = ladder.groupby("group")["flops"].median().dropna().sort_values()
    return ranked([(str(group), float(flops)) for group, flops in medians.items()])


def ranked(groups: Iterable[tuple[str, float]]) -> dict[str, Budget]:
    """Groups as (name, FLOP), given in order of compute, with their colours."""
    return {group: Budget(group, flops, rank) for rank, (group, flops) in enumerate(groups)}


def budget_styles(budgets: Budgets, scope: str = ":root") -> str:
    """CSS variables of the budgets within `scope`: viridis on a log norm of compute, for light and for dark paper."""
    if not budgets:
        return ""

    def block(part: tuple[float, float]) -> str:
        return "".join(f"--budget-{i}:{tint};" for i, tint in enumerate(tints(budgets, part)))

    dark = f"@media screen and (prefers-color-scheme:dark){{{scope}{{{block(DARK_RANGE)}}}}}"
    return f"{scope}{{{block(LIGHT_RANGE)}}}{dark}"


def tints(budgets: Budgets, part: tuple[float, float] = LIGHT_RANGE) -> list[str]:
    """The colour of each budget in a part of viridis, in hex."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # On log compute equal factors of compute are equal steps of colour.
    logs = [math.log(budget.flops) for budget in budgets.values()]
    width = max(logs) - min(logs)
    shares = [(log - min(logs)) / width if width else 0.0 for log in logs]
    return [to_hex(colormaps["viridis"](part[0] + (part[1] - part[0]) * share)) for share in shares]


def colour_of(group: str | None, budgets: Budgets) -> str:
    """The colour of a run's group; ink for a group that has none."""
    budget = budgets.get(group or "")
    return budget.colour if budget else INK


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
    middles = []
    for rank, members in enumerate(groups):
        middles.append((str(rank), math.exp(sum(math.log(flops[i]) for i in members) / len(members))))
        for i in members:
            names[i] = str(rank)
    return names, ranked(middles)


def _budgets(flops: Sequence[float]) -> list[list[int]]:
    """Runs of nearly equal compute together; nothing when these are too many, or no budgets."""
    # Single linkage in order of compute: a budget is a chain of runs with gaps of at most SAME_BUDGET.
    groups: list[list[int]] = []
    for i in sorted(range(len(flops)), key=flops.__getitem__):
        if groups and flops[i] <= SAME_BUDGET * flops[groups[-1][-1]]:
            groups[-1].append(i)
        else:
            groups.append([i])
    # A chain may creep: groups that span more than ONE_BUDGET, or too many, are no budgets at all.
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


def colour_key(budgets: Budgets) -> Html | None:
    """What each colour stands for, as one line of text."""
    if len(budgets) < 2:
        return None
    items = [
        element("span", element("i", class_="dot", style=f"background:{budget.variable}"), power(budget.flops, 1))
        for budget in budgets.values()
    ]
    return element("p", *items, element("span", "FLOP"), class_="key")


def thinned(runs: Sequence[FittedRun], most: int = MOST_MARKS) -> list[int]:
    """Which runs are drawn: all, or `most` of them evenly over compute, and always the ten farthest from the law."""
    if len(runs) <= most:
        return list(range(len(runs)))
    order = sorted(range(len(runs)), key=lambda i: runs[i].flops)
    even = {order[round(k * (len(order) - 1) / (most - 1))] for k in range(most)}
    # Outliers are what a reader looks for, and an even choice would drop most of them.
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


def draw_marks(axes: Axes, points: Iterable[tuple[float, float, str]], budgets: Budgets) -> None:
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
            color=colour_of(group, budgets),
            markersize=5 if len(columns[0]) < 60 else 4,
            markeredgewidth=1.2,
            zorder=3,
        )
