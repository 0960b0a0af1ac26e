"""Which route forecast the larger runs of the same table best: the weight of each in a forecast.

r run, k task, b draw, t run held out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from foretoken.abilities.downstream_result import HeldOutScore
from foretoken.abilities.group_runs import Flags, GroupRuns, Sizes
from foretoken.abilities.loss_draws import drawn_losses, fit_loss, loss_forecasts
from foretoken.abilities.score_routes import RouteForecast, RouteName, forecast_routes
from foretoken.errors import ForetokenError
from foretoken.fits.result import Fit
from foretoken.laws.law import Array, Law

CUTS = (0.5, 0.65, 0.8)
"""Shares of the runs, by compute, from which those above are forecast, beside all but the two largest."""
FEWEST = 6
"""Runs that a held-out forecast is made from, at least."""
FIT_DRAWS, DRAWS = 50, 100
OWN_SHARE = 0.5
"""Of the evidence about a route, on a log scale, what the task itself says; the rest is from all tasks."""
SHARPNESS = 4.0
"""A route whose error is twice as large counts 2^4 times less."""
LEVEL = 0.9
"""Of the intervals that held-out scores are counted in."""


@dataclass(frozen=True)
class Cut:
    """Larger runs, forecast by every route from the smaller ones."""

    rest: GroupRuns
    compute_factor: Array
    """Compute of each over that of the largest run seen [t]."""
    nearest: Flags
    """Of each whether no later cut, which sees more of the smaller runs, leaves it out too [t]."""
    forecasts: Mapping[RouteName, RouteForecast]

    def of(self, kept: Flags) -> Cut:
        """The same of those of its runs that are kept [t]."""
        said = {name: replace(one, angles=one.angles[kept]) for name, one in self.forecasts.items()}
        return Cut(self.rest.of(kept), self.compute_factor[kept], self.nearest[kept], said)


@dataclass(frozen=True)
class RouteErrors:
    """How one route fared, NaN where there are no runs [k]."""

    crps: Array
    """Continuous ranked probability score of arcsin sqrt(score): mean over cuts of the means over each cut's runs."""
    absolute: Array
    """Mean absolute error of the score; each run counts once, at its nearest cut."""
    inside: Array
    """Share inside the 90 % interval, counted in the same way."""


@dataclass(frozen=True)
class HeldOut:
    """How the routes fared on the table's own larger runs."""

    cuts: tuple[Cut, ...]
    errors: Mapping[RouteName, RouteErrors]

    @classmethod
    def counted(cls, cuts: Sequence[Cut]) -> HeldOut:
        """The errors of every route over some cuts."""
        names = dict.fromkeys(name for cut in cuts for name in cut.forecasts)
        return cls(tuple(cuts), {name: _errors(cuts, name) for name in names})

    def of(self, route: RouteName, task: int) -> tuple[float | None, float | None]:
        """Mean absolute error of a route on a task, and the share inside; None where nothing was held out."""
        errors = self.errors.get(route)
        if errors is None or not np.isfinite(errors.absolute[task]):
            return None, None
        return float(errors.absolute[task]), float(errors.inside[task])

    def weights(self, routes: tuple[RouteName, ...], tasks: int) -> Array:
        """The weight of each route for each task [routes, k]; equal where nothing could be held out."""
        missing = np.full(tasks, np.nan)
        logs = np.log([np.maximum(self.errors[name].crps if name in self.errors else missing, 1e-6) for name in routes])
        known = np.isfinite(logs)
        pooled = np.array(
            [row[known].mean() if known.any() else np.nan for row, known in zip(logs, known, strict=True)]
        )
        pooled = np.where(np.isfinite(pooled), pooled, pooled[np.isfinite(pooled)].mean() if known.any() else 0.0)
        # The few runs of one task say little about a route, and what it does for all tasks says something of each.
        evidence = OWN_SHARE * np.where(known, logs, pooled[:, None]) + (1 - OWN_SHARE) * pooled[:, None]
        weights = np.exp(-SHARPNESS * (evidence - evidence.min(axis=0)))
        return np.asarray(weights / weights.sum(axis=0))

    def told(self, routes: tuple[RouteName, ...]) -> tuple[HeldOutScore, ...]:
        """Every held-out score once, at its nearest cut, beside its forecast by all `routes` together.

        Each weighs the routes by what they foretold of the runs below its cut: its own score has no say in that.
        """
        cuts = [cut for cut in self.cuts if cut.nearest.any()]
        return tuple(row for cut in cuts for row in _rows(cut.of(cut.nearest), self.below(cut), routes))

    def below(self, cut: Cut) -> HeldOut:
        """What was known before the runs of a cut: how the routes fared on the smaller ones, if they were tested."""
        largest = float(cut.rest.sizes.flops.min())
        parts = [(one, one.rest.sizes.flops < largest) for one in self.cuts]
        return HeldOut.counted([one.of(seen) for one, seen in parts if seen.any()])


def held_out(runs: GroupRuns, law: str | Law, *, with_loss: bool) -> HeldOut:
    """Forecast the larger runs of a group from its smaller ones by every route."""
    cuts = []
    for kept, kept_later in pairwise([*seen_by(runs), np.ones(len(runs), dtype=bool)]):
        seen, rest = runs.of(kept), runs.of(~kept)
        losses = _losses(seen, rest.sizes, law) if with_loss else None
        factor = rest.sizes.flops / seen.sizes.flops.max()
        cuts.append(Cut(rest, factor, kept_later[~kept], forecast_routes(seen, rest.sizes, losses, draws=DRAWS)))
    return HeldOut.counted(cuts)


