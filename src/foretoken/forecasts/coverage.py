"""Held-out runs, and their errors and coverage by how far they lie beyond the runs that were seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from foretoken.shares import wilson

MOST_STEPS = 6
FEWEST = 5
"""Runs of a step at least, except where there are fewer in all."""
SAME_DISTANCE = 1.001
"""Runs are at one distance that differ by less, as those of one budget are by rounding."""
Z = 1.645
"""The 95 % quantile of a standard normal: 90 % lie within so many standard deviations."""


@dataclass(frozen=True, kw_only=True)
class HeldOutRun:
    """A run that a fit did not see, beside its forecast."""

    params: float
    tokens: float
    flops: float
    at: dict[str, float] = field(default_factory=dict)
    """Values of the law's further features, by name."""
    loss: float
    """Measured: what the law predicts, in the law's unit."""
    forecast: float
    low: float
    high: float
    distance: float
    """The largest factor beyond the runs seen, in params, tokens or flops."""
    train_fraction: float
    """The quantile of compute up to which runs were seen."""

    @property
    def is_inside(self) -> bool:
        """Whether its interval holds it."""
        return self.low <= self.loss <= self.high

    def error(self, relative: bool = True) -> float:
        """Forecast less outcome, as a share of the outcome where that is what a law is fitted to."""
        return (self.forecast - self.loss) / (self.loss if relative else 1.0)

    def to_json(self) -> dict[str, float]:
        """Plain values; further features are `at_NAME`."""
        plain = asdict(self)
        del plain["at"]
        return plain | {f"at_{name}": value for name, value in self.at.items()}


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
        """The geometric mean of its ends: its middle on a log axis."""
        return math.sqrt(self.low * self.high)


def steps_of(runs: Sequence[HeldOutRun], relative: bool = True) -> list[Step]:
    """Steps of nearly equal numbers of runs, in order of distance."""
    order = sorted(runs, key=lambda run: run.distance)
    # Equal counts, not equal widths: a share of two runs says nothing, and far runs are few.
    steps = max(1, min(MOST_STEPS, len(order) // FEWEST))
    cuts = sorted({_after_ties(order, round(k * len(order) / steps)) for k in range(steps + 1)})
    return [_step(order[a:b], relative) for a, b in pairwise(cuts)]


def _after_ties(order: Sequence[HeldOutRun], cut: int) -> int:
    """The cut, moved up so that runs of one distance are of one step."""
    while 0 < cut < len(order) and order[cut].distance < SAME_DISTANCE * order[cut - 1].distance:
        cut += 1
    return cut


def _step(runs: Sequence[HeldOutRun], relative: bool) -> Step:
    errors = [run.error(relative) for run in runs]
    inside = sum(run.is_inside for run in runs)
    return Step(
        low=runs[0].distance,
        high=runs[-1].distance,
        runs=len(runs),
        bias=sum(errors) / len(errors),
        error=sum(map(abs, errors)) / len(errors),
        coverage=inside / len(runs),
        ends=wilson(inside, len(runs), Z),
    )
