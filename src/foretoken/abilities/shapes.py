"""The shapes that a score may have against the log of size: weights of two or three levels, each between the bounds.

Every shape is mu(u) = sum_p B_p(u) theta_p with B_p(u) >= 0 and sum_p B_p(u) = 1 within the data, where u is 0 at the
smallest size and 1 at the largest. So levels within the bounds give a curve within the bounds, also beyond the data for
the shapes that level off; those that do not are cut there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from foretoken.laws.law import Array, Indices

Family = Literal["flat", "linear", "saturating", "accelerating", "sigmoid", "broken", "turning", "step"]
"""`flat`: one level. `linear` in the log of size. `saturating`: 1 - exp(-r u), towards a ceiling. `accelerating`:
(u + c)^a, as exact match of a tokens. `sigmoid`: between two levels, of any location and width. `broken`: two lines
that meet. `turning`: two parabolas that meet where they are level: a U, a hill, a pause. `step`: a jump."""
FAMILIES: tuple[Family, ...] = get_args(Family)
PRIOR: dict[Family, float] = {
    "flat": 0.4,
    "linear": 0.075,
    "saturating": 0.075,
    "accelerating": 0.075,
    "sigmoid": 0.2,
    "broken": 0.05,
    "turning": 0.075,
    "step": 0.05,
}
"""The share of each family before the data: a change must be told against none, and a bounded score that accelerates
is as likely the lower half of a sigmoid."""
PARTS = 3
"""Levels of a shape at most."""
LOG_RATES = np.linspace(np.log(0.3), np.log(16.0), 9)
LOG_POWERS, ROOT_BEGINNINGS = np.linspace(np.log(1.5), np.log(8.0), 8), np.linspace(0.0, 1.4, 5)
LOCATIONS, LOG_WIDTHS = np.linspace(0.0, 1.6, 25), np.linspace(np.log(0.02), np.log(0.4), 8)
KNOTS = np.linspace(0.15, 0.85, 8)
"""Grids are even in these numbers, so that each shape stands for as much as another, and can be divided."""
IN_A_GAP = (1 / 6, 1 / 2, 5 / 6)
"""Places between two sizes where a step is tried."""
THIRDS = np.array([-1.0, 0.0, 1.0]) / 3.0
"""Of the distance to the next shape: where a shape is tried again that was too coarse."""


@dataclass(frozen=True)
class Shapes:
    """All shapes that are tried [k]."""

    family: tuple[Family, ...]
    log_prior: Array
    """Of PRIOR each family's share, which its shapes divide evenly; those of a jump by the width of its gap [k]."""
    first: Array
    """The middle of a sigmoid, the knot, the place of a step, log r, log a [k]."""
    second: Array
    """The log of a sigmoid's width; the root of c [k]."""
    step: Array
    """The distance to the next shape of the grid in both; 0 where there is none [k, 2]."""

    def __len__(self) -> int:
        return len(self.family)

    @property
    def parts(self) -> Indices:
        """How many levels each has [k]."""
        return np.array([_PARTS_OF[name] for name in self.family], dtype=np.intp)

    def weights(self, u: Array, which: Indices | None = None) -> Array:
        """B: the weight of each level at the places `u` [k, n, PARTS]; of the shapes `which`, or of all."""
        which = np.arange(len(self), dtype=np.intp) if which is None else which
        result = np.zeros((len(which), len(u), PARTS))
        names = np.array(self.family)[which]
        for name in FAMILIES:
            rows = np.flatnonzero(names == name)
            if len(rows):
                chosen = which[rows]
                result[rows] = _WEIGHTS[name](u[None, :], self.first[chosen, None], self.second[chosen, None])
        return result

    def take(self, which: Indices | NDArray[np.bool_]) -> Shapes:
        """Some of the shapes."""
        family = tuple(np.array(self.family)[which])
        return Shapes(family, self.log_prior[which], self.first[which], self.second[which], self.step[which])

    def divided(self) -> tuple[Shapes, Indices]:
        """Each shape in its place a third of a step away on either side, too, and of each the shape it is of."""
        first, second = (grid.ravel() for grid in np.meshgrid(THIRDS, THIRDS, indexing="ij"))
        # A shape that has one number to vary, or none, is not divided along the other.
        wanted = ((first == 0) | (self.step[:, :1] > 0)) & ((second == 0) | (self.step[:, 1:] > 0))
        parent, child = np.nonzero(wanted)
        step = self.step[parent]
        return Shapes(
            tuple(np.array(self.family)[parent]),
            self.log_prior[parent] - np.log(wanted.sum(axis=1))[parent],
            self.first[parent] + first[child] * step[:, 0],
            self.second[parent] + second[child] * step[:, 1],
            step / 3.0,
        ), parent

    def and_also(self, other: Shapes) -> Shapes:
        """These and others."""
        both = zip(
            (self.log_prior, self.first, self.second, self.step),
            (other.log_prior, other.first, other.second, other.step),
            strict=True,
        )
        return Shapes(self.family + other.family, *(np.concatenate(pair) for pair in both))


