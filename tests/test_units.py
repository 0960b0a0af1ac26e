from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.units import format_count, format_duration, format_flops, parse_count, parse_flops


@pytest.mark.parametrize(
    ("text", "value"), [("7B", 7e9), ("1.5 M", 1.5e6), ("300", 300), ("20_000k", 2e7), (12, 12.0), ("2T", 2e12)]
)
def test_counts(text: str | int, value: float) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize(("text", "value"), [("1e21 FLOP", 1e21), ("3640 PF-days", 3640 * 8.64e19), (5e11, 5e11)])
def test_flops(text: str | float, value: float) -> None:
    assert parse_flops(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "7X", "seven", "-1", "0", "1e400", "nan", True, "7 b", "٣", "1" * 101, [], 10**400]
)
def test_what_is_no_quantity_is_refused(text: str | bool) -> None:
    with pytest.raises(ForetokenError):
        parse_count(text)


@given(st.floats(min_value=100, max_value=9e14))
def test_a_written_count_reads_back_to_three_digits(value: float) -> None:
    assert math.isclose(parse_count(format_count(value)), value, rel_tol=0.006)


@given(st.floats(min_value=1e3, max_value=1e30))
def test_written_flops_read_back(value: float) -> None:
    assert math.isclose(parse_flops(format_flops(value)), value, rel_tol=0.006)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.31, "0.3 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (200_000, "2 d 7 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
