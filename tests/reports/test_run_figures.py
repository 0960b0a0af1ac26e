"""Figures of the runs, by what they compute: groups by size, titles, shared axes, thinned curves."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.reports.run_figures import (
    EARLY,
    MOST_POINTS,
    _by_size,
    _curve_bounds,
    _curves_title,
    _longest_runs,
    _positions_data,
    _positions_title,
    _thinned,
    curves_figure,
    positions_figure,
)
from foretoken.runs.record import CurvePoint, PositionLoss

from .reader import cells, headings

POSITIONS = (
    PositionLoss(1, 1, 5.0),
    PositionLoss(2, 63, 4.0),
    PositionLoss(64, 127, 3.25),
    PositionLoss(128, 255, 3.0),
)


def test_sizes_are_in_order_and_the_target_is_last(material):
    groups = _by_size([material.target, *material.ladder])
    sizes = [records[0].spec.parameters.total for records in groups.values()]
    assert sizes[:-1] == sorted(sizes[:-1])
    assert list(groups)[-1].startswith("target, ")
    for records in groups.values():
        assert len({record.spec.parameters.total for record in records}) == 1
        assert [record.spec.tokens for record in records] == sorted(record.spec.tokens for record in records)


def test_runs_without_a_curve_are_not_drawn(material):
    bare = [dataclasses.replace(record, curve=record.curve[:1]) for record in material.ladder[:3]]
    assert _by_size(bare) == {}
    assert curves_figure(bare, {}) is None
    assert curves_figure([], {}) is None


def test_the_title_counts_runs_trunks_and_what_diverged(material):
    first, second, *_ = (dataclasses.replace(record, parent=None) for record in material.ladder)
    lost = dataclasses.replace(second, status="diverged", loss=None)
    assert _curves_title([first]) == "1 run; none diverged"
    assert _curves_title([first, lost]) == "2 runs; 1 diverged"
    branched = [dataclasses.replace(record, parent="trunk") for record in (first, second)]
    assert _curves_title(branched) == "2 runs branch from 1 trunk; none diverged"
    assert _curves_title([*branched, dataclasses.replace(lost, parent="t2")]).startswith("3 runs branch from 2 trunks")


def test_the_axes_hold_the_late_points_of_healthy_runs_and_every_loss(material):
    records = material.ladder
    (left, right), (bottom, top) = _curve_bounds(records)
    for record in records:
        late = [point for point in record.curve if point.tokens >= EARLY * record.spec.tokens]
        assert all(left <= point.tokens <= right for point in late)
        if record.is_finished:
            assert all(bottom <= point.loss <= top for point in late)
            assert bottom < record.loss < top


def test_diverged_runs_alone_still_have_axes(material):
    lost = [record for record in material.ladder if record.has_diverged]
    assert lost
    _, (bottom, top) = _curve_bounds(lost)
    assert bottom < top


@given(st.integers(1, 5000))
def test_a_thinned_curve_is_short_in_order_and_keeps_both_ends(many):
    points = [CurvePoint(float(k + 1), 1.0) for k in range(many)]
    thin = _thinned(points)
    assert len(thin) <= MOST_POINTS
    assert len(thin) == many or many > MOST_POINTS
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    assert all(first.tokens < second.tokens for first, second in pairwise(thin))


@pytest.fixture(scope="module")
def placed(material):
    """The ladder with losses by position."""
    return [dataclasses.replace(record, by_position=POSITIONS) for record in material.ladder]


def test_of_each_size_the_longest_run_is_shown_and_the_largest_is_last(placed):
    shown = _longest_runs(placed)
    sizes = [record.spec.parameters.total for record in shown]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == max(record.spec.parameters.total for record in placed)
    for record in shown:
        same = [other for other in placed if other.spec.parameters.total == record.spec.parameters.total]
        assert record.spec.tokens == max(other.spec.tokens for other in same)


def test_the_title_is_the_gain_of_the_last_half_of_the_sequence(placed):
    assert _positions_title(placed[0]) == "From position 64–127 to 128–255 the largest run gains 0.250 of 2.00 nats"


def test_the_table_of_positions_has_a_column_per_run(placed):
    text = _positions_data(placed[:2])
    assert len(headings(text)) == 3
    assert cells(text)[1] == ["2–63", "4.0000", "4.0000"]


def test_without_losses_by_position_there_is_no_figure(material):
    assert positions_figure(material.ladder) is None
    assert _longest_runs(material.ladder) == []
