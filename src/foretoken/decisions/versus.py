"""A decision between two recipes: the difference of their losses along compute, the crossing, the compute saved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretoken.arguments import takes
from foretoken.decisions.crossing import Crossing, crossing, zeros
from foretoken.decisions.pair import Difference, Pair, pair_of, reach_of
from foretoken.decisions.request import VersusRequest
from foretoken.decisions.result import ComputePoint, ComputeSaved, RecipeAt, Versus
from foretoken.decisions.sides import Side, comparability, open_sides
from foretoken.errors import RefusedError
from foretoken.fits.check import Check, worst_first
from foretoken.forecasts.forecast import NEW_RUN, Forecast, interval_kind
from foretoken.forecasts.predict import predict
from foretoken.laws.law import Array

POINTS = 49
"""Computes at which the two are compared, evenly in logarithms."""
BEYOND, BEYOND_ASKED = 100.0, 10.0
"""The largest of them, over the largest run's compute and over the one asked for: whichever is more."""
Run = Mapping[str, float]


@takes(VersusRequest)
def versus(request: VersusRequest) -> Versus:
    """Which of two recipes has the lower loss at a compute, how surely, and from where on.

    Raises RefusedError where the losses of the two are not of one thing, ForetokenError as `fit` and `read_table`.

    >>> import numpy as np, pandas as pd
    >>> size, tokens = (part.ravel() for part in np.meshgrid([1e7, 3e7, 1e8], [5e8, 2e9, 8e9, 3e10]))
    >>> noise = np.exp(0.003 * np.random.default_rng(0).standard_normal((2, 12)))
    >>> losses = (1.7 + 400 / size**0.34 + 900 / tokens**0.33) * noise * np.array([[1.0], [1.03]])
    >>> ours, theirs = (pd.DataFrame({"params": size, "tokens": tokens, "loss": loss}) for loss in losses)
    >>> decision = versus(ours, theirs, compute=1e20, first="ours", second="theirs")
    >>> decision.winner, decision.p_first > 0.8, decision.difference < 0
    ('ours', True, True)
    """
    first, second = open_sides(request)
    pair = pair_of(first.fit, second.fit, interval_kind(request.kind))
    amounts = request.amounts()
    flops = amounts.get("compute") or first.fit.flops_per_param_token * amounts["params"] * amounts["tokens"]
    return _Comparison(request, first, second, pair, flops).result()


