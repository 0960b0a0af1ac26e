"""Very large tables: runs of nearly the same size and length, taken together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretoken.fits.rows import Rows
from foretoken.laws.law import Array, Indices

MOST_ROWS = 2000
"""Tables up to this are fitted run by run."""
FINEST = 0.02
"""Width of a cell in ln N and ln D, doubled until there are few enough cells."""


def binned(rows: Rows) -> tuple[Rows, Array, float]:
    """Cells, how many runs each holds [cells], spread of log loss inside cells; the runs themselves when they are few.

    A cell takes the mean of ln N, ln D, ln FLOP and ln loss of its runs. Trajectories and budgets are not kept.
    """
    if len(rows) <= MOST_ROWS:
        return rows, np.ones(len(rows)), 0.0
    columns = np.log(np.stack([rows.params, rows.tokens, rows.flops, rows.loss], axis=1))
    width = FINEST
    while (cell := _cells(columns, width)).max() + 1 > MOST_ROWS:
        width *= 2
    count = np.bincount(cell).astype(np.float64)
    means = np.stack([np.bincount(cell, values) / count for values in columns.T], axis=1)
    spread = _spread(columns, means, cell)
    params, tokens, flops, loss = np.exp(means.T)
    nobody: list[str | None] = [None] * len(count)
    said = (
        f"{len(rows)} runs are taken together in {len(count)} cells, {100 * width:.0f} % wide in params and in tokens"
    )
    cells = replace(
        rows,
        run=[f"cell {number}" for number in range(len(count))],
        group=nobody,
        parent=nobody,
        params=params,
        tokens=tokens,
        flops=flops,
        loss=loss,
        assumed=[*rows.assumed, said],
    )
    return cells, count, spread


def _spread(columns: Array, means: Array, cell: Indices) -> float:
    """Standard deviation of log loss inside cells, less the slope of loss there, which may change from cell to cell."""
    inside = columns - means[cell]
    centre = means[:, :2] - means[:, :2].mean(axis=0)
    slopes = [inside[:, k] * by for k in range(2) for by in (1.0, centre[cell, 0], centre[cell, 1])]
    design = np.stack(slopes, axis=1)
    left = inside[:, 3] - design @ np.linalg.lstsq(design, inside[:, 3])[0]
    return float(np.sqrt((left**2).sum() / max(1, len(cell) - len(means))))


def _cells(columns: Array, width: float) -> Indices:
    """Number of the cell of each run [r]."""
    grid = np.round(columns[:, :2] / width).astype(np.int64)
    grid -= grid.min(axis=0)
    return np.unique(grid[:, 0] * (grid[:, 1].max() + 1) + grid[:, 1], return_inverse=True)[1]
