"""Routes from a run to its score: by its loss, by its loss and that of the task, or straight from size and tokens.

t target, r run, k task, b draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from foretoken.abilities.bounded_curves import BoundedCurves, Exponential, Sigmoid, SizeAndTokens, angle
from foretoken.abilities.group_runs import GroupRuns, Sizes
from foretoken.laws.law import Array, Indices

RouteName = Literal["two_step_sigmoid", "two_step_exponential", "two_step_task_loss", "direct"]
ROUTES: dict[RouteName, str] = {
    "two_step_sigmoid": "size and tokens to loss, loss to score by a sigmoid",
    "two_step_exponential": "size and tokens to loss, loss to score by an exponential",
    "two_step_task_loss": "size and tokens to loss, loss to the task's own loss, that to score by a sigmoid",
    "direct": "size and tokens straight to score",
}
"""What each route does."""
NAMES: tuple[RouteName, ...] = get_args(RouteName)
MISFIT_OF_CHANGE, MISFIT_OF_DISTANCE = 0.3, 0.01
"""Misfit of a curve beyond its runs, on arcsin sqrt(score): a share of the change that it foretells, and that much for
each e-fold of compute. Chosen on runs of openlm below the two largest of each data set, and on other losses."""
FREEDOM = 5.0
"""Of the Student t of a new score about its curve."""
DRAWS = 400


@dataclass(frozen=True)
class RouteForecast:
    """What one route says of the targets."""

    angles: Array
    """New scores as angles, evenly spaced in probability where sorted [t, b, k]; NaN where the route says nothing."""
    curves: BoundedCurves | None = field(repr=False, default=None)
    """Behind them, where all tasks have one."""


def forecast_routes(
    runs: GroupRuns, at: Sizes, losses: Array | None, seed: int = 0, draws: int = DRAWS
) -> dict[RouteName, RouteForecast]:
    """New scores of runs `at` by every route that the table allows; `losses` are draws of theirs [t, b]."""
    random = np.random.default_rng(seed)
    distance = np.log(np.maximum(at.flops / runs.sizes.flops.max(), 1.0))
    straight = [np.repeat(row[None], draws, axis=0) for row in at.logarithms()]
    found: dict[RouteName, RouteForecast] = {"direct": _forecast(runs, direct_curves(runs), straight, distance, random)}
    if losses is not None:
        mixed = [random.permutation(row) for row in losses]
        links: tuple[tuple[RouteName, Sigmoid | Exponential], ...] = (
            ("two_step_sigmoid", Sigmoid.over(runs.loss)),
            ("two_step_exponential", Exponential.over(runs.loss)),
        )
        for name, shape in links:
            found[name] = _forecast(runs, _curves(shape, runs.loss, runs), mixed, distance, random)
        own = np.flatnonzero(np.isfinite(runs.task_loss).all(axis=0))
        if len(own):
            found["two_step_task_loss"] = _by_own_loss(runs, own, losses, distance, random)
    return {name: found[name] for name in NAMES if name in found}


def direct_curves(runs: GroupRuns) -> BoundedCurves:
    """The curves of scores straight from size and tokens."""
    sizes = runs.sizes.logarithms()
    return _curves(SizeAndTokens.over(sizes), sizes, runs)


def _curves(shape: Sigmoid | Exponential | SizeAndTokens, x: Array, runs: GroupRuns) -> BoundedCurves:
    return BoundedCurves.fitted(shape, x, runs.score, runs.chance, runs.ceiling)


def _forecast(
    runs: GroupRuns, curves: BoundedCurves, x: list[Array], distance: Array, random: np.random.Generator
) -> RouteForecast:
    """New scores on curves at x, one [b] or [b, 2] for each target."""
    drawn = np.stack([curves.drawn(one, random) for one in x])
    return RouteForecast(new_scores(angle(drawn), curves, runs.noise, distance, random), curves)


def new_scores(
    means: Array,
    curves: BoundedCurves,
    evaluation: Array,
    distance: Array,
    random: np.random.Generator,
    growth: float = MISFIT_OF_DISTANCE,
) -> Array:
    """Angles of new scores [t, b, k] about those of drawn curves: with misfit, and noise of runs and evaluations."""
    from scipy.special import ndtri, stdtrit

    draws = means.shape[1]
    change = np.maximum(np.median(means, axis=1) - angle(curves.edge), 0.0)
    misfit = np.hypot(MISFIT_OF_CHANGE * change, growth * distance[:, None])
    # The scatter of the runs holds the noise of their evaluation; few runs may scatter less by luck.
    noise = np.fmax(curves.angle_sd, evaluation)
    quantiles = (np.arange(draws) + 0.5) / draws
    normal, tail = (
        np.broadcast_to(one[None, :, None], means.shape) for one in (ndtri(quantiles), stdtrit(FREEDOM, quantiles))
    )
    normal, tail = random.permuted(normal, axis=1), random.permuted(tail, axis=1)
    return np.asarray(np.clip(means + misfit[:, None] * normal + noise * tail, 0.0, np.pi / 2))


def _by_own_loss(
    runs: GroupRuns, own: Indices, losses: Array, distance: Array, random: np.random.Generator
) -> RouteForecast:
    """By each task's own loss, which is a power of the loss, and about which runs scatter."""
    angles = np.full((*losses.shape, len(runs.tasks)), np.nan)
    for task in own:
        x = runs.task_loss[:, task]
        alone = BoundedCurves.fitted(
            Sigmoid.over(x), x, runs.score[:, [task]], runs.chance[[task]], runs.ceiling[[task]]
        )
        drawn = _power(runs.loss, x, losses, random)
        angles[..., task] = _forecast(runs, alone, list(drawn), distance, random).angles[..., 0]
    return RouteForecast(angles)


def _power(loss: Array, own: Array, losses: Array, random: np.random.Generator) -> Array:
    """Draws of ln own = intercept + slope ln loss by least squares, at losses [t, b], with the scatter of runs."""
    x, y = np.log(loss), np.log(own)
    columns = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    found, *_ = np.linalg.lstsq(columns, y, rcond=None)
    sd = float(np.sqrt(((y - columns @ found) ** 2).sum() / max(len(x) - 2, 1)))
    intercept, slope, scatter = random.standard_normal((3, *losses.shape))
    slopes = np.maximum(found[1] + sd * slope / max(float(np.linalg.norm(columns[:, 1])), 1e-12), 0.0)
    centre = found[0] + sd * intercept / np.sqrt(len(x))
    return np.asarray(np.exp(centre + slopes * (np.log(losses) - x.mean()) + sd * scatter))
