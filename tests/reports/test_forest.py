"""The figure of numbers with their intervals: what stands at the right, and where its axis ends."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.reports.forest import NARROW_LETTERS, WIDE_LETTERS, Line, _bounds, forest
from foretoken.reports.svg import short_count

FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (Line("a", 0.512), "0.512"),
        (Line("a", 0.512, (0.4, 0.6)), "0.512 (0.400 to 0.600)"),
        (Line("a", 0.512, (0.4, 0.6), text="half"), "half"),
        (Line("a", None), "none"),
        (Line("a", None, (0.4, 0.6), text="open"), "open"),
        (Line("a", -2.0, (-3.0, -1.0)), "−2.00 (−3.00 to −1.00)"),
    ],
)
def test_the_words_at_the_right_are_the_number_with_its_interval(line, words):
    assert line.words == words


@given(st.lists(FINITE, min_size=1, max_size=8), st.lists(FINITE, max_size=3))
def test_the_axis_holds_every_value_and_every_mark(values, marks):
    low, high = _bounds([Line("a", value) for value in values], marks, log=False)
    assert low < min([*values, *marks])
    assert high > max([*values, *marks])


@given(st.lists(st.floats(1e-6, 1e24), min_size=1, max_size=8))
def test_a_log_axis_holds_every_value_that_has_a_logarithm(values):
    lines = [Line("a", value, (-1.0, value), start=0.0) for value in values]
    low, high = _bounds(lines, [], log=True)
    assert 0 < low < min(values)
    assert high > max(values)


@given(FINITE, FINITE, FINITE, FINITE)
def test_intervals_starts_and_hollow_marks_set_the_axis_too(value, end, start, beside):
    low, high = _bounds([Line("a", value, (end, value), start=start, beside=beside)], [], log=False)
    assert low < min(value, end, start, beside)
    assert high > max(value, end, start, beside)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_finite_does_not_set_the_axis(value):
    assert _bounds([Line("a", value)], [], log=False) == (0.0, 1.0)
    assert _bounds([Line("a", value), Line("b", 2.0)], [], log=False)[1] < 3


def test_every_line_is_named_in_order_with_its_number_and_each_mark_has_its_words():
    lines = [Line("first <b>", 1.0), Line("second", 4.0, (3.0, 5.0), strong=True)]
    wide, narrow = forest("f", lines, "size (N)", title="t", described="d", marks=[(2.0, "half way")])
    for panel in (wide, narrow):
        texts = re.findall(r">([^<>\n]+)</text>", panel)
        named = [text for text in texts if text in ("first &lt;b&gt;", "second")]
        assert named == ["first &lt;b&gt;", "second"]
        assert {"1.00", "4.00 (3.00 to 5.00)", "half way", "size (N)"} <= set(texts)
        assert "var(--accent)" in panel


def test_a_number_that_has_no_room_beside_its_name_is_shortened_then_left_out():
    long_text = "y" * (WIDE_LETTERS + 1)
    lines = [Line("name", 2.5, text=long_text), Line("n" * (NARROW_LETTERS - 2), 3.5)]
    wide, narrow = forest("f", lines, "v", title="t", described="d")
    assert long_text not in wide + narrow
    assert ">2.50</text>" in wide
    assert ">3.50</text>" in wide
    assert ">3.50</text>" not in narrow


def test_the_ticks_of_a_log_axis_are_written_as_asked():
    wide, _ = forest("f", [Line("a", 3e9), Line("b", 8e11)], "N", title="t", described="d", log=short_count)
    assert {">10B</text>", ">100B</text>"} <= set(re.findall(r">[^<>]*</text>", wide))
