"""One table under every convention of N and of C at once: what each does to the exponent of N*.

One law is fitted, in one count of N. Each convention then asks the same surface for the model of least loss at its own
C, and counts that model its own way; so the differences are the conventions' alone, not those of another fit.

Shapes: r runs, m models on a grid of sizes, c budgets, b draws of the law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.arguments import named_arguments
from foretoken.checks.waterfall import Step, with_changes
from foretoken.errors import RefusedError
from foretoken.fits.fit import fit
from foretoken.fits.parts import interval_about
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws import CHINCHILLA
from foretoken.laws.law import Array
from foretoken.results import Result
from foretoken.routes.approaches import surface_draws
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    import pandas as pd

MODELS, BUDGETS = 1500, 9
REACH = 2.0
"""Sizes are searched this far beyond those of the table, in e-folds."""
SIZES: dict[str, tuple[str, ...]] = {
    "non_embedding": ("params_non_embedding",),
    "with_head": ("params_non_embedding", "params_head"),
    "with_embedding": ("params_non_embedding", "params_embedding"),
    "total": ("params_total",),
    "active": ("params_active",),
    "undeclared": ("params",),
}
"""Each count of N as a sum of columns."""
WATERFALL = (
    ("Kaplan: neither embedding nor head, 6 N D", "non_embedding", "6 N D non_embedding"),
    ("head counted in N and C", "with_head", "6 N D with_head"),
    ("embedding counted too: 6 N D, all parameters", "total", "6 N D total"),
    ("attention counted in C", "total", "with attention"),
    ("C as the table has it", "total", "as recorded"),
)


@dataclass(frozen=True)
class LargestModel:
    """The best model at the largest budget of a table."""

    flops: float
    params: float


@dataclass(frozen=True)
class Convention:
    """N* = prefactor x C^exponent when N and C are counted this way."""

    params: str
    compute: str
    exponent: float
    interval: list[float]
    prefactor: float
    largest: LargestModel
    """N* at the largest C of this count."""


@dataclass(frozen=True)
class Conventions(Result, rows="entries"):
    """All of them, and the way from Kaplan's to the exact one."""

    entries: list[Convention]
    waterfall: list[Step]
    surface: str
    """The column that the law was fitted in."""
    absent: list[str]
    """Counts that the table's columns do not allow."""
    reason: str | None = None
    """Why there is none."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@named_arguments
def conventions(
    table: RunTable, *, params: str = "auto", level: float = 0.9, draws: int = 100, seed: int = 0
) -> Conventions:
    """Exponents of N* under every count of N and C that the columns allow.

    Args:
        table: the runs.
        params: the count of N that the law is fitted in.
        level: of the intervals.
        draws: of the bootstrap.
        seed: of these draws.

    `reason` of the result says why there is nothing where no law can be fitted.

    """
    rows = clean_rows(table, params)
    try:
        found = fit(table, CHINCHILLA.name, params=params, draws=draws, seed=seed)
    except RefusedError as error:
        return Conventions([], [], rows.params_column, [], str(error).split("\n")[0])
    return conventions_of(table, rows, found, level)


def conventions_of(table: RunTable, rows: Rows, found: Fit, level: float) -> Conventions:
    """The same, from a fit of these rows that there is already."""
    frame = table.frame.iloc[rows.row_index]
    sizes, compute = count_sizes(frame), count_compute(frame, rows)
    absent = [f"N {name}" for name in SIZES if name not in sizes and name != "undeclared"]
    absent += [] if "with attention" in compute else ["C with attention (layers, width, context)"]
    theta = surface_draws(found)
    entries = [_entry(rows, theta, s, sizes[s], c, compute[c], level) for s in sizes for c in compute]
    return Conventions(entries, _waterfall(entries), rows.params_column, absent)


def count_sizes(frame: pd.DataFrame) -> dict[str, Array]:
    """N of each run by convention [r], for those that the columns allow."""
    found = {}
    for name, columns in SIZES.items():
        if all(column in frame and frame[column].notna().all() for column in columns):
            found[name] = frame[list(columns)].to_numpy(float).sum(axis=1)
    return found


def count_compute(frame: pd.DataFrame, rows: Rows) -> dict[str, Array]:
    """C of each run by convention [r]: as recorded, 6 N D for each N, and with attention (6 s d L more per token)."""
    found = {"as recorded": rows.flops}
    sizes = count_sizes(frame)
    found |= {f"6 N D {name}": 6.0 * N * rows.tokens for name, N in sizes.items()}
    shape = ("layers", "width", "context")
    if all(name in frame and frame[name].notna().all() for name in shape):
        # Kaplan et al. 2020, section 2.1: 2 s d L more per token forward for queries times keys, 3 times with backward.
        attention = 6.0 * frame[list(shape)].to_numpy(float).prod(axis=1)
        N = sizes.get("with_head", sizes.get("total", rows.params))
        found["with attention"] = (6.0 * N + attention) * rows.tokens
    return found


def _entry(rows: Rows, theta: Array, params: str, N: Array, compute: str, C: Array, level: float) -> Convention:
    """The exponent of one pair of counts."""
    base = np.log(rows.params)
    models = np.linspace(base.min() - REACH, base.max() + REACH, MODELS)
    per_token = _line(base, np.log(C / rows.tokens))(models)
    counted = _line(base, np.log(N))(models)
    # Every convention is asked at its own budgets: the same runs, counted its way.
    budgets = np.linspace(np.log(C.min()), np.log(C.max()), BUDGETS)
    best = np.stack([_best(theta, models, per_token, budget, counted) for budget in budgets])
    slopes, levels = np.polyfit(budgets, best, 1)
    band = interval_about(float(slopes[0]), slopes[1:], level)
    largest = LargestModel(flops=float(C.max()), params=float(np.exp(best[-1, 0])))
    return Convention(params, compute, float(slopes[0]), list(band), float(np.exp(levels[0])), largest)


def _best(theta: Array, models: Array, per_token: Array, budget: float, counted: Array) -> Array:
    """Ln N* in the convention's count at one ln C, for theta [b, 5]: [b]."""
    x = np.stack([models, budget - per_token], axis=1)
    loss = CHINCHILLA.value_and_grad(theta, x)[0]
    # At an end of the grid there is no neighbour; REACH keeps the minimum inside for every table that can be fitted.
    lowest = np.clip(loss.argmin(axis=1), 1, MODELS - 2)
    before, here, after = (loss[np.arange(len(theta)), lowest + step] for step in (-1, 0, 1))
    # The vertex of the parabola through the least of the grid and its two neighbours, in steps of the grid.
    bend = before - 2 * here + after
    shift = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    return np.asarray(np.interp(lowest + np.clip(shift, -1, 1), np.arange(MODELS), counted))


def _line(x: Array, y: Array) -> Callable[[Array], Array]:
    """Lines between the sizes of the table, with the mean of runs of one size, and on beyond both ends."""
    # Rounded, so that runs of one size meet although their logarithms differ in the last bit.
    sizes, place = np.unique(np.round(x, 6), return_inverse=True)
    values = np.bincount(place, y) / np.bincount(place)

    def at(points: Array) -> Array:
        inner = np.interp(points, sizes, values)
        first, last = (
            (values[b] - values[a]) / (sizes[b] - sizes[a]) if len(sizes) > 1 else 1.0 for a, b in ((0, 1), (-2, -1))
        )
        below, above = np.minimum(points - sizes[0], 0), np.maximum(points - sizes[-1], 0)
        return np.asarray(inner + first * below + last * above)

    return at


def _waterfall(entries: list[Convention]) -> list[Step]:
    known = {(entry.params, entry.compute): entry for entry in entries}
    found = [(name, known[params, compute]) for name, params, compute in WATERFALL if (params, compute) in known]
    return with_changes([Step(name, entry.exponent, entry.interval, None) for name, entry in found])
