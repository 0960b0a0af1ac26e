"""Drawings: the same bytes each time, colours by name, labels that are whole, one size for each screen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.reports.svg import (
    ACCENT,
    INK,
    PHONE,
    apart,
    drawing,
    figure_size,
    is_wide,
    log_axis,
    padded,
    responsive,
    short_count,
    write_label,
)


def draw_point(axes) -> None:
    """A point with a name."""
    axes.plot(1.23456789, 2, "o", color=ACCENT)
    write_label(axes, "1.23456789 <b>", (1.23456789, 2), (5, 0), colour=INK)


def test_colours_become_variables_and_words_stay_whole():
    svg = drawing("p", (200, 100), draw_point, title="a < b", described="d")
    assert "var(--accent)" in svg
    assert "#0101" not in svg
    assert "1.23456789 &lt;b&gt;</text>" in svg
    assert '<title id="p-title">a &lt; b</title>' in svg


def test_equal_drawings_are_equal_bytes_and_other_names_share_no_id():
    first, again = (drawing("p", (200, 100), draw_point, title="t", described="d") for _ in range(2))
    assert first == again
    other = drawing("q", (200, 100), draw_point, title="t", described="d")
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, other)]
    assert not ids[0] & ids[1]


def test_responsive_draws_once_for_each_screen():
    sizes = []
    panels = responsive("p", lambda axes: sizes.append((is_wide(axes), *figure_size(axes))), title="t", described="d")
    assert sizes == [(True, 760, 340), (False, PHONE, 320)]
    assert ['class="wide"' in panel for panel in panels] == [True, False]
    assert ['class="narrow"' in panel for panel in panels] == [False, True]


def test_a_label_above_stands_at_a_share_of_the_height():
    def low_and_high(axes) -> None:
        axes.set_ylim(0, 1000)
        write_label(axes, "top", (0.5, 1.0), above=True)
        write_label(axes, "bottom", (0.5, 0.0), above=False)

    svg = drawing("p", (200, 100), low_and_high, title="t", described="d")
    heights = [float(y) for y in re.findall(r'<text[^>]*y="([\d.]+)"', svg)[-2:]]
    assert heights[1] - heights[0] > 40


@pytest.mark.parametrize(("width", "most"), [(760, 21), (200, 5)])
def test_a_narrow_axis_has_fewer_labels(width, most):
    def draw(axes) -> None:
        log_axis(axes, "x", 1e6, 1e26, short_count)
        axes.set_yticks([])

    svg = drawing("p", (width, 100), draw, title="t", described="d")
    assert 1 <= svg.count("</text>") <= most


@given(st.lists(st.floats(1e-6, 1e30), min_size=1, max_size=6))
def test_padded_bounds_hold_every_value(values):
    low, high = padded(values)
    assert low < min(values)
    assert high > max(values)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_labels_that_are_apart_already_stay(values):
    heights = sorted(values)
    spread = [height + 10 * i for i, height in enumerate(heights)]
    assert apart(spread, 1.0) == pytest.approx(spread)
