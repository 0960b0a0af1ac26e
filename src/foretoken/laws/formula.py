"""From a formula to a Law: exact gradient, starts by variable projection, bounds, shift and weak assumptions.

A formula is a pure function of features, then of parameters by name, in natural units; it works on numbers, arrays
and Duals alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from foretoken.laws.dual import Dual
from foretoken.laws.law import Array, Law, mean_features
from foretoken.laws.starts import projected

Formula = Callable[..., Any]
NOWHERE = 300.0
"""Farthest a place on an axis may lie from the runs, in ln."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a fit has to know of one parameter."""

    kind: Literal["own", "floor", "term", "place"] = "own"
    """`own`: low and high are its range. `floor`: what is left at infinite scale. `term`: scale of a term, low and
    high in units of the fitted values. `place`: a position on a feature's axis."""
    low: float = 1e-4
    high: float = 100.0
    unit: str = ""
    linear: bool = False
    """Of either sign."""
    falls: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """For a term in x[axis]^-(factor x exponent): {exponent: (axis, factor)}."""
    axis: int = 0
    assumed: tuple[float, float] | None = None
    """(centre, factor) of a weak log-normal assumption."""


def exponent(low: float = 0.02, high: float = 3.0, assumed: tuple[float, float] | None = None) -> Parameter:
    """A positive exponent."""
    return Parameter(low=low, high=high, unit="1", assumed=assumed)


def signed(low: float, high: float, unit: str = "1") -> Parameter:
    """A parameter of either sign."""
    return Parameter(low=low, high=high, unit=unit, linear=True)


def term(unit: str, low: float = 1e-4, high: float = 100.0, **falls: tuple[int, float]) -> Parameter:
    """The scale of a term; `falls` as in Parameter."""
    return Parameter(kind="term", low=low, high=high, unit=unit, falls=falls)


FLOOR = Parameter(kind="floor", unit="nats per token", assumed=(0.5, 1.5))
"""An irreducible loss."""
USUAL = (0.33, 1.35)
"""Exponents of N and D are assumed near 0.33, within a factor of 1.35 (one standard deviation)."""


def law_from(
    function: Formula,
    *,
    parameters: Mapping[str, Parameter],
    features: tuple[str, ...],
    still: tuple[str, ...] = (),
    near: Formula | None = None,
    **data: Any,
) -> Law:
    """The Law of a formula.

    `still` names features that the law cannot be moved in. `near` is a formula linear in the floor and the terms,
    from which starts are found, where the formula itself is not. `data` are other fields of Law.
    """
    target = data.get("target", "log")
    moving = np.array([name not in still for name in features], dtype=np.float64)

    def origin(x: Array) -> Array:
        return mean_features(x) * moving

    def bounds(y: Array) -> tuple[Array, Array]:
        low, high = zip(*(_range(one, y, target) for one in parameters.values()), strict=True)
        return np.array(low), np.array(high)

    def starts(x: Array, y: Array) -> Array:
        low, high = bounds(y)
        for k, one in enumerate(parameters.values()):
            if one.kind == "place":
                low[k], high[k] = x[:, one.axis].min() - 0.5, x[:, one.axis].max() + 0.5
        scales = [k for k, one in enumerate(parameters.values()) if one.kind in ("floor", "term")]
        straight = [one.linear for one in parameters.values()]
        values = _plain(near or function, parameters, features, data.get("wide", False))
        return projected(values, x, np.exp(y) if target == "log" else y, low, high, scales, straight, target)

    made: dict[str, Any] = {
        "parameters": tuple(parameters),
        "features": features,
        "log_loss": differentiated(function, parameters, target, data.get("wide", False)),
        "starts": starts,
        "shift": _shift(parameters),
        "bounds": bounds,
        "prior": _prior(parameters, target),
        "prior_text": prior_text(parameters, target),
        "optimum": None,
        "units": tuple(one.unit for one in parameters.values()),
        "linear": tuple(name for name, one in parameters.items() if one.linear),
        "origin": origin,
    }
    return Law(**(made | data))