@dataclass(frozen=True)
class _Comparison:
    """Two recipes that are compared at `flops` FLOP."""

    request: VersusRequest
    first: Side
    second: Side
    pair: Pair
    flops: float

    def result(self) -> Versus:
        grid, ones, others = self._runs()
        points = [self._point(*run) for run in zip(grid.tolist(), ones, others, strict=True)]
        at = int(np.argmin(np.abs(np.log(grid / self.flops))))
        found, why_none = self._crossing(points, grid)
        saved, why_not = self._saved(grid, ones, others[at])
        here = points[at]
        ranges = self.first.fit.ranges.flops, self.second.fit.ranges.flops
        return Versus(
            first=self.first.name,
            second=self.second.name,
            compute=self.flops,
            difference=here.difference,
            low=here.low,
            high=here.high,
            level=self.request.level,
            kind=self.pair.kind,
            p_first=here.p_first,
            crossing=found,
            crossing_reason=why_none,
            compute_saved=saved,
            compute_saved_reason=why_not,
            split=self.request.split.text(self.first.fit, self.second.fit),
            alike=self.pair.alike,
            points=points,
            unit=self.first.fit.unit,
            checks=worst_first(self._checks(ones[at], others[at])),
            assumed=list(self._assumed()),
            runs_end=min(one.high for one in ranges),
        )

    def _runs(self) -> tuple[Array, Sequence[Run], Sequence[Run]]:
        """The computes that are looked at [r], and the run of each recipe there."""
        ranges = self.first.fit.ranges.flops, self.second.fit.ranges.flops
        low = min(self.flops, max(one.low for one in ranges))
        largest = max(self.flops, *(one.high for one in ranges))
        high = max(BEYOND_ASKED * self.flops, BEYOND * max(one.high for one in ranges))
        for end in (high, largest):
            grid = np.unique(np.append(np.geomspace(low, end, POINTS), self.flops))
            try:
                ones, others = (self.request.split.runs(side.fit, grid) for side in (self.first, self.second))
                return grid, ones, others
            except RefusedError:
                # Far beyond the runs a law may have no best split; where it was asked for it must have one.
                if end == largest:
                    raise
        raise AssertionError

    def _point(self, flops: float, first: Run, second: Run) -> ComputePoint:
        forecasts = [self._forecast(side, run) for side, run in ((self.first, first), (self.second, second))]
        told = self.pair.difference(first, second)
        losses = [forecast.loss for forecast in forecasts]
        low, high = (_in_loss(end, losses) for end in told.interval(self.request.level))
        return ComputePoint(
            flops=flops,
            first=_recipe_at(forecasts[0]),
            second=_recipe_at(forecasts[1]),
            difference=losses[0] - losses[1],
            low=low,
            high=high,
            p_first=told.p_first,
            reach=max(reach_of(self.first.fit, first), reach_of(self.second.fit, second)),
        )

    def _forecast(self, side: Side, run: Run) -> Forecast:
        return predict(
            side.fit,
            params=run.get("params"),
            tokens=run.get("tokens"),
            flops=run["flops"],
            level=self.request.level,
            kind=self.pair.kind,
            strict=False,
        )

    def _crossing(self, points: Sequence[ComputePoint], grid: Array) -> tuple[Crossing | None, str | None]:
        centre, low, high = np.array([[point.difference, point.low, point.high] for point in points]).T
        found = crossing(centre, low, high, grid, self.flops)
        if found is not None:
            return found, None
        ahead = self.first.name if points[-1].difference < 0 else self.second.name
        told = f"{ahead} is ahead at every compute from {grid[0]:.3g} to {grid[-1]:.3g} FLOP"
        undecided = [point.flops for point in points if point.low < 0 < point.high]
        if undecided:
            told += f", but surely so at none of {undecided[0]:.3g} to {undecided[-1]:.3g}"
        return None, told

    def _saved(self, grid: Array, ones: Sequence[Run], target: Run) -> tuple[ComputeSaved | None, str | None]:
        """The compute at which the first has the second's loss at the target."""
        told: list[Difference] = [self.pair.difference(run, target) for run in ones]
        places = zeros(np.array([one.centre for one in told]), grid)
        if not places:
            above = told[-1].centre > 0
            side = "does not reach" if above else "is below"
            end = f"{grid[-1]:.3g}" if above else f"{grid[0]:.3g}, the least that was looked at,"
            return None, f"{self.first.name} {side} that loss with {end} FLOP"
        at = places[-1]
        lows, highs = np.array([one.interval(self.request.level) for one in told]).T
        ends = sorted([*zeros(lows, grid), *zeros(highs, grid)])
        least, most = [end for end in ends if end < at], [end for end in ends if end > at]
        return ComputeSaved(
            flops=at,
            factor=self.flops / at,
            low=self.flops / most[0] if most else None,
            high=self.flops / least[-1] if least else None,
        ), None

    def _checks(self, first: Run, second: Run) -> Iterator[Check]:
        yield from comparability(self.first, self.second)
        for side, run in ((self.first, first), (self.second, second)):
            for check in self._forecast(side, run).checks:
                yield replace(check, evidence=f"{side.name}: {check.evidence}")

    def _assumed(self) -> Iterator[str]:
        for side in (self.first, self.second):
            if side.told:
                yield f"{side.name}: {side.told}"
            yield f"{side.name}: {side.fit.rows.used} runs, {side.fit.law}, N is `{side.fit.params_column}`"
            yield from (f"{side.name}: {text}" for text in side.fit.assumed)
        yield f"how compute is spent: {self.request.split.text(self.first.fit, self.second.fit)}"
        if self.pair.alike is None:
            yield "the runs of the two do not go together one to one: their errors are taken as independent"
        else:
            yield f"runs of equal size and length go together; their residuals correlate by {self.pair.alike:.2f}"
        noise = "one new run of each, with its noise" if self.pair.kind == NEW_RUN else "the expected losses"
        yield f"the difference and the probability are of {noise}"


def _recipe_at(forecast: Forecast) -> RecipeAt:
    params, tokens = (None if math.isnan(value) else value for value in (forecast.params, forecast.tokens))
    return RecipeAt(params, tokens, forecast.loss, forecast.low, forecast.high)


def _in_loss(ratio: float, losses: Sequence[float]) -> float:
    """A difference of losses from ln of their ratio, about their geometric mean."""
    # With a b = m^2 and ln a / b = r, a - b = m (e^(r / 2) - e^(-r / 2)).
    return 2 * math.sqrt(losses[0] * losses[1]) * math.sinh(ratio / 2)
