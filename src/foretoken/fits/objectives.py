"""How a residual counts: Huber, least squares, Student-t, asymmetric.

Each shape is a cost of residuals (fitted - measured) at a scale, and the weight that a step of reweighted least squares
gives them: the derivative of the cost over the residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.laws.law import Array

FREEDOM = 4.0
"""Degrees of freedom of the Student-t objective."""
ASYMMETRY = 4.0
"""A fit above a run costs this many times a fit as far below it: runs that are badly tuned lie above the law."""
Function = Callable[[Array, Array | float], Array]


@dataclass(frozen=True)
class Objective:
    """What a plain fit minimises."""

    name: str
    text: str
    cost: Function
    """(residual, scale) -> cost."""
    weight: Function
    """(residual, scale) -> the weight of that residual in least squares."""
    raw: bool = False
    """Residuals of the loss itself, not of its logarithm."""
    from_spread: bool = False
    """The scale is the spread of the runs, not a constant."""


def huber(residual: Array, delta: Array | float) -> Array:
    """r^2 / 2 near 0, delta (|r| - delta / 2) beyond delta (scipy.special.huber; Hoffmann et al. 2022, app. D.2)."""
    size = np.abs(residual)
    return np.where(size <= delta, residual**2 / 2, delta * (size - delta / 2))


def huber_weight(residual: Array, delta: Array | float) -> Array:
    """1 within delta, delta / |r| beyond."""
    return np.asarray(np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300)))


def squares(residual: Array, scale: Array | float) -> Array:
    """r^2 / 2."""
    return residual**2 / 2


def one(residual: Array, scale: Array | float) -> Array:
    """Every run counts alike."""
    return np.ones_like(residual)


def student(residual: Array, scale: Array | float) -> Array:
    """Minus the log density of Student's t, less its constant, times the squared scale."""
    return np.asarray((FREEDOM + 1) / 2 * scale**2 * np.log1p(residual**2 / (FREEDOM * scale**2)))


def student_weight(residual: Array, scale: Array | float) -> Array:
    """Large residuals lose their weight altogether."""
    return np.asarray((FREEDOM + 1) / (FREEDOM + residual**2 / scale**2))


def asymmetric(residual: Array, delta: Array | float) -> Array:
    """Huber, times 4 where the fit is above the run."""
    return huber(residual, delta) * np.where(residual > 0, ASYMMETRY, 1.0)


def asymmetric_weight(residual: Array, delta: Array | float) -> Array:
    """The weight of `asymmetric`."""
    return huber_weight(residual, delta) * np.where(residual > 0, ASYMMETRY, 1.0)


HUBER = Objective("huber", "Huber at 0.001 on log loss", huber, huber_weight)
OBJECTIVES: dict[str, Objective] = {
    "huber": HUBER,
    "least_squares": Objective("least_squares", "squares of log loss", squares, one),
    "least_squares_raw": Objective("least_squares_raw", "squares of the loss", squares, one, raw=True),
    "student_t": Objective(
        "student_t", "Student-t with 4 degrees of freedom on log loss", student, student_weight, from_spread=True
    ),
    "asymmetric": Objective(
        "asymmetric",
        "Huber at 0.001 on log loss, 4 times where the fit is above the run",
        asymmetric,
        asymmetric_weight,
    ),
}


def find_objective(name: str) -> Objective:
    """The objective of this name; raises ForetokenError with the known ones."""
    if name not in OBJECTIVES:
        raise ForetokenError("unknown objective", expected=", ".join(OBJECTIVES), got=repr(name))
    return OBJECTIVES[name]
