"""Y = k X1^a1 X2^a2 ...: the form of rules for an optimal size, learning rate or batch. Straight in logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from foretoken.laws.formula import Parameter, either_sign, law_from
from foretoken.laws.law import FEATURES, Array, Law, Real


def product(
    name: str,
    *,
    gives: str,
    symbol: str,
    column: str,
    powers: Mapping[str, str],
    citation: str,
    domain: str,
    optimum: Callable[..., tuple[Real, Real]] | None = None,
) -> Law:
    """The Law of a product of powers: `powers` names the exponent of each feature.

    `gives` is the unit and `symbol` the letter of what is predicted, a `column` of the run table; `optimum` gives N*
    and D* where the product splits compute.
    """

    def function(*features: Real, k: Real, **exponents: Real) -> Real:
        result = k
        for feature, power in zip(features, powers.values(), strict=True):
            result = result * feature ** exponents[power]
        return result

    terms = " ".join(f"{FEATURES[feature].symbol}^{power}" for feature, power in powers.items())
    per = " x ".join(f"{FEATURES[feature].unit or feature}^-{power}" for feature, power in powers.items())
    return law_from(
        function,
        name=name,
        formula=f"{symbol} = k {terms}",
        features=tuple(powers),
        parameters={
            "k": Parameter(low=1e-130, high=1e130, unit=f"{gives} x {per}"),
            **{power: either_sign(-10.0, 10.0) for power in powers.values()},
        },
        starts=_least_squares,
        shift=_shift,
        unit=gives,
        column=column,
        citation=citation,
        domain=domain,
        optimum=optimum,
    )


def _least_squares(x: Array, y: Array) -> Array:
    # ln Y = ln k + sum a_i ln X_i is linear in theta: the one start is the answer of a fit by squares.
    line = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
    return np.asarray(line[None], dtype=np.float64)


def _shift(theta: Array, origin: Array) -> Array:
    # ln k' + sum a_i (x_i - o_i) = (ln k' - sum a_i o_i) + sum a_i x_i
    moved = theta.copy()
    moved[..., 0] -= (theta[..., 1:] * origin).sum(axis=-1)
    return moved
