"""Approach 1 of Hoffmann et al. 2022: the size whose training curve is lowest at each compute.

Shapes: t trajectories, c points of compute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretoken.fits.rows import Rows
from foretoken.laws.law import Array, Indices
from foretoken.routes.route import DRAWS, PathDraws, Route, points_of, route_of

POINTS = 400
"""Points of compute, evenly in ln C, at which the curves are compared."""
LEAST_SIZES = 4
SHOWN = 40
"""About so many of the points are kept for a figure."""
NAME, METHOD = "approach 1", "envelope of training curves: N of the lowest curve at each compute"


def envelope(rows: Rows, largest: float, *, level: float = 0.9, draws: int = DRAWS, seed: int = 0) -> Route:
    """N* as the size that leads at each compute, from rows that are points of trajectories (`parent`, or equal `run`).

    At each compute the curves that reach it are compared; a compute whose lowest curve is of the smallest or of the
    largest size among them is left out. `largest` is the compute (FLOP) at which N* is read off.
    Intervals: bootstrap of whole trajectories.
    """
    curves = trajectories(rows)
    sizes = np.log([float(rows.params[points[0]]) for points in curves])
    if len(np.unique(sizes)) < LEAST_SIZES:
        reason = f"needs training curves of {LEAST_SIZES} sizes or more: rows that share `parent` or `run`"
        return Route(name=NAME, method=METHOD, reason=reason, params_column=rows.params_column)
    compute, losses = _on_grid(rows, curves)
    leader = _leader(losses, sizes)
    estimate = _line(compute, leader)
    if estimate is None:
        reason = "at no compute is a middle size the best of the curves that reach it"
        return Route(name=NAME, method=METHOD, reason=reason, params_column=rows.params_column)
    lines = np.array([estimate, *_bootstrap(compute, losses, sizes, draws, seed)])
    led = np.flatnonzero(np.isfinite(leader))
    shown = led[:: max(1, len(led) // SHOWN)]
    return route_of(
        NAME,
        METHOD,
        PathDraws(lines[:, 0], lines[:, 1]),
        level=level,
        largest=largest,
        params_column=rows.params_column,
        points=points_of(np.exp(compute[shown]), leader[shown]),
    )


def trajectories(rows: Rows) -> list[Indices]:
    """Rows of each training curve of one size, in order of compute: those that share `parent`, or else `run`."""
    members: dict[tuple[str, float], list[int]] = {}
    for i, (parent, run, size) in enumerate(zip(rows.parent, rows.run, rows.params.tolist(), strict=True)):
        members.setdefault((parent or run, size), []).append(i)
    curves = [np.array(points) for points in members.values() if len(np.unique(rows.flops[points])) > 1]
    return [points[np.argsort(rows.flops[points], kind="stable")] for points in curves]


def _on_grid(rows: Rows, curves: Sequence[Indices]) -> tuple[Array, Array]:
    """Ln C [c], and each curve's ln loss there [t, c], infinite where the curve does not reach."""
    flops = np.log(rows.flops)
    everything = np.concatenate(list(curves))
    compute = np.linspace(flops[everything].min(), flops[everything].max(), POINTS)
    losses = [np.interp(compute, flops[c], np.log(rows.y[c]), left=np.inf, right=np.inf) for c in curves]
    return compute, np.array(losses)


def _leader(losses: Array, sizes: Array) -> Array:
    """Ln N of the lowest curve [c]; NaN where it is the smallest or the largest of the sizes that are there."""
    # At an end of the sizes a curve leads for want of a smaller or a larger rival, whatever the law: only a leader
    # with rivals on both sides tells where N* lies.
    reached = np.isfinite(losses)
    smallest = np.where(reached, sizes[:, None], np.inf).min(axis=0)
    largest = np.where(reached, sizes[:, None], -np.inf).max(axis=0)
    leader = sizes[losses.argmin(axis=0)]
    return np.where((leader > smallest) & (leader < largest), leader, np.nan)


def _line(compute: Array, leader: Array) -> tuple[float, float] | None:
    """A and ln G of ln N* = ln G + a ln C; None without two leading sizes."""
    led = np.isfinite(leader)
    if len(np.unique(leader[led])) < 2:
        return None
    slope, level = np.polyfit(compute[led], leader[led], 1)
    return float(slope), float(level)


def _bootstrap(compute: Array, losses: Array, sizes: Array, draws: int, seed: int) -> list[tuple[float, float]]:
    # Whole curves are drawn, since the points of one share its error; a draw in which fewer than two sizes lead has
    # no line.
    generator = np.random.default_rng(seed)
    picks = generator.integers(len(sizes), size=(draws, len(sizes)))
    lines = [_line(compute, _leader(losses[pick], sizes[pick])) for pick in picks]
    return [line for line in lines if line is not None]