def differentiated(
    function: Formula, parameters: Mapping[str, Parameter], target: str = "log", wide: bool = False
) -> Callable[[Array, Array], tuple[Array, Array]]:
    """What is fitted and its gradient in theta, from the formula run on Duals."""

    def log_loss(theta: Array, x: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            duals = {name: _dual(theta[:, k, None], k, one.linear) for k, (name, one) in enumerate(parameters.items())}
            result = function(*_features(x, wide), **duals)
            shape = (len(theta), len(x))
            fitted = np.broadcast_to(result.value, shape)
            gradient = np.zeros((*shape, theta.shape[1]))
            for k, slope in result.slopes.items():
                gradient[..., k] = slope
            if target == "log":
                return np.log(fitted), gradient / fitted[..., None]
            return np.array(fitted), gradient

    return log_loss


def _dual(theta: Array, k: int, linear: bool) -> Dual:
    value = theta if linear else np.exp(theta)
    return Dual(value, {k: np.ones_like(theta) if linear else value})


def _features(x: Array, wide: bool) -> list[Array]:
    return [np.exp(x)] if wide else [np.exp(column) for column in x.T]


def _plain(
    function: Formula, parameters: Mapping[str, Parameter], features: tuple[str, ...], wide: bool
) -> Callable[[Array, Array], Array]:
    """(natural values [g, p], x [r, f]) -> the formula [g, r]."""

    def values(natural: Array, x: Array) -> Array:
        named = dict(zip(parameters, natural.T[..., None], strict=True))
        with np.errstate(all="ignore"):
            return np.broadcast_to(function(*_features(x, wide), **named), (len(natural), len(x)))

    return values


def _range(one: Parameter, y: Array, target: str) -> tuple[float, float]:
    """Lowest and highest theta."""
    if one.kind == "place":
        return -NOWHERE, NOWHERE
    if one.kind == "own":
        return (one.low, one.high) if one.linear else (float(np.log(one.low)), float(np.log(one.high)))
    if target == "log":
        low, high = float(y.min()), float(y.max())
        return (low + np.log(1e-3), low) if one.kind == "floor" else (low + np.log(one.low), high + np.log(one.high))
    span = max(float(np.ptp(y)), 1e-12)
    if one.kind == "floor":
        return float(y.min() - 10 * span), float(y.max() + 10 * span)
    if one.linear:
        return -one.high * span, one.high * span
    return float(np.log(one.low * span)), float(np.log(one.high * span))


def _shift(parameters: Mapping[str, Parameter]) -> Callable[[Array, Array], Array]:
    """Scales and places of a fit to x - origin, for x itself."""
    index = {name: k for k, name in enumerate(parameters)}

    def shift(theta: Array, origin: Array) -> Array:
        moved = theta.copy()
        for name, one in parameters.items():
            if one.kind == "place":
                moved[..., index[name]] += origin[one.axis]
            for by, (axis, factor) in one.falls.items():
                power = theta[..., index[by]] if parameters[by].linear else np.exp(theta[..., index[by]])
                moved[..., index[name]] += factor * power * origin[axis]
        return moved

    return shift


def _prior(parameters: Mapping[str, Parameter], target: str) -> Callable[[Array], tuple[Array, Array]]:
    def prior(y: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(len(parameters)), np.full(len(parameters), np.inf)
        for k, one in enumerate(parameters.values()):
            if one.assumed is not None and (one.kind != "floor" or target == "log"):
                mean[k] = np.log(one.assumed[0]) + (float(y.min()) if one.kind == "floor" else 0.0)
                scale[k] = np.log(one.assumed[1])
        return mean, scale

    return prior


def prior_text(parameters: Mapping[str, Parameter], target: str = "log") -> str:
    """The weak assumptions of a forecast in words."""
    told = []
    for name, one in parameters.items():
        if one.assumed is not None and (one.kind != "floor" or target == "log"):
            of = " of the smallest loss" if one.kind == "floor" else ""
            told.append(f"{name} near {one.assumed[0]:g}{of} (log-normal, factor {one.assumed[1]:g})")
    return ", ".join(told) or "nothing"
