"""All known routes from runs to the compute-optimal size, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from foretoken.errors import RefusedError
from foretoken.fits.doubts import doubts, worst_first
from foretoken.fits.fit import fit
from foretoken.fits.result import Check, Fit
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.laws import CHINCHILLA
from foretoken.laws.law import Array
from foretoken.routes.envelope import envelope
from foretoken.routes.isoflop import isoflop_curves
from foretoken.routes.kaplan import kaplan_route
from foretoken.routes.minimum import MINIMA
from foretoken.routes.route import Route, power_path, through
from foretoken.runs.table import RunTable

BIASED, BIASED_SIZE = 0.02, 1.2
"""Bias of an exponent, and factor between N* and the surface's, from which a simulated bias is a doubt."""


@dataclass(frozen=True)
class Approaches:
    """Every route's answer, and what it rests on."""

    routes: list[Route]
    level: float
    params_column: str
    surface: dict[str, float] | None
    """Parameters of approach 3, at which the bias of approach 2 is simulated."""
    checks: list[Check]
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def approaches(
    table: RunTable,
    *,
    curves: RunTable | None = None,
    params: str = "auto",
    level: float = 0.9,
    draws: int = 200,
    seed: int = 0,
) -> Approaches:
    """N* = G C^a by approach 1, 2 (parabola; interpolated minimum), 3, and Kaplan's route.

    `curves` holds points of training curves, for approach 1 and Kaplan's route; unless given they are looked for in
    the table itself (rows that share `parent` or `run`). A route that the table does not allow says why. Raises
    TableError for rows that cannot be.
    """
    rows = clean_rows(table, params)
    along = clean_rows(_with_unannealed(table if curves is None else curves), params)
    without = _without_embeddings(table if curves is None else curves, params)
    surface, found = _surface(table, rows, params, level, draws, seed)
    if not len(rows):
        raise next(refusals(rows, CHINCHILLA))
    end = float(rows.flops.max())
    second = [_approach2(rows, name, found, level, draws, seed) for name in MINIMA]
    return Approaches(
        routes=[
            envelope(along, end, level=level, draws=draws, seed=seed),
            *second,
            surface,
            kaplan_route(without, end, level=level, draws=draws, seed=seed),
        ],
        level=level,
        params_column=rows.params_column,
        surface=found.estimates if found else None,
        checks=worst_first([*_doubts(table, rows, found), *_bias_checks(second)]),
        assumed=[*rows.assumed, *_notes(along, without, curves)],
    )


def _doubts(table: RunTable, rows: Rows, found: Fit | None) -> list[Check]:
    """The doubts of approach 3; where there is none, those of the table, and what stood in its way."""
    if found:
        return [check for check in found.checks if check.severity != "note"]
    refused = [Check(error.code, "doubt", error.evidence, error.cure or "") for error in refusals(rows, CHINCHILLA)]
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
        found = fit(table, "chinchilla", params=params, level=level, draws=max(50, draws), seed=seed)
    except RefusedError as error:
        return Route(name=name, method=method, reason=str(error).split("\n")[0], params_column=rows.params_column), None
    slopes, levels = _optimal_paths(plain_draws(found), per_token(rows))
    path = power_path(slopes, levels, level, float(rows.flops.max()))
    return Route(name=name, method=method, params_column=rows.params_column, **path), found


def plain_draws(found: Fit) -> Array:
    """The plain estimate (first) and its bootstrap draws: theta [1 + draws, 5]."""
    return np.concatenate([CHINCHILLA.theta(found.estimates)[None], np.log(np.array(found.plain_draws))])


def per_token(rows: Rows) -> float:
    """Median FLOPs per parameter and token."""
    return float(np.median(rows.flops / (rows.params * rows.tokens)))


def _optimal_paths(theta: Array, flops_per_param_token: float) -> tuple[Array, Array]:
    """A and ln G of N* = G C^a under Chinchilla's law, for theta [b, 5]."""
    assert CHINCHILLA.optimum is not None
    ends = np.array([1e18, 1e24])
    sizes = np.log([CHINCHILLA.optimum(CHINCHILLA.named(t), ends, flops_per_param_token)[0] for t in theta])
    slopes = (sizes[:, 1] - sizes[:, 0]) / np.log(ends[1] / ends[0])
    return slopes, sizes[:, 0] - slopes * np.log(ends[0])


def _approach2(rows: Rows, minimum: str, found: Fit | None, level: float, draws: int, seed: int) -> Route:
    """Approach 2 with one way to find a budget's minimum, and its bias at the fitted surface."""
    name, method = f"approach 2 ({minimum})", f"{MINIMA[minimum].text}, per budget"
    try:
        curves = [curve for curve in isoflop_curves(rows, minimum, draws, seed) if curve.status == "interior"]
    except RefusedError as error:
        return Route(name=name, method=method, reason=error.evidence, params_column=rows.params_column)
    if len(curves) < 2:
        reason = f"{len(curves)} budgets have an interior minimum; an exponent needs two"
        return Route(name=name, method=method, reason=reason, params_column=rows.params_column)
    compute = np.log([curve.flops for curve in curves])
    sizes = np.array([[curve.at, *curve.draws] for curve in curves])
    slopes, levels = np.polyfit(compute, sizes, 1)
    return Route(
        name=name,
        method=method,
        params_column=rows.params_column,
        points=through(compute, sizes[:, 0]),
        bias=None if found is None else isoflop_bias(rows, minimum, found),
        **power_path(slopes, levels, level, float(rows.flops.max())),
    )


def isoflop_bias(rows: Rows, minimum: str, found: Fit) -> dict[str, float] | None:
    """What the route makes of the same runs without noise, on the fitted surface, less the surface's own answer."""
    ideal = replace(rows, loss=CHINCHILLA.predict(found.estimates, rows.params, rows.tokens))
    curves = [curve for curve in isoflop_curves(ideal, minimum, 1) if curve.status == "interior"]
    if len(curves) < 2:
        return None
    slope, level = np.polyfit(np.log([curve.flops for curve in curves]), [curve.at for curve in curves], 1)
    truth = _optimal_paths(CHINCHILLA.theta(found.estimates)[None], per_token(rows))
    end = np.log(rows.flops.max())
    apart = (slope - truth[0][0]) * end + level - truth[1][0]
    return {"exponent": float(slope - truth[0][0]), "params": float(np.exp(apart))}


def _bias_checks(routes: list[Route]) -> list[Check]:
    checks = []
    for route in routes:
        if route.bias and is_biased(route.bias):
            cure = "use the interpolated minimum or approach 3, or narrow and centre the grid of sizes"
            checks.append(Check("isoflop_bias", "doubt", f"{route.name}: {bias_text(route.bias)}", cure))
    return checks


def is_biased(bias: Mapping[str, float]) -> bool:
    """Whether a simulated bias is large enough for a doubt."""
    return abs(bias["exponent"]) > BIASED or abs(np.log(bias["params"])) > np.log(BIASED_SIZE)


def bias_text(bias: Mapping[str, float]) -> str:
    """A simulated bias in words."""
    return (
        f"noise-free runs of the fitted surface give an exponent that is {bias['exponent']:+.3f} off,"
        f" and at the largest compute {bias['params']:.2f} times the surface's N*"
    )
