"""Checks of IsoFLOP curves: minima at an edge or absent, grids off their centre, parabolas that mislead."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.checks.table_view import TableCheck, TableView
from foretoken.fits.check import Check, listed
from foretoken.laws.law import Array
from foretoken.routes.approaches import isoflop_bias
from foretoken.routes.isoflop import REFUSALS
from foretoken.routes.minimum import MinimumStatus

OFF_CENTRE = 0.4
"""Mean distance of the minima from the middle of their sizes, in units of half the sizes' range ..."""
DRIFT = 0.5
"""... and its change from the least to the most compute; four fifths of that in nearly all bootstrap draws, too."""
BY_CHANCE, SURELY = 0.02, 0.8
TOO_FEW: set[MinimumStatus] = {"too_few"}
AT_AN_EDGE: set[MinimumStatus] = {"edge_small", "edge_large"}
FEW_EDGES = 0.25
"""Share of the budgets up to which a minimum at an edge is noted only: noise alone puts one of them there."""


def absent_minima(view: TableView) -> Iterator[Check]:
    """Budgets without an interior minimum, by kind: at an edge, or no bend upwards."""
    if not _is_design(view):
        return
    for status, (reason, cure) in REFUSALS.items():
        budgets = [curve for curve in view.curves if curve.status == status]
        scarce = status in TOO_FEW
        if budgets:
            names = listed(curve.rows.group[curve.runs[0]] or f"{curve.flops:.3g} FLOP" for curve in budgets)
            evidence = f"{len(budgets)} of {len(view.curves)} budgets ({names}): {reason}"
            few = status in AT_AN_EDGE and len(budgets) <= FEW_EDGES * len(view.curves)
            yield Check(f"isoflop_{status}", "note" if few or scarce else "doubt", evidence, cure)


def _is_design(view: TableView) -> bool:
    """Whether runs were planned in budgets: elsewhere some have equal compute by accident, and nearly all too few."""
    return sum(curve.status in TOO_FEW for curve in view.curves) <= len(view.curves) / 2


def off_centre_grid(view: TableView) -> Iterator[Check]:
    """Minima that lie to one side of their sizes: the parabola's N* is shifted."""
    offset = _offsets(view)[1][:, 0]
    if len(offset) > 1 and abs(offset.mean()) > OFF_CENTRE:
        side = "smaller" if offset.mean() < 0 else "larger"
        evidence = f"minima lie {abs(offset.mean()):.2f} of half the range from the middle size, on the {side} side"
        yield Check("off_centre_grid", "doubt", evidence, f"add {side} models to each budget")


def drifting_grid(view: TableView) -> Iterator[Check]:
    """Minima that wander through their sizes with compute: the parabola's exponent is biased."""
    compute, offset = _offsets(view)
    if len(offset) < 3 or np.ptp(compute) == 0:
        return
    # Change over the whole range of compute: as it is, then in each bootstrap draw.
    moved = np.polyfit(compute, offset, 1)[0] * np.ptp(compute)
    least = float(np.quantile(moved[1:] * np.sign(moved[0]), BY_CHANCE))
    if abs(moved[0]) > DRIFT and least > SURELY * DRIFT:
        evidence = f"minima move by {moved[0]:+.2f} of half the range from the least to the most compute"
        yield Check("drifting_grid", "doubt", evidence, "centre each budget's sizes on the running fit's N*")


def parabola_bias(view: TableView) -> Iterator[Check]:
    """What parabolas would make of noise-free runs of the fitted surface."""
    if view.fit is None or not _is_design(view) or sum(curve.is_interior for curve in view.curves) < 2:
        return
    bias = isoflop_bias(view.rows, "parabola", view.fit)
    if bias and bias.is_large:
        cure = "use the law, or an interpolated minimum; narrow the sizes and centre them"
        yield Check("isoflop_bias", "doubt", f"parabolas: {bias}", cure)


def _offsets(view: TableView) -> tuple[Array, Array]:
    """Ln C [c]; where the minimum lies, from -1 (smallest size) to 1 (largest): as it is, then draws [c, 1 + b]."""
    curves = [curve for curve in view.curves if curve.is_interior and _is_design(view)]
    minima = [(curve, np.array([curve.at, *curve.draws])) for curve in curves]
    # -1 at the smallest size that was tried, 1 at the largest, on a log axis.
    places = [2 * (at - curve.size[0]) / np.ptp(curve.size) - 1 for curve, at in minima]
    return np.log([curve.flops for curve in curves]), np.array(places) if places else np.empty((0, 1))


CHECKS: list[TableCheck] = [absent_minima, off_centre_grid, drifting_grid, parabola_bias]
