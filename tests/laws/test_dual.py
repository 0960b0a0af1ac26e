from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.laws.dual import Dual, exp, log, outer, smaller, total

RULES: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda x, y: x + y + 1.0 + x,
    "difference": lambda x, y: 2.0 - x - y,
    "product": lambda x, y: 3.0 * x * y * x,
    "quotient": lambda x, y: 1.0 / x + x / y + y / 2.0,
    "power": lambda x, y: x**2.5 + x**y + 2.0**y,
    "exp and log": lambda x, y: exp(-x) * log(y),
    "smaller": lambda x, y: smaller(1.0, x) * y,
    "sum over an axis": lambda x, y: total(outer(x) * np.array([1.0, 2.0, 3.0]) * outer(y)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@given(x=st.floats(0.2, 3.0).filter(lambda x: abs(x - 1) > 1e-3), y=st.floats(0.2, 3.0))
def test_slopes_are_those_of_finite_differences(rule: Callable[[Any, Any], Any], x: float, y: float) -> None:
    dual = rule(Dual(np.array(x), {0: np.array(1.0)}), Dual(np.array(y), {1: np.array(1.0)}))
    assert dual.value == pytest.approx(float(rule(x, y)))
    step = 1e-6
    for k, (dx, dy) in enumerate(((step, 0.0), (0.0, step))):
        slope = (rule(x + dx, y + dy) - rule(x - dx, y - dy)) / (2 * step)
        assert float(dual.slopes[k]) == pytest.approx(float(slope), rel=1e-5, abs=1e-5)


def test_an_array_times_a_dual_is_one_dual() -> None:
    product = np.array([1.0, 2.0]) * Dual(np.array(3.0), {0: np.array(1.0)})
    assert isinstance(product, Dual)
    assert product.value.tolist() == [3.0, 6.0]
    assert product.slopes[0].tolist() == [1.0, 2.0]
