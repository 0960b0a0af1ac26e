"""How a residual counts: Huber, least squares, Student-t, asymmetric.

Each shape is a cost of residuals (fitted - measured) at a scale, and the weight that a step of reweighted least squares
gives them: the derivative of the cost over the residual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError
from foretoken.laws.law import Array

FREEDOM = 4.0
"""Degrees of freedom of the Student-t objective."""
ASYMMETRY = 4.0
"""A fit above a run costs this many times a fit as far below it: runs that are badly tuned lie above the law."""
Function = Callable[[Array, Array | float], Array]


@dataclass(frozen=True)
class Objective:
    """What an unpenalised fit minimises."""

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
    # With c = min(|r|, delta) both are c (|r| - c / 2).
    size = np.abs(residual)
    clipped = np.minimum(size, delta)
    return np.asarray(clipped * (size - clipped / 2))


def huber_weight(residual: Array, delta: Array | float) -> Array:
    """1 within delta, delta / |r| beyond."""
    return np.asarray(np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300)))


def squares(residual: Array, scale: Array | float) -> Array:
    """r^2 / 2."""
    return residual**2 / 2


def equal_weight(residual: Array, scale: Array | float) -> Array:
    """Every run counts alike."""
    return np.ones_like(residual)


def student_t(residual: Array, scale: Array | float) -> Array:
    """Minus the log density of Student's t, less its constant, times the squared scale."""
    # -ln of (1 + r^2 / (f s^2))^(-(f + 1) / 2), times s^2, so that it begins as (f + 1) / f x r^2 / 2 near 0.
    return np.asarray((FREEDOM + 1) / 2 * scale**2 * np.log1p(residual**2 / (FREEDOM * scale**2)))


def student_t_weight(residual: Array, scale: Array | float) -> Array:
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
    "least_squares": Objective("least_squares", "squares of log loss", squares, equal_weight),
    "least_squares_raw": Objective("least_squares_raw", "squares of the loss", squares, equal_weight, raw=True),
    "student_t": Objective(
        "student_t", "Student-t with 4 degrees of freedom on log loss", student_t, student_t_weight, from_spread=True
    ),
    "asymmetric": Objective(
        "asymmetric",
        "Huber at 0.001 on log loss, 4 times where the fit is above the run",
        asymmetric,
        asymmetric_weight,
    ),
}


MAP = "map"
ESTIMATORS: tuple[str, ...] = (MAP, *OBJECTIVES)
"""Estimates of a law's parameters: `map` (each run by its noise, with the law's weak prior), or by an objective."""
FORMER_ESTIMATORS = {"pooled": "map", "plain": "huber"}
"""Former names, and what they are called now."""


def check_estimator(name: str, known: Iterable[str] = ESTIMATORS) -> None:
    """Raise ForetokenError, with the nearest known name, unless `name` is an estimator."""
    known = tuple(known)
    if name not in known:
        now = FORMER_ESTIMATORS.get(name)
        near = [f"{name!r} is now called {now!r}"] if now else [f"did you mean {n!r}?" for n in nearest(name, known)]
        cure = near[0] if near else None
        raise ForetokenError("unknown estimator", expected=", ".join(known), got=repr(name), cure=cure)


def find_objective(name: str) -> Objective:
    """The objective of this name; raises ForetokenError with the known ones."""
    if name not in OBJECTIVES:
        near = nearest(name, OBJECTIVES)
        cure = f"did you mean {near[0]!r}?" if near else None
        raise ForetokenError("unknown objective", expected=", ".join(OBJECTIVES), got=repr(name), cure=cure)
    return OBJECTIVES[name]
