"""The shapes that a score may have against the log of size: weights of two or three levels, each between the bounds.

Every shape is mu(u) = sum_p B_p(u) theta_p with B_p(u) >= 0 and sum_p B_p(u) = 1 within the data, where u is 0 at the
smallest size and 1 at the largest. So levels within the bounds give a curve within the bounds, also beyond the data for
the shapes that level off; those that do not are cut there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import expit

from foretoken.laws.law import Array, Indices

Family = Literal["flat", "linear", "saturating", "accelerating", "sigmoid", "broken", "turning", "step"]
"""`flat`: one level. `linear` in the log of size. `saturating`: 1 - exp(-r u), towards a ceiling. `accelerating`:
(u + c)^a, as exact match of a tokens. `sigmoid`: between two levels, of any location and width. `broken`: two lines
that meet. `turning`: two parabolas that meet where they are level: a U, a hill, a pause. `step`: a jump."""
FAMILIES: tuple[Family, ...] = get_args(Family)
PRIOR: dict[Family, float] = {
    "flat": 0.425,
    "linear": 0.1,
    "saturating": 0.075,
    "accelerating": 0.075,
    "sigmoid": 0.125,
    "broken": 0.05,
    "turning": 0.1,
    "step": 0.05,
}
"""The share of each family before the data: a change must be told against none."""
PARTS = 3
"""Levels of a shape at most."""
RATES = (0.3, 0.7, 1.4, 2.0, 3.0, 4.5, 7.0, 10.0, 16.0)
POWERS, BEGINNINGS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0), (0.0, 0.2, 0.5, 1.0, 2.0)
LOCATIONS = np.linspace(0.0, 1.6, 25)
WIDTHS = np.geomspace(0.02, 0.4, 8)
KNOTS = np.linspace(0.15, 0.85, 8)
IN_A_GAP = (1 / 6, 1 / 2, 5 / 6)
"""Places between two sizes where a step is tried."""


@dataclass(frozen=True)
class Shapes:
    """All shapes that are tried [k]."""

    family: tuple[Family, ...]
    log_prior: Array
    """Of PRIOR each family's share, which its shapes divide evenly; those of a jump by the width of its gap [k]."""
    location: Array
    """Of a sigmoid its middle, of the others what sets them apart [k]."""
    width: Array

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
                result[rows] = _WEIGHTS[name](u[None, :], self.location[chosen, None], self.width[chosen, None])
        return result


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
    location, width = (grid.ravel() for grid in np.meshgrid(LOCATIONS, WIDTHS, indexing="ij"))
    power, begin = (grid.ravel() for grid in np.meshgrid(POWERS, BEGINNINGS, indexing="ij"))
    blocks: list[tuple[Family, Array, Array, Array]] = [
        ("flat", np.zeros(1), np.zeros(1), np.ones(1)),
        ("linear", np.zeros(1), np.zeros(1), np.ones(1)),
        ("saturating", np.array(RATES), np.zeros(len(RATES)), np.ones(len(RATES))),
        ("accelerating", power, begin, np.ones(len(power))),
        ("sigmoid", location, width, np.ones(len(location))),
        ("broken", KNOTS, np.zeros(len(KNOTS)), np.ones(len(KNOTS))),
        ("turning", KNOTS, np.zeros(len(KNOTS)), np.ones(len(KNOTS))),
        ("step", steps, np.full(len(steps), 1e-4), np.tile(gaps, len(IN_A_GAP))),
    ]
    share = [np.log(PRIOR[name] * weight / weight.sum()) for name, _, _, weight in blocks]
    family = tuple(name for name, places, *_ in blocks for _ in places)
    return Shapes(
        family,
        np.concatenate(share),
        np.concatenate([block[1] for block in blocks]),
        np.concatenate([block[2] for block in blocks]),
    )


def _two(first: Array) -> Array:
    return np.stack([1.0 - first, first, np.zeros_like(first)], axis=-1)


def _flat(u: Array, location: Array, width: Array) -> Array:
    return _two(0.0 * u)


def _linear(u: Array, location: Array, width: Array) -> Array:
    return _two(u)


def _saturating(u: Array, rate: Array, width: Array) -> Array:
    return _two(1.0 - np.exp(-rate * u))


def _accelerating(u: Array, power: Array, begin: Array) -> Array:
    first = begin**power
    return _two(((np.maximum(u, 0.0) + begin) ** power - first) / ((1.0 + begin) ** power - first))


def _sigmoid(u: Array, location: Array, width: Array) -> Array:
    return _two(expit((u - location) / width))


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
