"""All known routes from runs to the compute-optimal size, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from foretoken.arguments import check_level, named_arguments
from foretoken.errors import RefusedError
from foretoken.fits.check import Check, worst_first
from foretoken.fits.fit import fit
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.fits.table_checks import doubts
from foretoken.laws import CHINCHILLA
from foretoken.laws.law import Array
from foretoken.results import Result
from foretoken.routes.envelope import envelope
from foretoken.routes.isoflop import isoflop_curves, minimum_intervals, size_line
from foretoken.routes.kaplan import NAME as KAPLAN
from foretoken.routes.kaplan import kaplan_route
from foretoken.routes.minimum import MINIMA
from foretoken.routes.route import DRAWS, BestSize, Bias, PathDraws, Route, points_of, route_of
from foretoken.runs.loss_units import NATS_PER_TOKEN
from foretoken.runs.reading import AnyTable, as_table
from foretoken.runs.table import RunTable

FEWEST_DRAWS = 50


@dataclass(frozen=True)
class Approaches(Result, rows="routes"):
    """Every route's answer, and what it rests on."""

    routes: list[Route]
    level: float
    params_column: str
    surface: dict[str, float] | None
    """Parameters of approach 3, at which the bias of approach 2 is simulated."""
    checks: list[Check]
    assumed: list[str]
    loss_unit: str = NATS_PER_TOKEN
    """What the losses are in."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _largest(rows: Rows) -> float:
    """The largest FLOPs of the runs. Raises RefusedError where there are none."""
    if not len(rows):
        raise next(refusals(rows, CHINCHILLA))
    return float(rows.flops.max())


@named_arguments
def approaches(
    table: AnyTable,
    *,
    curves: AnyTable | None = None,
    params: str = "auto",
    level: float = 0.9,
    draws: int = DRAWS,
    seed: int = 0,
    loss_unit: str = "",
    rename: Mapping[str, str] | None = None,
    where: str = "",
) -> Approaches:
    """N* = G C^a by approach 1, 2 (parabola; interpolated minimum), 3, and Kaplan's route.

    A route that the table does not allow says why. Raises TableError for rows that cannot be.

    Args:
        table: the runs, one per row: as `read_table` gives them, a frame (pandas, polars, ...), or a file's path.
        curves: points of training curves, for approach 1 and Kaplan's route; unless given they are looked for in the
            table itself (rows that share `parent` or `run`).
        params: the column that is N; `auto`: the first of params_total, params, params_active, params_non_embedding.
        level: probability that an interval holds, above 0 and below 1.
        draws: bootstrap draws behind the intervals.
        seed: of the bootstraps.
        loss_unit: what the loss is in, as for `read_table`: `bits/byte`, `perplexity`, ...
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.

    """
    check_level(level)
    table = as_table(table, loss_unit=loss_unit, rename=rename, where=where)
    curves = None if curves is None else as_table(curves, loss_unit=loss_unit)
    rows = clean_rows(table, params)
    points = table if curves is None else curves
    along = clean_rows(_with_unannealed(points), params, keep_outliers=True)
    without = _without_embeddings(points, params)
    surface, fitted = _surface(table, rows, params, level, draws, seed)
    end = _largest(rows)
    first = envelope(along, end, level=level, draws=draws, seed=seed)
    second = [_approach2(rows, name, fitted, level, draws, seed) for name in MINIMA]
    routes = [first, *second, surface, kaplan_route(without, end, level=level, draws=draws, seed=seed)]
    return Approaches(
        routes=routes,
        level=level,
        params_column=rows.params_column,
        surface=fitted.unpenalised_parameters if fitted else None,
        checks=worst_first([*_doubts(table, rows, fitted), *_bias_checks(second), *_disagreements(routes, level)]),
        assumed=[*rows.assumed, *_notes(along, without, curves)],
        loss_unit=rows.loss_unit,
    )


def _doubts(table: RunTable, rows: Rows, fitted: Fit | None) -> list[Check]:
    """The doubts of approach 3; where there is none, those of the table, and what stood in its way."""
    if fitted:
        return [check for check in fitted.checks if not check.is_note]
    refused = [replace(Check.of_refusal(error), severity="doubt") for error in refusals(rows, CHINCHILLA)]
    return [*refused, *doubts(table, rows)]


def _with_unannealed(table: RunTable) -> RunTable:
    """Points of training curves count although their learning rate had not come down."""
    return replace(table, frame=table.frame.drop(columns="annealed", errors="ignore"))


def _without_embeddings(table: RunTable, params: str) -> Rows:
    table = _with_unannealed(table)
    frame = table.frame
    leave = "params_non_embedding" in frame and frame["params_non_embedding"].notna().any()
    return clean_rows(table, "params_non_embedding" if leave else params)


def _notes(along: Rows, without: Rows, curves: RunTable | None) -> list[str]:
    where = "the training curves given" if curves is not None else "the rows of the table"
    notes = [f"approach 1 and Kaplan's route use {where} ({len(along)} points, unannealed ones too)"]
    if without.params_column != "params_non_embedding":
        notes.append(f"Kaplan's route counts N by `{without.params_column}`, for want of `params_non_embedding`")
    return notes


def _surface(table: RunTable, rows: Rows, params: str, level: float, draws: int, seed: int) -> tuple[Route, Fit | None]:
    """Approach 3, and its fit where there is one."""
    name, method = "approach 3", f"Huber on log loss of {CHINCHILLA.formula}"
    try:
        fitted = fit(table, "chinchilla", params=params, level=level, draws=max(FEWEST_DRAWS, draws), seed=seed)
    except RefusedError as error:
        return Route(name=name, method=method, reason=str(error).split("\n")[0], params_column=rows.params_column), None
    path = _optimal_path(surface_draws(fitted), flops_per_param_token(rows))
    largest = float(rows.flops.max())
    return route_of(name, method, path, level=level, largest=largest, params_column=rows.params_column), fitted


def surface_draws(fitted: Fit) -> Array:
    """The unpenalised estimate of Chinchilla's law (first) and its bootstrap draws: theta [1 + draws, 5]."""
    draws = CHINCHILLA.thetas(np.array(fitted.unpenalised_draws))
    return np.concatenate([CHINCHILLA.theta(fitted.unpenalised_parameters)[None], draws])


