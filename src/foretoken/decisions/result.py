"""Which of two recipes wins at a compute, by how much, where they cross, and what the better one saves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.decisions.crossing import Crossing
from foretoken.fits.check import Check
from foretoken.forecasts.forecast import IntervalKind
from foretoken.results import Result, with_reasons_json

COMPUTE_ALONE = "the law reads compute alone"
"""Why the size and the length of a run are not told."""


@dataclass(frozen=True)
class RecipeAt:
    """One recipe's run at a compute, with the interval of its loss."""

    params: float | None
    """None where the law reads compute alone."""
    tokens: float | None
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class ComputePoint:
    """Both recipes at one compute."""

    flops: float
    first: RecipeAt
    second: RecipeAt
    difference: float
    """Loss of the first less that of the second."""
    low: float
    high: float
    p_first: float
    """The probability that the first has the lower loss."""
    reach: float
    """How many times the run lies beyond those of its fit, in the direction and for the recipe of which it is most."""


@dataclass(frozen=True)
class ComputeSaved:
    """What the first saves to reach the second's loss at the compute asked for; below a factor of 1 it needs more."""

    flops: float
    """With which the first reaches that loss."""
    factor: float
    """The second's compute over it."""
    low: float | None
    """Of the factor; None for an end beyond the computes looked at."""
    high: float | None

    @property
    def share(self) -> float:
        """Of the second's compute."""
        return 1 - 1 / self.factor


@dataclass(frozen=True)
class Versus(Result, rows="points"):
    """A decision between two recipes."""

    first: str
    second: str
    compute: float
    difference: float
    """Loss of the first less that of the second, at `compute`, in `unit`."""
    low: float
    high: float
    level: float
    kind: IntervalKind
    """`mean`: of the recipes' expected losses; `new-run`: of one new run of each."""
    p_first: float
    """The probability that the first has the lower loss."""
    crossing: Crossing | None
    crossing_reason: str | None
    compute_saved: ComputeSaved | None
    compute_saved_reason: str | None
    split: str
    """How compute is spent."""
    alike: float | None
    """How alike the residuals of runs are that go together; None where the runs of the two do not."""
    points: list[ComputePoint]
    """The two along compute, rising; the one asked for among them."""
    unit: str
    checks: list[Check]
    assumed: list[str]
    runs_end: float
    """The compute to which both have runs."""

    @property
    def at(self) -> ComputePoint:
        """Both at the compute that was asked for."""
        return min(self.points, key=lambda point: abs(math.log(point.flops / self.compute)))

    @property
    def winner(self) -> str:
        """The recipe that is more likely to have the lower loss."""
        return self.first if self.p_first >= 0.5 else self.second

    @property
    def loser(self) -> str:
        """The other one."""
        return self.second if self.p_first >= 0.5 else self.first

    @property
    def sure(self) -> float:
        """The probability that the winner wins."""
        return max(self.p_first, 1 - self.p_first)

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self) | {"winner": self.winner}
        if self.crossing is not None:
            below = f"at no compute below, from {self.points[0].flops:.3g} FLOP on, is either told to be the better"
            above = f"at no compute above, up to {self.points[-1].flops:.3g} FLOP, is either told to be the better"
            values["crossing"] = with_reasons_json(values["crossing"], low=below, high=above)
        if self.compute_saved is not None:
            saved = values["compute_saved"] | {"share": self.compute_saved.share}
            values["compute_saved"] = with_reasons_json(saved, **self._open_ends())
        for point in values["points"]:
            for side in ("first", "second"):
                point[side] = with_reasons_json(point[side], **dict.fromkeys(("params", "tokens"), COMPUTE_ALONE))
        return with_reasons_json(values, alike="the runs of the two do not go together one to one")

    def _open_ends(self) -> dict[str, str]:
        """Why an end of the compute saved is not told."""
        least, most = self.points[0].flops, self.points[-1].flops
        return {
            "low": f"with up to {most:.3g} FLOP the first may still have a higher loss than the second's",
            "high": f"with {least:.3g} FLOP the first may have a lower loss than the second's already",
        }
