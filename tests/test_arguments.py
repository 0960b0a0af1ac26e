"""Arguments by their names: what is near is named, what is typed is seen by `inspect.signature`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretoken as ft
from foretoken.arguments import ArgumentNameError, check_level, named_arguments, nearest, takes
from foretoken.errors import ForetokenError


@dataclass(frozen=True)
class AreaRequest:
    width: float
    height: float = 1.0


@takes(AreaRequest)
def area(request: AreaRequest) -> float:
    """The area of a rectangle."""
    return request.width * request.height


@named_arguments
def half(value: float, *, rounded: bool = False) -> float:
    """Half of a value."""
    return round(value / 2) if rounded else value / 2


def test_right_names_pass() -> None:
    assert area(3, height=2) == 6
    assert half(3, rounded=True) == 2


@pytest.mark.parametrize(
    ("call", "near"), [(lambda: area(3, heigth=2), "height"), (lambda: half(3, round=True), "rounded")]
)
def test_a_wrong_name_is_refused_with_the_nearest(call, near: str) -> None:
    with pytest.raises(ArgumentNameError, match=f"(?s)has no argument.*did you mean '{near}'"):
        call()


def test_nothing_is_proposed_where_nothing_is_near() -> None:
    with pytest.raises(ArgumentNameError) as refusal:
        half(3, qqqq=1)
    assert refusal.value.cure is None
    assert refusal.value.expected == "value, rounded"


def test_a_wrong_name_is_a_type_error_as_in_any_python_function() -> None:
    with pytest.raises(TypeError):
        half(3, qqqq=1)
    with pytest.raises(TypeError):
        area()


def test_the_signature_is_the_request_s() -> None:
    assert str(inspect.signature(area)) == "(width: 'float', height: 'float' = 1.0) -> 'float'"
    assert area.__doc__ == "The area of a rectangle."
    assert list(inspect.signature(half).parameters) == ["value", "rounded"]


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=9))
def test_nearest_gives_known_names_alone(name: str, known: list[str]) -> None:
    assert set(nearest(name, known, most=3)) <= set(known)
    assert name not in known or len(name) > 100 or nearest(name, known) == [name]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90.0, float("nan"), "0.9", True, None])
def test_a_level_is_a_probability(level: Any) -> None:
    with pytest.raises(ForetokenError, match="probability"):
        check_level(level)
    assert check_level(0.9) is None


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ft.fit("sample", seed="x"), "seed is of another kind"),
        (lambda: ft.fit("sample", seed=-1), "seed must not be negative"),
        (lambda: ft.fit("sample", 3), "law is of another kind"),
        (lambda: ft.diagnose("sample", seed=1.5), "seed is of another kind"),
        (lambda: ft.fit("sample", draws=True), "draws is of another kind"),
        (lambda: ft.plan("1e22", law=3), "law is of another kind"),
        (lambda: ft.next_run("1e22", spend=[]), "spend is of another kind"),
    ],
)
def test_an_argument_of_another_kind_is_refused_by_its_name(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ForetokenError, match=told):
        call()


def test_numbers_of_numpy_are_numbers() -> None:
    found = ft.fit("sample", "power", draws=np.int64(50), level=np.float32(0.5), seed=np.int8(3))
    assert found.level == 0.5
