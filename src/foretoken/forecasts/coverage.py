"""Held-out runs by how far they lie beyond the runs that were seen: error and coverage of each step of distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_STEPS = 6
FEWEST = 5
"""Runs of a step at least, except where there are fewer in all."""
Z = 1.645


@dataclass(frozen=True)
class Step:
    """Runs of about one distance; errors are shares of the loss (differences for a law of scores)."""

    low: float
    """The least distance of its runs, as a factor."""
    high: float
    runs: int
    bias: float
    """Mean signed error."""
    error: float
    """Mean absolute error."""
    coverage: float
    ends: tuple[float, float]
    """The 90 % interval of `coverage` (Wilson 1927), as if the runs were independent."""

    @property
    def middle(self) -> float:
        """Its place on a log axis."""
        return math.sqrt(self.low * self.high)


def steps_of(rows: Sequence[dict[str, float]], relative: bool = True) -> list[Step]:
    """Steps of nearly equal numbers of runs, in order of distance.

    >>> rows = [{"distance": 2.0 + i, "forecast": 2.0, "loss": 2.0, "low": 1.9, "high": 2.1} for i in range(20)]
    >>> [(step.runs, step.coverage) for step in steps_of(rows)]
    [(5, 1.0), (5, 1.0), (5, 1.0), (5, 1.0)]
    """
    order = sorted(rows, key=lambda row: row["distance"])
    steps = max(1, min(MOST_STEPS, len(order) // FEWEST))
    cuts = [round(k * len(order) / steps) for k in range(steps + 1)]
    return [_step(order[a:b], relative) for a, b in pairwise(cuts)]


def error_of(row: dict[str, float], relative: bool = True) -> float:
    """Forecast less outcome, as a share of the outcome where that is what a law is fitted to."""
    return (row["forecast"] - row["loss"]) / (row["loss"] if relative else 1.0)


def _step(rows: Sequence[dict[str, float]], relative: bool) -> Step:
    errors = [error_of(row, relative) for row in rows]
    inside = sum(row["low"] <= row["loss"] <= row["high"] for row in rows)
    return Step(
        low=rows[0]["distance"],
        high=rows[-1]["distance"],
        runs=len(rows),
        bias=sum(errors) / len(errors),
        error=sum(map(abs, errors)) / len(errors),
        coverage=inside / len(rows),
        ends=wilson(inside, len(rows)),
    )


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """The 90 % interval of a share (Wilson 1927).

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.652, 0.977]
    """
    share, whole = hits / tries, 1 + Z**2 / tries
    centre = (share + Z**2 / (2 * tries)) / whole
    reach = Z / whole * math.sqrt(share * (1 - share) / tries + Z**2 / (4 * tries**2))
    return max(0.0, centre - reach), min(1.0, centre + reach)
