"""From a formula to a Law: exact gradient, starts by variable projection, bounds, shift and weak prior.

A formula is a pure function of features in their order, then of parameters by name, in natural units; it works on
numbers, arrays and Duals alike. `law_from` takes it with the fields of Law that do not follow from it. Features that
are `not_centred` stay where they are in a fit. `linearised`, linear in its scales, gives the starts where the formula
itself is not linear in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from foretoken.laws.dual import Dual
from foretoken.laws.law import Array, Law, Real, Target, mean_features
from foretoken.laws.starts import projected

Formula = Callable[..., Real]
Batched = Callable[[Array], tuple[Array, Array]]
FARTHEST = 300.0
"""Farthest a location on an axis may lie from the runs, in ln; e^300 is still a number."""
ParameterKind = Literal["shape", "irreducible", "term", "location"]


class LogNormal(NamedTuple):
    """A weak assumption about a positive parameter: near the median, within the factor by one standard deviation."""

    median: float
    factor: float


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a fit has to know of one parameter."""

    kind: ParameterKind = "shape"
    """`shape`: low and high are its range. `irreducible`: what is left at infinite scale. `term`: scale of a term, low
    and high in units of the fitted values. `location`: a position on a feature's axis."""
    low: float = 1e-4
    high: float = 100.0
    unit: str = ""
    signed: bool = False
    """Of either sign."""
    falls: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """For a term in x[axis]^-(factor x exponent): {exponent: (axis, factor)}."""
    axis: int = 0
    """For a location: the feature on whose axis it lies."""
    prior: LogNormal | None = None
    """What a forecast assumes; of an irreducible loss in units of the smallest loss."""

    @property
    def is_irreducible(self) -> bool:
        """Whether it is what is left at infinite scale."""
        return self.kind == "irreducible"

    @property
    def is_location(self) -> bool:
        """Whether it is a position on an axis."""
        return self.kind == "location"

    @property
    def is_scale(self) -> bool:
        """Whether the law is linear in it."""
        return self.is_irreducible or self.kind == "term"

    def bounds(self, y: Array, target: Target) -> tuple[float, float]:
        """Lowest and highest theta for the fitted values y [r], with features around their origin."""
        if self.is_location:
            return -FARTHEST, FARTHEST
        if not self.is_scale:
            return (self.low, self.high) if self.signed else (float(np.log(self.low)), float(np.log(self.high)))
        if target == "log":
            low, high = float(y.min()), float(y.max())
            if self.is_irreducible:  # between a thousandth of the smallest loss and that loss
                return low + np.log(1e-3), low
            return low + np.log(self.low), high + np.log(self.high)
        span = max(float(np.ptp(y)), 1e-12)
        if self.is_irreducible:
            return float(y.min() - 10 * span), float(y.max() + 10 * span)
        if self.signed:
            return -self.high * span, self.high * span
        return float(np.log(self.low * span)), float(np.log(self.high * span))

    def prior_for(self, target: Target) -> LogNormal | None:
        """The prior, where it has a meaning: that of an irreducible loss is in logarithms."""
        return self.prior if target == "log" or not self.is_irreducible else None


def exponent(low: float = 0.02, high: float = 3.0, prior: LogNormal | None = None) -> Parameter:
    """A positive exponent."""
    return Parameter(low=low, high=high, unit="1", prior=prior)


def either_sign(low: float, high: float, unit: str = "1") -> Parameter:
    """A parameter of either sign."""
    return Parameter(low=low, high=high, unit=unit, signed=True)


def term(unit: str, low: float = 1e-4, high: float = 100.0, **falls: tuple[int, float]) -> Parameter:
    """The scale of a term; `b=(0, 1.0)` says that the term falls as X^-(1.0 x b), where X is feature 0."""
    return Parameter(kind="term", low=low, high=high, unit=unit, falls=falls)


IRREDUCIBLE = Parameter(kind="irreducible", unit="nats per token", prior=LogNormal(0.5, 1.5))
"""An irreducible loss."""
USUAL_EXPONENT = LogNormal(0.33, 1.35)
"""Of N and D: 0.28 to 0.37 in the published fits of Chinchilla's form; one standard deviation is 0.24 to 0.45."""


def law_from(
    function: Formula,
    *,
    name: str,
    formula: str,
    parameters: Mapping[str, Parameter],
    features: tuple[str, ...],
    citation: str,
    domain: str,
    target: Target = "log",
    column: str = "loss",
    unit: str = "nats per token",
    not_centred: tuple[str, ...] = (),
    may_be_constant: tuple[str, ...] = (),
    profiled: tuple[str, ...] = ("E",),
    sequence_input: bool = False,
    linearised: Formula | None = None,
    starts: Callable[[Array, Array], Array] | None = None,
    shift: Callable[[Array, Array], Array] | None = None,
    origin: Callable[[Array], Array] | None = None,
    optimum: Callable[..., tuple[Real, Real]] | None = None,
) -> Law:
    """The Law of a formula; see the head of this file."""
    bounds = _bounds(parameters, target)
    return Law(
        name=name,
        formula=formula,
        parameters=tuple(parameters),
        features=features,
        value_and_grad=differentiated(function, parameters, target, sequence_input),
        starts=starts or _starts(linearised or function, parameters, bounds, target, sequence_input),
        shift=shift or _shift(parameters),
        bounds=bounds,
        prior=_prior(parameters, target),
        prior_text=prior_text(parameters, target),
        optimum=optimum,
        citation=citation,
        domain=domain,
        target=target,
        column=column,
        unit=unit,
        units=tuple(parameter.unit for parameter in parameters.values()),
        signed=tuple(key for key in parameters if parameters[key].signed),
        scales=tuple(key for key in parameters if parameters[key].is_scale),
        profiled=profiled,
        may_be_constant=may_be_constant,
        origin=origin or _origin(features, not_centred),
        sequence_input=sequence_input,
    )


