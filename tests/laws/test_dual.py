"""Dual numbers: values as numpy computes them, slopes as finite differences and the rules of calculus give them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.laws.dual import Dual, exp, log, outer, smaller, total
from foretoken.laws.law import Real

positive = st.floats(0.2, 5.0)
UNARY: dict[str, Callable[[Real], Real]] = {
    "minus": lambda x: -x,
    "exp": exp,
    "log": log,
    "add a number": lambda x: x + 2.5,
    "add to a number": lambda x: 2.5 + x,
    "take a number": lambda x: x - 2.5,
    "take from a number": lambda x: 2.5 - x,
    "times a number": lambda x: x * -3.0,
    "a number times": lambda x: -3.0 * x,
    "by a number": lambda x: x / 4.0,
    "a number by": lambda x: 4.0 / x,
    "to a number": lambda x: x**-1.7,
    "to zero": lambda x: x**0.0,
    "a number to": lambda x: 3.0**x,
    "to itself": lambda x: x**x,
    "of itself": lambda x: x / x + x * x - x,
    "smaller, and it is": lambda x: smaller(9.0, x),
    "smaller, and it is not": lambda x: smaller(0.1, x),
}
BINARY: dict[str, Callable[[Real, Real], Real]] = {
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: x - y,
    "product": lambda x, y: x * y,
    "quotient": lambda x, y: x / y,
    "power": lambda x, y: x**y,
    "sum over an axis": lambda x, y: total(outer(x) * np.array([1.0, 2.0, 3.0]) * outer(y)),
    "a formula": lambda x, y: log(1 + exp(-x * y)) / (x**2 + y) ** 0.5,
}


def dual(value: float, k: int = 0) -> Dual:
    return Dual(np.array(value), {k: np.array(1.0)})


def slope_of(function: Callable[[float], Real], at: float) -> float:
    """Central difference."""
    return float((function(at + 1e-6) - function(at - 1e-6)) / 2e-6)


@pytest.mark.parametrize("name", UNARY)
@settings(deadline=None)
@given(x=positive)
def test_one_operand(name: str, x: float) -> None:
    function = UNARY[name]
    result = function(dual(x))
    assert float(result.value) == pytest.approx(float(function(x)), rel=1e-12, abs=1e-12)
    assert float(result.slopes[0]) == pytest.approx(slope_of(function, x), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", BINARY)
@settings(deadline=None)
@given(x=positive, y=positive)
def test_two_operands(name: str, x: float, y: float) -> None:
    function = BINARY[name]
    result = function(dual(x, 0), dual(y, 3))
    assert set(result.slopes) == {0, 3}
    assert float(result.value) == pytest.approx(float(function(x, y)), rel=1e-12, abs=1e-12)
    assert float(result.slopes[0]) == pytest.approx(slope_of(lambda x: function(x, y), x), rel=1e-5, abs=1e-5)
    assert float(result.slopes[3]) == pytest.approx(slope_of(lambda y: function(x, y), y), rel=1e-5, abs=1e-5)


@settings(deadline=None)
@given(x=positive, y=positive)
def test_rules_of_calculus(x: float, y: float) -> None:
    u, v = dual(x, 0), dual(y, 1)
    product, quotient = u * v, u / v
    assert float(product.slopes[0]) == y
    assert float(product.slopes[1]) == x
    assert float(quotient.slopes[1]) == pytest.approx(-x / y**2)
    assert float(log(exp(u)).slopes[0]) == pytest.approx(1.0)
    assert float((u**v).slopes[1]) == pytest.approx(x**y * np.log(x), rel=1e-9, abs=1e-12)


def test_an_operand_keeps_its_own_slopes() -> None:
    x = dual(2.0)
    for function in UNARY.values():
        function(x)
    assert float(x.value) == 2.0
    assert {k: float(slope) for k, slope in x.slopes.items()} == {0: 1.0}


def test_arrays_broadcast_to_batch_by_runs() -> None:
    scale = Dual(np.array([[2.0], [3.0]]), {0: np.ones((2, 1))})
    runs = np.array([1.0, 4.0, 9.0])
    for result in (scale * runs, runs * scale):  # numpy must leave the second to the Dual
        np.testing.assert_array_equal(result.value, [[2, 8, 18], [3, 12, 27]])
        np.testing.assert_array_equal(np.broadcast_to(result.slopes[0], (2, 3)), [runs, runs])
    power = runs**scale
    np.testing.assert_allclose(power.value, [runs**2, runs**3])
    np.testing.assert_allclose(power.slopes[0], [runs**2 * np.log(runs), runs**3 * np.log(runs)])


def test_a_sum_over_the_last_axis_sums_slopes_also_where_they_are_broadcast() -> None:
    history = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    scale = Dual(np.array([[2.0], [10.0]]), {0: np.ones((2, 1))})
    result = total(outer(scale) * history)
    np.testing.assert_array_equal(result.value, [[12, 30], [60, 150]])
    np.testing.assert_array_equal(result.slopes[0], [[6, 15], [6, 15]])
    lifted = total(outer(scale) + np.zeros(3))  # the slope has one entry, the value three
    np.testing.assert_array_equal(lifted.slopes[0], [[3], [3]])


def test_plain_numbers_pass_through_every_function() -> None:
    assert exp(0.0) == 1.0
    assert log(1.0) == 0.0
    assert smaller(2.0, 3.0) == 2.0
    np.testing.assert_array_equal(smaller(np.array([1.0, 5.0]), 3.0), [1.0, 3.0])
    np.testing.assert_array_equal(total(outer(np.array([1.0, 2.0])) * np.ones(3)), [3.0, 6.0])