def flops_per_param_token(rows: Rows) -> float:
    """FLOP per parameter and token, the median of the runs."""
    return float(np.median(rows.flops / (rows.params * rows.tokens)))


def _optimal_path(theta: Array, per_param_token: float) -> PathDraws:
    """The line of ln N* over ln C under Chinchilla's law, for theta [b, 5]; two points of compute give it exactly."""
    assert CHINCHILLA.optimum is not None
    ends = np.array([1e18, 1e24])
    sizes = np.log([CHINCHILLA.optimum(CHINCHILLA.named(t), ends, per_param_token)[0] for t in theta])
    slopes = (sizes[:, 1] - sizes[:, 0]) / np.log(ends[1] / ends[0])
    return PathDraws(slopes, sizes[:, 0] - slopes * np.log(ends[0]))


def _approach2(rows: Rows, minimum: str, fitted: Fit | None, level: float, draws: int, seed: int) -> Route:
    """Approach 2 with one way to find a budget's minimum, and its bias at the fitted surface."""
    name, method = f"approach 2 ({minimum})", f"{MINIMA[minimum].text}, per budget"
    refused = partial(Route, name=name, method=method, params_column=rows.params_column)
    try:
        curves = [curve for curve in isoflop_curves(rows, minimum, draws, seed) if curve.is_interior]
    except RefusedError as error:
        return refused(reason=error.evidence)
    points = points_of([curve.flops for curve in curves], [curve.at for curve in curves])
    if not points:
        return refused(reason="no budget has an interior minimum; an exponent needs two")
    if len(points) == 1:
        flops = points[0].flops
        best = BestSize(flops, points[0].params, minimum_intervals(curves, level)[0])
        told = f"{best.params:.3g} parameters ({best.interval.low:.3g} to {best.interval.high:.3g})"
        reason = f"one budget ({flops:.3g} FLOP) has an interior minimum, N* = {told} there; an exponent needs two"
        return refused(reason=reason, largest=best, points=points)
    return route_of(
        name,
        method,
        size_line(curves),
        level=level,
        largest=float(rows.flops.max()),
        params_column=rows.params_column,
        points=points,
        bias=None if fitted is None else isoflop_bias(rows, minimum, fitted),
    )


