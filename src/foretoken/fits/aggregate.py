"""Very large tables: runs of nearly the same size and length, taken together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretoken.fits.rows import Rows
from foretoken.laws.law import Array, Indices, Law

MOST_ROWS = 2000
"""Tables up to this are fitted run by run."""
FINEST = 0.02
"""Width of a cell in each feature of the law, on a log scale, doubled until there are few enough cells."""


def aggregate(rows: Rows, law: Law) -> tuple[Rows, Array, float]:
    """Cells, how many runs each holds [cells], spread of log loss inside cells; the runs themselves when they are few.

    A cell takes the mean of ln N, ln D, ln FLOP, the law's features and ln loss of its runs. Trajectories and budgets
    are not kept. A law of what has no logarithm takes the mean of that itself.
    """
    if len(rows) <= MOST_ROWS:
        return rows, np.ones(len(rows)), 0.0
    x = rows.features(law)
    y = np.log(rows.y) if law.is_logarithmic else rows.y
    width = FINEST
    # Over a cell of width w a power's mean differs from its value at the mean by (alpha w)^2 / 24, far below any noise.
    while (cell := _cells(x, width)).max() + 1 > MOST_ROWS:
        width *= 2
    count = np.bincount(cell).astype(np.float64)

    def mean(values: Array) -> Array:
        return np.asarray(np.bincount(cell, values) / count)

    level, centre = mean(y), np.stack([mean(values) for values in x.T], axis=1)
    spread = _spread(x, centre, y - level[cell], cell)
    params, tokens, flops = (np.exp(mean(np.log(values))) for values in (rows.params, rows.tokens, rows.flops))
    nobody: list[str | None] = [None] * len(count)
    sentence = (
        f"{len(rows)} runs are taken together in {len(count)} cells, {100 * width:.0f} % wide in "
        + " and in ".join(law.features)
    )
    others = [name for name in law.features if name in rows.other_features]
    cells = replace(
        rows,
        run=[f"cell {number}" for number in range(len(count))],
        group=nobody,
        parent=nobody,
        params=params,
        tokens=tokens,
        flops=flops,
        y=np.exp(level) if law.is_logarithmic else level,
        other_features={name: np.exp(mean(np.log(rows.feature(name)))) for name in others},
        assumed=[*rows.assumed, sentence],
    )
    return cells, count, spread


def _spread(x: Array, centre: Array, off: Array, cell: Indices) -> float:
    """Standard deviation of what is off its cell's mean, less the slope there, which may change from cell to cell."""
    inside, about = x - centre[cell], (centre - centre.mean(axis=0))[cell]
    slopes = [inside[:, k] * by for k in range(x.shape[1]) for by in (1.0, *about.T)]
    design = np.stack(slopes, axis=1)
    left = off - design @ np.linalg.lstsq(design, off)[0]
    return float(np.sqrt((left**2).sum() / max(1, len(cell) - len(centre))))


def _cells(x: Array, width: float) -> Indices:
    """Number of the cell of each run [r]."""
    grid = np.round(x / width).astype(np.int64)
    key = np.zeros(len(grid), dtype=np.int64)
    # A number in mixed radix, feature by feature, numbered anew each time so that no product overflows.
    for steps in (grid - grid.min(axis=0)).T:
        key = np.unique(key * (steps.max() + 1) + steps, return_inverse=True)[1]
    return np.asarray(key)
