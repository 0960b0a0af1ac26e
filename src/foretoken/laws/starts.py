"""Starts of a fit: variable projection (Golub and Pereyra 1973) over an even cloud of the non-linear parameters.

Shapes: g candidates, r runs, p parameters, k scales (parameters in which the law is linear).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from foretoken.laws.law import Array, Target

CANDIDATES = 3000
NUMBERS = 10_000_000
"""Candidates are fewer where they would make more numbers than this at once."""
STARTS = 24
RIDGE = 1e-12
"""Added to the diagonal of columns of length 1: two parallel columns then give a finite solution, others theirs."""
ENOUGH = 300
"""Runs that a start is judged by; more are thinned evenly."""


def even_cloud(count: int, dimensions: int) -> Array:
    """Points [count, dimensions] that fill the unit cube evenly: multiples of powers of the generalised golden ratio.

    >>> even_cloud(3, 1).round(3).ravel().tolist()
    [0.118, 0.736, 0.354]
    """
    # Fixed point of g^(d+1) = g + 1; its powers are as badly approximated by fractions as numbers can be, so that the
    # multiples of 1/g, 1/g^2, ... modulo 1 stay apart from each other (Roberts 2018, the R_d sequence).
    golden = 2.0
    for _ in range(40):
        golden = (1 + golden) ** (1 / (dimensions + 1))
    steps = golden ** -np.arange(1, dimensions + 1)
    return np.asarray((0.5 + np.outer(np.arange(1, count + 1), steps)) % 1.0)


def projected(
    values: Callable[[Array, Array], Array],
    x: Array,
    y: Array,
    low: Array,
    high: Array,
    scales: Sequence[int],
    signed: Sequence[bool],
    target: Target,
) -> Array:
    """Starts theta [starts, p] between low and high [p].

    Non-linear parameters come from an even cloud, the `scales` from least squares at each of its points; errors are
    relative where the target is "log". `values` maps natural parameters [g, p] and x to the law [g, r]; y [r] is
    natural.
    """
    # Given the others, a law is linear in its scales, so the best scales are in closed form and the search has fewer
    # dimensions: the cloud fills only those of the non-linear parameters.
    thin = np.linspace(0, len(y) - 1, min(len(y), ENOUGH)).astype(int)
    x, y = x[thin], y[thin]
    non_linear = [k for k in range(len(low)) if k not in scales]
    count = int(np.clip(NUMBERS // x.size, 200, CANDIDATES))
    theta = np.zeros((count, len(low)))
    cloud = even_cloud(count, max(len(non_linear), 1))[:, : len(non_linear)]
    theta[:, non_linear] = low[non_linear] + (high - low)[non_linear] * cloud
    natural = np.where(signed, theta, np.exp(theta))
    weight = 1 / y if target == "log" else np.ones_like(y)
    if scales:
        columns = np.stack([values(_unit(natural, scales, k), x) for k in scales], axis=-1) * weight[:, None]
        free = [signed[k] for k in scales]
        solved, squares = least_squares(columns, y * weight, free)
        natural[:, list(scales)] = solved
    else:
        squares = ((values(natural, x) - y) ** 2 * weight**2).sum(axis=-1)
    theta = np.where(signed, natural, np.log(np.maximum(natural, np.exp(np.where(signed, 0.0, low)))))
    return np.asarray(np.clip(theta[_promising(squares)], low, high))


def _unit(natural: Array, scales: Sequence[int], k: int) -> Array:
    """Scale k is 1, the others 0: the law is then one column."""
    unit = natural.copy()
    unit[:, list(scales)] = 0.0
    unit[:, k] = 1.0
    return unit


def _promising(squares: Array) -> Array:
    """The best candidates first, then others spread over the better half."""
    order = np.argsort(np.where(np.isfinite(squares), squares, np.inf), kind="stable")
    # Half of the starts are the best ones; the others keep a distance, for a valley that the cloud only touches.
    order = order[: max(int(np.isfinite(squares).sum()), 1)]
    spread = order[:: max(1, len(order) // (2 * STARTS))][:STARTS]
    return np.asarray(np.concatenate([order[: STARTS // 2], spread[STARTS // 2 :]]))


def least_squares(columns: Array, y: Array, free: Sequence[bool]) -> tuple[Array, Array]:
    """Least squares of y [r] on columns [g, r, k]: coefficients [g, k] and sums of squares [g].

    Coefficients are >= 0 unless `free`, by trying every set of non-zero ones.
    """
    with np.errstate(all="ignore"):
        length = np.sqrt((columns**2).sum(axis=1, keepdims=True))
        columns = np.where(np.isfinite(columns / length), columns / length, 0.0)
        gram = np.einsum("grk,grl->gkl", columns, columns)
        moment = np.einsum("grk,r->gk", columns, y)
        best, squares = np.zeros_like(moment), np.full(len(columns), np.inf)
        for size in range(1, len(free) + 1):
            for active in combinations(range(len(free)), size):
                pick = list(active)
                part = gram[:, pick][:, :, pick] + RIDGE * np.eye(size)
                full = np.zeros_like(moment)
                full[:, pick] = np.linalg.solve(part, moment[:, pick, None])[..., 0]
                # |y - X f|^2 = y.y - 2 f.X'y + f'X'X f, from the products alone
                error = (y**2).sum() - 2 * (full * moment).sum(1) + np.einsum("gk,gkl,gl->g", full, gram, full)
                better = ((full >= 0) | np.array(free)).all(axis=1) & (error < squares)
                best[better], squares[better] = full[better], error[better]
        coefficients = best / length[:, 0]
    return np.where(np.isfinite(coefficients), coefficients, 0.0), squares
