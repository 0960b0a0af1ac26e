"""Numbers as a page writes them: they read back, keep their digits, and never claim a sign that is not shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.reports.numbers import MISSING, count, factor, interval, missing, number, percent, power, significant

from .reader import read_number

SIGNED = st.floats(-1e6, 1e6, allow_nan=False)
ANY_SIZE = st.floats(1e-12, 1e28)


@given(SIGNED, st.integers(0, 6))
def test_a_number_reads_back_to_its_digits(value, digits):
    assert read_number(number(value, digits)) == pytest.approx(value, abs=0.5001 * 10**-digits)


@given(st.lists(SIGNED, min_size=2, max_size=8), st.integers(1, 5))
def test_a_column_of_numbers_has_one_precision(values, digits):
    assert {len(number(value, digits).partition(".")[2]) for value in values} == {digits}


@given(st.floats(-1, 1), st.integers(0, 5))
def test_what_rounds_to_zero_has_no_sign(value, digits):
    for words in (number(value, digits), percent(value, digits), percent(value, digits, signed=True)):
        if not read_number(words.rstrip("%\u202f")):
            assert words[0] not in "-−+"


@given(st.floats(-10, 10), st.integers(0, 4))
def test_a_signed_percentage_shows_the_sign_of_what_it_shows(value, digits):
    words = percent(value, digits, signed=True)
    shown = read_number(words.rstrip("%\u202f"))
    assert words[0] == ("+" if shown > 0 else "−" if shown < 0 else "0")


@given(SIGNED, st.integers(0, 4))
def test_a_percentage_reads_back(value, digits):
    shown = read_number(percent(value, digits).rstrip("%\u202f")) / 100
    assert shown == pytest.approx(value, abs=0.5001 * 10 ** -(digits + 2), rel=1e-12)


@given(ANY_SIZE, st.integers(2, 5))
def test_significant_digits_read_back(value, digits):
    assert read_number(significant(value, digits)) == pytest.approx(value, rel=0.5001 * 10 ** (1 - digits))


@given(st.floats(1e-3, 9.9e4), st.integers(2, 5))
def test_as_many_digits_are_shown_as_were_asked_for(value, digits):
    shown = significant(value, digits).replace(".", "").lstrip("0")
    assert len(shown) >= digits


@given(ANY_SIZE)
def test_the_sign_is_all_that_a_negative_number_changes(value):
    assert significant(-value) == f"−{significant(value)}"
    assert number(-1 - value) == f"−{number(1 + value)}"


@given(ANY_SIZE, st.integers(0, 4))
def test_a_power_reads_back(value, digits):
    assert read_number(power(value, digits)) == pytest.approx(value, rel=0.5001 * 10**-digits)


@given(st.integers(-20, 30))
def test_a_power_of_ten_has_no_mantissa(exponent):
    assert "·" not in power(10.0**exponent)
    assert power(3 * 10.0**exponent).startswith("3·10")


@given(st.floats(1e-4, 1e12))
def test_a_factor_reads_back_and_never_has_the_e_of_a_computer(value):
    words = factor(value)
    assert words.startswith("×")
    assert "e" not in words
    assert read_number(words[1:]) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize("write", [number, significant, power, percent])
def test_a_minus_is_no_hyphen_and_zero_has_none(write):
    assert "-" not in write(-2.5e-4)
    assert "−" not in write(-0.0)


@pytest.mark.parametrize("write", [number, significant, power, percent, factor, count])
def test_zero_is_a_number_and_nothing_is_not(write):
    assert write(None) == write(math.nan) == MISSING
    assert "0" in write(0.0)


@pytest.mark.parametrize(("value", "words"), [(0.0, "0"), (-0.0, "0"), (math.inf, "inf"), (-math.inf, "−inf")])
def test_what_has_no_exponent_is_written_without_one(value, words):
    assert power(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(999.4, "999"), (999.9, "1000"), (0.00099999, "0.00100"), (99999.9, "100000"), (1e5, "10⁵"), (-0.0, "0.00")],
)
def test_significant_digits_at_the_edges_of_their_ranges(value, words):
    assert significant(value) == (words if value != 0.00099999 else "10⁻³")


@pytest.mark.parametrize("bounds", [None, (), [None, 2.0], (1.0, math.nan), "1 to 2", 3.0])
def test_an_interval_without_two_numbers_is_a_dash_or_empty(bounds):
    assert interval(bounds) == ("[]" if bounds == () else MISSING)


@given(ANY_SIZE, ANY_SIZE)
def test_an_interval_is_its_two_ends(low, high):
    first, second = interval([low, high]).strip("[]").split(", ")
    assert (first, second) == (significant(low), significant(high))


@pytest.mark.parametrize("value", [0, 0.0, False, "", [], math.inf])
def test_only_none_and_nan_are_missing(value):
    assert not missing(value)
