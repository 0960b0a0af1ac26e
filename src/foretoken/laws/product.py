"""Y = k X1^a1 X2^a2 ...: the form of rules for an optimal size, learning rate or batch. Straight in logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretoken.laws.formula import Parameter, law_from, signed
from foretoken.laws.law import FEATURES, Array, Law


def product(name: str, *, gives: str, symbol: str, powers: Mapping[str, str], **data: Any) -> Law:
    """The Law of a product of powers. `gives` is the unit; `powers` names the exponent of each feature."""

    def function(*features: Any, k: Any, **exponents: Any) -> Any:
        result = k
        for feature, power in zip(features, powers.values(), strict=True):
            result = result * feature ** exponents[power]
        return result

    def starts(x: Array, y: Array) -> Array:
        line = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
        return np.asarray(line[None], dtype=np.float64)

    def shift(theta: Array, origin: Array) -> Array:
        moved = theta.copy()
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
            "k": Parameter(kind="own", low=1e-130, high=1e130, unit=f"{gives} x {per}"),
            **{power: signed(-10.0, 10.0) for power in powers.values()},
        },
        starts=starts,
        shift=shift,
        unit=gives,
        **data,
    )
