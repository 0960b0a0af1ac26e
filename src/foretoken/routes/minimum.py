"""Where an IsoFLOP curve is lowest: the vertex of a parabola, or the minimum of an interpolant. Loss over ln N.

Shapes: r sizes, rising; b curves (one measured, or bootstrap draws).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foretoken.laws.law import Array

MinimumStatus = Literal["interior", "edge_small", "edge_large", "no_minimum", "too_few"]
"""`edge_small` and `edge_large`: at an end of the sizes, or beyond; `no_minimum`: the curve does not bend upwards;
`too_few` sizes to tell."""
GRID = 2000
"""Points at which an interpolant is searched; the lowest is refined by a parabola through its neighbours."""


@dataclass(frozen=True)
class Minimum:
    """A way to find the minimum of a curve."""

    text: str
    judge: Callable[[Array, Array], MinimumStatus]
    """(ln N [r], loss [r]) -> where the minimum lies."""
    locate: Callable[[Array, Array], Array]
    """(ln N [r], loss [r, b]) -> ln N* [b]; at an end, or one step beyond it, where there is none inside."""
    loss: Callable[[Array, Array, float], float]
    """(ln N [r], loss [r], ln N*) -> the curve's loss there."""


def judge_parabola(size: Array, loss: Array) -> MinimumStatus:
    """An interior minimum needs a vertex inside the sizes, and a smallest loss that is not at an end."""
    # loss = q u^2 + l u + c with u = ln N is least at u = -l / (2 q), where q > 0
    parabola = np.polyfit(size, loss, 2)
    if parabola[0] <= 0:
        return "no_minimum"
    vertex = -parabola[1] / (2 * parabola[0])
    if vertex <= size[0] or loss.argmin() == 0:
        return "edge_small"
    if vertex >= size[-1] or loss.argmin() == len(loss) - 1:
        return "edge_large"
    return "interior"


def locate_parabola(size: Array, loss: Array) -> Array:
    """Vertices, kept inside the sampled sizes and one step beyond."""
    bends, slopes = np.polyfit(size, loss, 2)[:2]
    # A curve that bends downwards is lowest at an end. Which one is told by its slope in the middle of the sizes: that
    # at ln N = 0, the coefficient, would depend on the unit of N.
    rises = slopes + bends * (size[0] + size[-1]) > 0
    vertex = np.where(bends > 0, -slopes / (2 * np.where(bends > 0, bends, 1.0)), np.where(rises, -np.inf, np.inf))
    step = np.ptp(size) / (len(size) - 1)
    return np.asarray(np.clip(vertex, size[0] - step, size[-1] + step))


def judge_interpolant(size: Array, loss: Array) -> MinimumStatus:
    """An interior minimum: the interpolant is lowest inside the sizes."""
    size, loss = distinct(size, loss)
    at = locate_interpolant(size, loss[:, None])[0]
    if at <= size[0]:
        return "edge_small"
    return "edge_large" if at >= size[-1] else "interior"


def locate_interpolant(size: Array, loss: Array) -> Array:
    """Minima of Akima's interpolant (it follows the points without overshooting)."""
    from scipy.interpolate import Akima1DInterpolator

    size, loss = distinct(size, loss)
    grid = np.linspace(size[0], size[-1], GRID)
    values = Akima1DInterpolator(size, loss)(grid)
    lowest = values.argmin(axis=0)
    inside = np.clip(lowest, 1, GRID - 2)
    before, middle, after = (values[inside + step, np.arange(values.shape[1])] for step in (-1, 0, 1))
    # The parabola through three equally spaced points: its vertex is (before - after) / (2 bend) steps off the middle.
    bend = before - 2 * middle + after
    shift = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    moved = grid[inside] + np.clip(shift, -1, 1) * (grid[1] - grid[0])
    return np.asarray(np.where(lowest == inside, moved, grid[lowest]))


def interpolated_loss(size: Array, loss: Array, at: float) -> float:
    """Akima's interpolant at ln N = at."""
    from scipy.interpolate import Akima1DInterpolator

    return float(Akima1DInterpolator(*distinct(size, loss))(at))


def distinct(size: Array, loss: Array) -> tuple[Array, Array]:
    """Each size once, rising, with the mean loss of its runs: ln N [s], loss [s, ...]."""
    sizes, index = np.unique(size, return_inverse=True)
    if len(sizes) == len(size):
        order = np.argsort(size)
        return size[order], loss[order]
    total = np.zeros((len(sizes), *loss.shape[1:]))
    np.add.at(total, index, loss)
    count = np.bincount(index).reshape(-1, *[1] * (loss.ndim - 1))
    return sizes, np.asarray(total / count)


def local_noise(curves: Sequence[tuple[Array, Array]]) -> float | None:
    """Standard deviation of ln loss around smooth curves (ln N [r], loss [r]), without assuming their form.

    Each point is held against the cubic through its two neighbours on either side; the median of all, so that a few
    bad runs do not count. None without any curve of 5 sizes.
    """
    deviations = []
    for size, loss in curves:
        x, y = distinct(size, np.log(loss))
        for i in range(2, len(x) - 2):
            near = [i - 2, i - 1, i + 1, i + 2]
            # Lagrange's weights: the cubic through the four neighbours, at x[i]. The prediction then has the variance
            # of a run times the sum of their squares, which is taken off again, so that the result is of one run.
            weight = [np.prod([(x[i] - x[k]) / (x[j] - x[k]) for k in near if k != j]) for j in near]
            deviations.append((y[i] - np.dot(weight, y[near])) / np.sqrt(1 + np.dot(weight, weight)))
    return 1.4826 * float(np.median(np.abs(deviations))) if deviations else None


MINIMA: dict[str, Minimum] = {
    "parabola": Minimum(
        "vertex of a parabola in ln N",
        judge_parabola,
        locate_parabola,
        lambda size, loss, at: float(np.polyval(np.polyfit(size, loss, 2), at)),
    ),
    "interpolated": Minimum(
        "minimum of Akima's interpolant over ln N", judge_interpolant, locate_interpolant, interpolated_loss
    ),
}