def _losses(seen: GroupRuns, at: Sizes, law: str | Law) -> Array | None:
    """Draws of the losses of runs held out [t, b]; None where the smaller runs have no law."""
    fitted = fit_loss(seen, law, FIT_DRAWS)
    if not isinstance(fitted, Fit):
        return None
    try:
        return drawn_losses(loss_forecasts(fitted, at, strict=False), DRAWS)
    except ForetokenError:
        return None


def seen_by(runs: GroupRuns) -> list[Flags]:
    """Which runs are seen, by cut: those with the least compute [r]."""
    count, compute = len(runs), runs.sizes.flops
    sizes = sorted({*(int(share * count) for share in CUTS), count - 2})
    # Runs of one budget stay together, however its compute was rounded.
    seen = [compute < compute[size] * 0.999 for size in sizes if FEWEST <= size < count]
    return [kept for kept in seen if kept.sum() >= FEWEST]


def ends(angles: Array, level: float) -> Array:
    """Lower end, median and upper end of draws of angles [t, b, k]: [3, t, k]."""
    return np.asarray(np.quantile(angles, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=1))


def told_ends(runs: GroupRuns, angles: Array, level: float) -> tuple[Array, Array, Array]:
    """Median, lower and upper end [t, k] each of draws of angles [t, b, k], as the table's metrics tell them."""
    low, middle, high = (runs.told(values) for values in ends(angles, level))
    return middle, np.minimum(low, high), np.maximum(low, high)


def crps(angles: Array, measured: Array) -> Array:
    """Continuous ranked probability score of draws [t, b, k] against what was measured [t, k].

    Mean distance to the draws less half the mean distance between two of them (Gneiting and Raftery 2007, equation 21).

    >>> crps(np.array([[[0.0], [2.0]]]), np.array([[1.0]])).tolist()
    [[0.5]]
    """
    draws = angles.shape[1]
    place = (2 * np.arange(1, draws + 1) - draws - 1)[None, :, None]
    spread = (place * np.sort(angles, axis=1)).sum(axis=1) / draws**2
    return np.asarray(np.abs(angles - measured[:, None]).mean(axis=1) - spread)


def _errors(cuts: Sequence[Cut], name: RouteName) -> RouteErrors:
    scores, absolute, inside = [], [], []
    for cut in cuts:
        if name in cut.forecasts:
            angles, measured = cut.forecasts[name].angles, cut.rest.angles()
            low, middle, high = ends(angles, LEVEL)
            within = np.where(np.isfinite(measured), (low <= measured + 1e-9) & (measured <= high + 1e-9), np.nan)
            scores.append(crps(angles, measured))
            absolute.append(np.abs(np.sin(middle) ** 2 - cut.rest.score)[cut.nearest])
            inside.append(within[cut.nearest])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        once = [np.nanmean(np.concatenate(rows), axis=0) for rows in (absolute, inside)]
        return RouteErrors(np.nanmean([np.nanmean(rows, axis=0) for rows in scores], axis=0), *once)


def _rows(cut: Cut, tested: HeldOut, routes: tuple[RouteName, ...]) -> Iterator[HeldOutScore]:
    rest, here = cut.rest, {name: cut.forecasts[name] for name in routes if name in cut.forecasts}
    if not here:
        return
    weights = tested.weights(tuple(here), len(rest.tasks))
    together = mixed(here, weights, np.random.default_rng(0))
    measured = rest.in_own_direction(rest.score)
    middle, low, high = told_ends(rest, together, LEVEL)
    for target, task in np.argwhere(np.isfinite(measured) & np.isfinite(middle)):
        curve = rest.tasks[task]
        yield HeldOutScore(
            group=curve.group,
            task=curve.task,
            metric=curve.metric,
            shots=curve.shots,
            run=rest.run[target],
            compute_factor=float(cut.compute_factor[target]),
            score=float(measured[target, task]),
            forecast=float(middle[target, task]),
            low=float(low[target, task]),
            high=float(high[target, task]),
        )


def mixed(forecasts: Mapping[RouteName, RouteForecast], weights: Array, random: np.random.Generator) -> Array:
    """New scores of all routes together, each as often as it counts: angles [t, b, k]; weights [routes, k]."""
    stacked = np.sort(np.stack([one.angles for one in forecasts.values()]), axis=2)
    _, targets, draws, tasks = stacked.shape
    found = np.empty((targets, draws, tasks))
    share = (np.arange(draws) + 0.5) / draws
    for task in range(tasks):
        says = np.isfinite(stacked[:, 0, 0, task])
        weight = np.where(says, weights[:, task], 0.0)
        route = np.minimum(np.searchsorted(np.cumsum(weight / weight.sum()), share), len(weights) - 1)
        counts = np.bincount(route, minlength=len(weights))
        # Evenly spaced quantiles of each route, as many as it counts, in place of draws, which would add noise.
        parts = [
            stacked[row][:, ((np.arange(count) + 0.5) / count * draws).astype(int), task]
            for row, count in enumerate(counts.tolist()) if count
        ]  # fmt: skip
        found[:, :, task] = random.permuted(np.concatenate(parts, axis=1), axis=1)
    return found
