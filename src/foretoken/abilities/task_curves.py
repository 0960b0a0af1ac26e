"""The curves of a page: score against loss with the band of its links, score against compute with its forecast."""

from __future__ import annotations

import numpy as np

from foretoken.abilities.axes import CurveName
from foretoken.abilities.downstream_result import Band, MeasuredScore, RouteScore, TaskCurve, TaskForecast
from foretoken.abilities.group_runs import GroupRuns, Sizes
from foretoken.abilities.held_out_routes import mixed, told_ends
from foretoken.abilities.loss_draws import drawn_losses, loss_forecasts
from foretoken.abilities.score_routes import NAMES, RouteForecast, RouteName, forecast_routes
from foretoken.errors import ForetokenError
from foretoken.fits.result import Fit
from foretoken.laws.law import Array

POINTS, DRAWS = 15, 150


def task_curves(
    runs: GroupRuns,
    at: Sizes,
    fitted: Fit | None,
    routes: dict[RouteName, RouteForecast],
    weights: Array,
    level: float,
) -> tuple[TaskCurve, ...]:
    """The curves of every task of a group, with the routes of a forecast and their weights [routes, k]."""
    path = _path(runs, at)
    losses = _losses(fitted, path)
    along = forecast_routes(runs, path, losses, draws=DRAWS)
    kept = {name: row for row, name in enumerate(routes) if name in along}
    compute = _bands(runs, {name: along[name] for name in kept}, weights[list(kept.values())], path.flops, level)
    loss = _by_loss(runs, losses, {name: weights[row] for name, row in kept.items()}, level)
    return tuple(task_curve(runs, task, loss[task] if loss else None, compute[task]) for task in range(len(runs.tasks)))


def _path(runs: GroupRuns, at: Sizes) -> Sizes:
    """Runs from the smallest of the table to the largest asked for, at the tokens per parameter of that one."""
    largest = int(at.flops.argmax())
    ratio = at.tokens[largest] / at.params[largest]
    end = max(float(at.flops[largest]), float(runs.sizes.flops.max()))
    flops = np.geomspace(float(runs.sizes.flops.min()), end, POINTS)
    per = at.flops[largest] / (at.params[largest] * at.tokens[largest])
    params = np.sqrt(flops / per / ratio)
    return Sizes(params, ratio * params, flops)


def _losses(fitted: Fit | None, path: Sizes) -> Array | None:
    if fitted is None:
        return None
    try:
        return drawn_losses(loss_forecasts(fitted, path, strict=False), DRAWS)
    except ForetokenError:
        return None


def _by_loss(runs: GroupRuns, losses: Array | None, weights: dict[RouteName, Array], level: float) -> list[Band] | None:
    """The bands of the links alone: the loss is known, so that nothing of it is drawn."""
    links: list[RouteName] = [name for name in NAMES[:2] if name in weights]
    if losses is None or not links:
        return None
    x = np.linspace(min(float(np.median(losses, axis=1).min()), float(runs.loss.min())), float(runs.loss.max()), POINTS)
    largest = np.full(POINTS, float(runs.sizes.flops.max()))
    params, tokens = (np.full(POINTS, float(values.max())) for values in (runs.sizes.params, runs.sizes.tokens))
    at = Sizes(params, tokens, largest)
    said = forecast_routes(runs, at, np.repeat(x[:, None], DRAWS, axis=1), draws=DRAWS)
    share = np.stack([weights[name] for name in links])
    return _bands(runs, {name: said[name] for name in links}, share / share.sum(axis=0), x, level)


def _bands(runs: GroupRuns, said: dict[RouteName, RouteForecast], weights: Array, x: Array, level: float) -> list[Band]:
    said_ends = told_ends(runs, mixed(said, weights, np.random.default_rng(0)), level)
    return [band(x, said_ends, task) for task in range(len(runs.tasks))]


def band(x: Array, told: tuple[Array, Array, Array], task: int) -> Band:
    """Median, lower and upper end [t, k] each of a task along x [t]."""
    return Band(tuple(x.tolist()), *(tuple(one[:, task].tolist()) for one in told))


def task_forecast(
    runs: GroupRuns,
    at: Sizes,
    target: int,
    name: CurveName,
    told: tuple[float, float, float] | None,
    level: float,
    route: str,
    reason: str,
    routes: tuple[RouteScore, ...],
) -> TaskForecast:
    """The score of a run on a task: median, lower and upper end, None where there is none for a `reason`."""
    score, low, high = told or (None, None, None)
    return TaskForecast(
        group=runs.group,
        task=name.task,
        metric=name.metric,
        shots=name.shots,
        params=float(at.params[target]),
        tokens=float(at.tokens[target]),
        flops=float(at.flops[target]),
        score=score,
        low=low,
        high=high,
        level=level,
        route=route,
        compute_factor=max(1.0, float(at.flops[target] / runs.sizes.flops.max())),
        reason=reason,
        routes=routes if told else (),
    )


def task_curve(runs: GroupRuns, task: int, by_loss: Band | None, by_compute: Band) -> TaskCurve:
    """The scores of a task and its bands."""
    name, own = runs.tasks[task], runs.in_own_direction(runs.score)
    chance = float(runs.in_own_direction(runs.chance)[task])
    measured = [
        MeasuredScore(
            runs.run[run],
            float(runs.sizes.flops[run]),
            float(runs.loss[run]) if np.isfinite(runs.loss[run]) else None,
            float(own[run, task]),
        )
        for run in np.flatnonzero(np.isfinite(own[:, task]))
    ]
    return TaskCurve(
        group=name.group,
        task=name.task,
        metric=name.metric,
        shots=name.shots,
        chance=chance if np.isfinite(chance) else None,
        measured=tuple(measured),
        by_loss=by_loss,
        by_compute=by_compute,
    )
