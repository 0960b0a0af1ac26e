"""Numbers that carry their slopes, so that a law is written once, as its formula, and is differentiated exactly.

A Dual knows only the slopes in the parameters that went into it. Shapes: b batch, r runs; values and slopes broadcast
to [b, r].
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from foretoken.laws.law import Array


class Dual:
    """A value and its derivatives by the parameters (by index) that it depends on.

    >>> x = Dual(np.array(3.0), {0: np.array(1.0)})
    >>> y = x**2 + 2 / x
    >>> round(float(y.value), 6), round(float(y.slopes[0]), 6)
    (9.666667, 5.777778)
    """

    __slots__ = ("slopes", "value")
    __array_ufunc__ = None  # so that array * Dual asks the Dual, and does not make an array of Duals

    def __init__(self, value: Array, slopes: dict[int, Array]) -> None:
        self.value, self.slopes = value, slopes

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return _joined(self.value + other.value, (self, 1.0), (other, 1.0))
        return Dual(self.value + other, self.slopes)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return _joined(-self.value, (self, -1.0))

    def __sub__(self, other: Any) -> Dual:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Dual:
        return self.__neg__().__add__(other)

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return _joined(self.value * other.value, (self, other.value), (other, self.value))
        return _joined(self.value * other, (self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        return self.__mul__(other**-1.0)

    def __rtruediv__(self, other: Any) -> Dual:
        return self.__pow__(-1.0).__mul__(other)

    def __pow__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return exp(other.__mul__(log(self)))  # x^y = e^(y ln x): both slopes by the rules below
        return _joined(self.value**other, (self, other * self.value ** (other - 1.0)))

    def __rpow__(self, other: Any) -> Dual:
        return exp(self.__mul__(np.log(other)))


@overload
def exp(x: Dual) -> Dual: ...
@overload
def exp(x: Any) -> Any: ...
def exp(x: Any) -> Any:
    """e^x of a Dual or of plain numbers."""
    if not isinstance(x, Dual):
        return np.exp(x)
    value = np.exp(x.value)
    return _joined(value, (x, value))


@overload
def log(x: Dual) -> Dual: ...
@overload
def log(x: Any) -> Any: ...
def log(x: Any) -> Any:
    """Natural logarithm of a Dual or of plain numbers."""
    return _joined(np.log(x.value), (x, 1.0 / x.value)) if isinstance(x, Dual) else np.log(x)


def smaller(x: Any, y: Any) -> Any:
    """The smaller of two, with its slopes; y may be a Dual."""
    if not isinstance(y, Dual):
        return np.minimum(x, y)
    return _joined(np.minimum(x, y.value), (y, (y.value < x).astype(np.float64)))


def outer(x: Any) -> Any:
    """The same with one more axis at the end, for a sum over what happened during each run."""
    if not isinstance(x, Dual):
        return np.asarray(x)[..., None]
    return Dual(np.asarray(x.value)[..., None], {k: np.asarray(slope)[..., None] for k, slope in x.slopes.items()})


def total(x: Any) -> Any:
    """The sum over the last axis."""
    if not isinstance(x, Dual):
        return np.sum(x, axis=-1)
    slopes = {k: np.broadcast_to(slope, x.value.shape).sum(axis=-1) for k, slope in x.slopes.items()}
    return Dual(x.value.sum(axis=-1), slopes)


def _joined(value: Array, *parts: tuple[Dual, Any]) -> Dual:
    """The chain rule: each part with the derivative of the value by it."""
    slopes: dict[int, Array] = {}
    for part, factor in parts:
        for k, slope in part.slopes.items():
            slopes[k] = slopes[k] + slope * factor if k in slopes else slope * factor
    return Dual(value, slopes)