def differentiated(
    function: Formula, parameters: Mapping[str, Parameter], target: Target = "log", sequence_input: bool = False
) -> Callable[[Array, Array], tuple[Array, Array]]:
    """What is fitted and its gradient in theta, from the formula run on Duals."""
    signed = [parameter.signed for parameter in parameters.values()]

    def value_and_grad(theta: Array, x: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            duals = {name: _dual(theta[:, k, None], k, signed[k]) for k, name in enumerate(parameters)}
            result = function(*_features(x, sequence_input), **duals)
            shape = (len(theta), len(x))
            fitted = np.broadcast_to(result.value, shape)
            gradient = np.zeros((*shape, theta.shape[1]))
            for k, slope in result.slopes.items():
                gradient[..., k] = slope
            if target == "log":
                return np.log(fitted), gradient / fitted[..., None]  # d ln f = df / f
            return np.array(fitted), gradient

    return value_and_grad


def _dual(theta: Array, k: int, signed: bool) -> Dual:
    """Parameter k as a Dual in theta: theta is the logarithm of a positive parameter p, and dp / dtheta = p."""
    value = theta if signed else np.exp(theta)
    return Dual(value, {k: np.ones_like(theta) if signed else value})


def _features(x: Array, sequence_input: bool) -> list[Array]:
    return [np.exp(x)] if sequence_input else [np.exp(column) for column in x.T]


def _natural(
    function: Formula, parameters: Mapping[str, Parameter], sequence_input: bool
) -> Callable[[Array, Array], Array]:
    """(natural values [g, p], x [r, f]) -> the formula [g, r]."""

    def values(natural: Array, x: Array) -> Array:
        named = dict(zip(parameters, natural.T[..., None], strict=True))
        with np.errstate(all="ignore"):
            return np.broadcast_to(function(*_features(x, sequence_input), **named), (len(natural), len(x)))

    return values


def _origin(features: tuple[str, ...], not_centred: tuple[str, ...]) -> Callable[[Array], Array]:
    centred = np.array([name not in not_centred for name in features], dtype=np.float64)
    return lambda x: mean_features(x) * centred


def _bounds(parameters: Mapping[str, Parameter], target: Target) -> Batched:
    def bounds(y: Array) -> tuple[Array, Array]:
        low, high = zip(*(parameter.bounds(y, target) for parameter in parameters.values()), strict=True)
        return np.array(low), np.array(high)

    return bounds


def _starts(
    linear: Formula, parameters: Mapping[str, Parameter], bounds: Batched, target: Target, sequence_input: bool
) -> Callable[[Array, Array], Array]:
    """Variable projection; a location is sought among the runs, and half an e-fold beyond them."""
    values = _natural(linear, parameters, sequence_input)
    scales = [k for k, parameter in enumerate(parameters.values()) if parameter.is_scale]
    signed = [parameter.signed for parameter in parameters.values()]

    def starts(x: Array, y: Array) -> Array:
        low, high = bounds(y)
        for k, parameter in enumerate(parameters.values()):
            if parameter.is_location:
                low[k], high[k] = x[:, parameter.axis].min() - 0.5, x[:, parameter.axis].max() + 0.5
        return projected(values, x, np.exp(y) if target == "log" else y, low, high, scales, signed, target)

    return starts


def _shift(parameters: Mapping[str, Parameter]) -> Callable[[Array, Array], Array]:
    """Scales and locations of a fit to x - origin, for x itself."""
    index = {name: k for k, name in enumerate(parameters)}

    def shift(theta: Array, origin: Array) -> Array:
        moved = theta.copy()
        for name, parameter in parameters.items():
            if parameter.is_location:
                moved[..., index[name]] += origin[parameter.axis]
            for by, (axis, factor) in parameter.falls.items():
                # A e^(-p (ln X - o)) = A e^(p o) X^-p: moving the axis by o adds p o to ln A.
                power = theta[..., index[by]] if parameters[by].signed else np.exp(theta[..., index[by]])
                moved[..., index[name]] += factor * power * origin[axis]
        return moved

    return shift


def _prior(parameters: Mapping[str, Parameter], target: Target) -> Batched:
    def prior(y: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(len(parameters)), np.full(len(parameters), np.inf)
        for k, parameter in enumerate(parameters.values()):
            assumed = parameter.prior_for(target)
            if assumed is not None:
                # in theta a log-normal is a normal: its mean is the log of the median, its deviation of the factor
                mean[k] = np.log(assumed.median) + (float(y.min()) if parameter.is_irreducible else 0.0)
                scale[k] = np.log(assumed.factor)
        return mean, scale

    return prior


def prior_text(parameters: Mapping[str, Parameter], target: Target = "log") -> str:
    """The weak assumptions of a forecast in words."""
    words = []
    for name, parameter in parameters.items():
        assumed = parameter.prior_for(target)
        if assumed is not None:
            of = " of the smallest loss" if parameter.is_irreducible else ""
            words.append(f"{name} near {assumed.median:g}{of} (log-normal, factor {assumed.factor:g})")
    return ", ".join(words) or "nothing"