def isoflop_bias(rows: Rows, minimum: str, fitted: Fit) -> Bias | None:
    """What the route makes of the same runs without noise, on the fitted surface, less the surface's own answer."""
    # One draw: of the ideal curves only the minima themselves are used.
    ideal = replace(rows, y=_surface_loss(fitted, rows))
    curves = [curve for curve in isoflop_curves(ideal, minimum, 1) if curve.is_interior]
    if len(curves) < 2:
        return None
    slope, intercept = np.polyfit(np.log([curve.flops for curve in curves]), [curve.at for curve in curves], 1)
    truth = _optimal_path(CHINCHILLA.theta(fitted.unpenalised_parameters)[None], flops_per_param_token(rows))
    slope_error = slope - truth.slopes[0]
    # ln N* of the route less that of the surface at the largest compute: the difference of two lines in ln C.
    apart = slope_error * np.log(rows.flops.max()) + intercept - truth.intercepts[0]
    return Bias(float(slope_error), float(np.exp(apart)))


def _surface_loss(fitted: Fit, rows: Rows) -> Array:
    return CHINCHILLA.evaluate(fitted.unpenalised_parameters, params=rows.params, tokens=rows.tokens)


def _bias_checks(routes: list[Route]) -> list[Check]:
    cure = "use the interpolated minimum or approach 3, or narrow and centre the grid of sizes"
    return [
        Check("isoflop_bias", "doubt", f"{route.name}: {route.bias}", cure)
        for route in routes
        if route.bias and route.bias.is_large
    ]


def _disagreements(routes: list[Route], level: float) -> Iterator[Check]:
    """Routes whose intervals of the exponent have nothing in common."""
    apart = [pair for pair in combinations(routes, 2) if _are_apart(*pair)]
    doubted = [(one, other) for one, other in apart if KAPLAN not in (one.name, other.name)]
    disjoint = f"the {100 * level:g} % intervals of the exponent are disjoint"
    cure = "look for what one sees and the other does not: a bias of approach 2, outlying runs, a tilt inside budgets"
    for one, other in doubted:
        yield Check("routes_disagree", "doubt", f"{_said(one)}, {_said(other)}: {disjoint}", cure)
    # Kaplan's law has no irreducible loss, so it is too steep wherever there is one: no reason to doubt the others.
    if len(apart) > len(doubted):
        others = {one.name: _said(one) for pair in apart if pair not in doubted for one in pair}
        evidence = f"{others.pop(KAPLAN)}, {', '.join(others.values())}: {disjoint} from Kaplan's"
        cure = "believe the others: a law without irreducible loss is too steep where there is one"
        yield Check("routes_disagree", "note", evidence, cure)


def _are_apart(one: Route, other: Route) -> bool:
    its, others = one.exponent_interval, other.exponent_interval
    return its is not None and others is not None and max(its.low, others.low) > min(its.high, others.high)


def _said(route: Route) -> str:
    assert route.exponent_interval is not None
    low, high = route.exponent_interval
    return f"{route.name} says {route.exponent:.3f} ({low:.3f} to {high:.3f})"
