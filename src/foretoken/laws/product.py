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
    """The Law of a product of powers.

    Args:
        name: of the law.
        gives: the unit of what it predicts.
        symbol: of what it predicts, in the formula.
        column: of the run table that it predicts.
        powers: the exponent's name for each feature.
        citation: the paper.
        domain: where it holds.
        optimum: N* and D* from the parameters, where it splits compute.

    """

    def function(*features: Real, k: Real, **exponents: Real) -> Real:
        result = k
        for feature, power in zip(features, powers.values(), strict=True):
            result = result * feature ** exponents[power]
        return result

    # ln Y = ln k + sum a_i ln X_i: the fit is ordinary least squares, and one start is the answer.
    def starts(x: Array, y: Array) -> Array:
        line = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
        return np.asarray(line[None], dtype=np.float64)

    def shift(theta: Array, origin: Array) -> Array:
        moved = theta.copy()
        # k is fitted to X_i / e^o_i, and k prod (X_i / e^o_i)^a_i = (k e^-sum(a_i o_i)) prod X_i^a_i; both are theta's
        # own values here, because exponents are signed and k is a logarithm.
        moved[..., 0] -= (theta[..., 1:] * origin).sum(axis=-1)
        return moved

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
        starts=starts,
        shift=shift,
        unit=gives,
        column=column,
        citation=citation,
        domain=domain,
        optimum=optimum,
    )
