"""--where: the grammar, and rows by numbers, texts and flags."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import TableError
from foretoken.runs.filters import EXAMPLE, OPERATORS, Condition, filter_rows, parse_where

NAMES = st.text("abcdefgh_.", min_size=1, max_size=8)
VALUES = st.text("abc019.|-+ ", max_size=8).map(str.strip)
CONDITIONS = st.builds(Condition, NAMES, st.sampled_from(OPERATORS), VALUES)
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}


@given(st.lists(CONDITIONS, max_size=4))
def test_conditions_come_back_from_their_text(conditions: list[Condition]) -> None:
    assert parse_where(", ".join(map(str, conditions))) == conditions


@given(CONDITIONS, st.text(" \t", max_size=3), st.text(" \t", max_size=3))
def test_space_around_the_parts_does_not_matter(condition: Condition, before: str, after: str) -> None:
    column, sign, value = condition
    assert parse_where(f"{before}{column}{after}{sign}{before}{value}{after},{before}") == [condition]


def test_two_equals_signs_are_one() -> None:
    assert parse_where("a==b") == parse_where("a=b") == [Condition("a", "=", "b")]
    assert [condition.operator for condition in parse_where(EXAMPLE)] == ["=", "=", ">="]


@pytest.mark.parametrize("text", ["a", ">3", "=", "a b", "a=1,b"])
def test_what_is_no_comparison_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(TableError, match="not readable") as caught:
        parse_where(text)
    assert caught.value.expected == EXAMPLE


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(-5, 5), min_size=1, max_size=10),
    sign=st.sampled_from(OPERATORS),
    value=st.integers(-5, 5),
)
def test_numbers_are_compared_as_python_does(numbers: list[int], sign: str, value: int) -> None:
    frame = pd.DataFrame({"x": numbers})
    expected = [number for number in numbers if COMPARE[sign](number, value)]
    for written in (str(value), f"{value}.0", f"{value}e0"):
        if expected:
            kept, _ = filter_rows(frame, f"x{sign}{written}")
            assert list(kept["x"]) == expected
        else:
            with pytest.raises(TableError, match="leaves no row"):
                filter_rows(frame, f"x{sign}{written}")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["c4", "rpj", "rw", ""]), min_size=1, max_size=10))
def test_equal_and_unequal_part_the_rows(names: list[str]) -> None:
    frame = pd.DataFrame({"set": names, "row": range(len(names))})
    same = [row for row, name in enumerate(names) if name in ("c4", "rw")]
    other = [row for row, name in enumerate(names) if name not in ("c4", "rw")]
    for sign, rows in (("=", same), ("!=", other)):
        if rows:
            assert list(filter_rows(frame, f"set{sign}c4|rw")[0]["row"]) == rows


@pytest.mark.parametrize("empty", [None, np.nan, ""])
def test_an_empty_cell_equals_nothing_but_the_empty_text(empty: object) -> None:
    frame = pd.DataFrame({"x": ["a", empty], "row": [0, 1]})
    assert list(filter_rows(frame, "x=")[0]["row"]) == [1]
    assert list(filter_rows(frame, "x!=")[0]["row"]) == [0]
    assert list(filter_rows(frame, "x!=a")[0]["row"]) == [1]


def test_a_number_that_is_not_there_meets_no_order() -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0]})
    assert list(filter_rows(frame, "x>0")[0]["x"]) == [1.0, 3.0]
    assert list(filter_rows(frame, "x<=1")[0]["x"]) == [1.0]


def test_a_column_goes_by_its_own_name_before_ours() -> None:
    frame = pd.DataFrame({"loss": [1, 2], "val": [2, 1]})
    assert list(filter_rows(frame, "loss=1", {"loss": "val"})[0]["val"]) == [2]
    assert list(filter_rows(frame.rename(columns={"loss": "x"}), "loss=1", {"loss": "val"})[0]["val"]) == [1]


def test_rows_are_counted_and_numbered_anew() -> None:
    frame = pd.DataFrame({"x": range(10)})
    kept, sentences = filter_rows(frame, [Condition("x", ">=", "4"), Condition("x", "!=", "5|6")])
    assert list(kept["x"]) == [4, 7, 8, 9]
    assert list(kept.index) == [0, 1, 2, 3]
    assert sentences == ["--where x>=4, x!=5|6 keeps 4 of 10 rows"]


def test_an_unknown_column_shows_the_nearest() -> None:
    with pytest.raises(TableError, match="did you mean 'dataset'"):
        filter_rows(pd.DataFrame({"dataset": ["a"], "step": [1]}), "datset=a")