def shapes_for(u: Array) -> Shapes:
    """The shapes to try on data at the places `u` [n], each between 0 and 1.

    >>> shapes = shapes_for(np.linspace(0.0, 1.0, 8))
    >>> len(shapes), bool(np.isclose(np.exp(shapes.log_prior).sum(), 1.0))
    (288, True)
    """
    places = np.unique(u)
    gaps = np.diff(places)
    # No data tell where between two sizes a step lies: each place has its share of the gap.
    steps = np.concatenate([places[:-1] + share * gaps for share in IN_A_GAP])
    grids: list[tuple[Family, Array, Array, Array]] = [
        ("flat", np.zeros(1), np.zeros(1), np.ones(1)),
        ("linear", np.zeros(1), np.zeros(1), np.ones(1)),
        ("saturating", LOG_RATES, np.zeros(1), np.ones(len(LOG_RATES))),
        ("accelerating", LOG_POWERS, ROOT_BEGINNINGS, np.ones(len(LOG_POWERS) * len(ROOT_BEGINNINGS))),
        ("sigmoid", LOCATIONS, LOG_WIDTHS, np.ones(len(LOCATIONS) * len(LOG_WIDTHS))),
        ("broken", KNOTS, np.zeros(1), np.ones(len(KNOTS))),
        ("turning", KNOTS, np.zeros(1), np.ones(len(KNOTS))),
        ("step", steps, np.array([np.log(1e-4)]), np.tile(gaps, len(IN_A_GAP))),
    ]
    blocks = []
    for name, one, other, weight in grids:
        first, second = (grid.ravel() for grid in np.meshgrid(one, other, indexing="ij"))
        between = [grid[1] - grid[0] if len(grid) > 1 and name != "step" else 0.0 for grid in (one, other)]
        share = np.log(PRIOR[name] * weight / weight.sum())
        blocks.append(Shapes((name,) * len(first), share, first, second, np.tile(between, (len(first), 1))))
    return reduce(Shapes.and_also, blocks)


def _two(first: Array) -> Array:
    return np.stack([1.0 - first, first, np.zeros_like(first)], axis=-1)


def _flat(u: Array, location: Array, width: Array) -> Array:
    return _two(0.0 * u)


def _linear(u: Array, location: Array, width: Array) -> Array:
    return _two(u)


def _saturating(u: Array, log_rate: Array, width: Array) -> Array:
    return _two(1.0 - np.exp(-np.exp(log_rate) * u))


def _accelerating(u: Array, log_power: Array, root_begin: Array) -> Array:
    power, begin = np.exp(log_power), root_begin**2
    first = begin**power
    return _two(((np.maximum(u, 0.0) + begin) ** power - first) / ((1.0 + begin) ** power - first))


def _sigmoid(u: Array, location: Array, log_width: Array) -> Array:
    return _two(expit((u - location) / np.exp(log_width)))


def _broken(u: Array, knot: Array, width: Array) -> Array:
    """Hats at 0, at the knot and at 1."""
    before, after = np.minimum(u / knot, 1.0), np.maximum((u - knot) / (1.0 - knot), 0.0)
    return np.stack([1.0 - before, before - after, after], axis=-1)


def _turning(u: Array, vertex: Array, width: Array) -> Array:
    """Squares of the distance from the vertex on either side, straight beyond the data."""
    before = np.maximum(1.0 - u / vertex, 0.0) ** 2
    side = np.maximum((u - vertex) / (1.0 - vertex), 0.0)
    after = np.where(side > 1.0, 2.0 * side - 1.0, side**2)
    return np.stack([before, 1.0 - before - after, after], axis=-1)


_WEIGHTS: dict[Family, Callable[[Array, Array, Array], Array]] = {
    "flat": _flat,
    "linear": _linear,
    "saturating": _saturating,
    "accelerating": _accelerating,
    "sigmoid": _sigmoid,
    "broken": _broken,
    "turning": _turning,
    "step": _sigmoid,
}
_PARTS_OF: dict[Family, int] = {
    "flat": 1,
    "linear": 2,
    "saturating": 2,
    "accelerating": 2,
    "sigmoid": 2,
    "broken": 3,
    "turning": 3,
    "step": 2,
}
