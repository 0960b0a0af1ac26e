"""Colours by compute: every run has one, in order, and each is defined for light and dark paper."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.fits.parts import FittedRun
from foretoken.reports.palette import (
    MOST_COLOURS,
    budget_styles,
    budgets_of,
    colour_groups,
    colour_key,
    colour_of,
    drawn_words,
    ranked,
    thinned,
)
from foretoken.reports.svg import INK

RUN = FittedRun(run="r", group=None, parent=None, params=1e8, tokens=2e9, flops=1e18, loss=3.0, fitted=3.0)


@given(st.lists(st.floats(1e15, 1e26), min_size=1, max_size=60))
def test_every_run_has_a_colour_and_more_compute_never_an_earlier_one(flops):
    names, budgets = colour_groups(flops)
    assert set(names) == set(budgets)
    assert len(budgets) <= MOST_COLOURS + 4
    ranks = [budgets[name].rank for _, name in sorted(zip(flops, names, strict=True))]
    assert ranks == sorted(ranks)


@given(st.lists(st.floats(1e15, 1e26), min_size=1, max_size=9, unique=True))
def test_every_variable_is_defined_on_light_and_on_dark_paper(flops):
    budgets = ranked((str(value), value) for value in sorted(flops))
    styles = budget_styles(budgets)
    for budget in budgets.values():
        assert styles.count(f"{budget.variable[4:-1]}:#") == 2
    assert len({budget.colour for budget in budgets.values()}) == len(budgets)


def test_a_group_without_a_colour_is_ink():
    budgets = ranked([("a", 1e18)])
    assert colour_of("a", budgets) == budgets["a"].colour != INK
    assert colour_of("b", budgets) == colour_of(None, budgets) == INK


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"flops": [1.0]}), pd.DataFrame({"group": ["a"]})])
def test_a_table_without_budgets_has_no_colours(frame):
    assert budgets_of(frame) == {}
    assert budget_styles({}) == ""


def test_groups_are_in_order_of_their_median_compute():
    frame = pd.DataFrame({"group": ["b", "a", "b", "c"], "flops": [3e18, 1e18, 5e18, None]})
    assert list(budgets_of(frame)) == ["a", "b"]


def test_the_key_names_each_colour_and_is_left_out_for_one():
    assert colour_key(ranked([("a", 1e18)])) is None
    key = colour_key(ranked([("<", 1e18), (">", 1e20)]))
    assert re.findall(r"--budget-(\d)", key) == ["0", "1"]
    assert "10¹⁸" in key
    assert "10²⁰" in key


def test_thinning_keeps_the_ends_of_compute_and_the_ten_farthest_runs():
    runs = [dataclasses.replace(RUN, run=str(i), flops=1e18 * 1.01**i) for i in range(500)]
    far = set(range(7, 500, 50))
    runs = [dataclasses.replace(run, loss=3.5) if i in far else run for i, run in enumerate(runs)]
    drawn = thinned(runs, most=40)
    assert far | {0, 499} <= set(drawn)
    assert len(drawn) <= 50
    assert thinned(runs[:40], most=40) == list(range(40))


def test_a_caption_says_how_many_marks_are_drawn():
    assert drawn_words(3, 3) == ""
    assert drawn_words(400, 12_000, "cells of runs") == "Drawn: 400 of 12k cells of runs, evenly over compute. "
