"""Elements, wording, drawing and the parts of figures that compute something."""

from __future__ import annotations

import dataclasses
import doctest
import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.reports import html, numbers, page_of, palette, svg
from foretoken.reports.forecast_figure import path_to_target
from foretoken.reports.html import Html, element, join
from foretoken.reports.isoflop_figures import isoflop_section
from foretoken.reports.law_section import law_section
from foretoken.reports.palette import budget_styles, budgets_of
from foretoken.reports.run_figures import _thinned
from foretoken.reports.svg import apart, log_ticks, padded


@pytest.mark.parametrize("module", [html, svg, numbers, palette])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


@given(st.text())
def test_text_never_becomes_markup(text):
    written = element("p", text, title=text)
    assert written.count("<") == 2
    assert written.count('"') == 2


def test_html_is_not_escaped_twice():
    assert element("p", element("b", "1 < 2"), None) == "<p><b>1 &lt; 2</b></p>"
    assert join([Html("<i>"), "<i>"]) == "<i>&lt;i&gt;"


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_power_keeps_three_digits(value):
    mantissa, _, raised = numbers.power(value).rpartition("10")
    exponent = int("".join("0123456789-"["⁰¹²³⁴⁵⁶⁷⁸⁹⁻".index(mark)] for mark in raised))
    assert float(mantissa.rstrip("·") or 1) * 10.0**exponent == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(
    "write", [numbers.number, numbers.significant, numbers.power, numbers.count, numbers.percent, numbers.factor]
)
def test_missing_is_a_dash(write):
    assert write(None) == write(math.nan) == "—"


@given(st.lists(st.floats(0, 10), min_size=1, max_size=7), st.floats(0.01, 1))
def test_labels_end_up_apart_and_in_order(places, gap):
    moved = apart(places, gap)
    order = sorted(range(len(places)), key=lambda i: places[i])
    steps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(step >= gap * (1 - 1e-9) for step in steps)
    assert sum(moved) == pytest.approx(sum(places))


@given(st.floats(-3, 25), st.floats(0.1, 12))
def test_ticks_lie_inside_and_are_1_2_5_where_these_are_enough(start, decades):
    low, high = 10**start, 10 ** (start + decades)
    labelled, bare = log_ticks(low, high)
    assert all(low <= tick <= high for tick in labelled + bare)
    digits = {f"{tick:.3e}"[:5] for tick in labelled + bare}
    assert digits <= {"1.000", "2.000", "5.000"} or decades < 0.7
    assert len(labelled) >= 2


def test_padded_leaves_air_around_one_value():
    low, high = padded([100.0])
    assert low < 100 < high


def test_budget_colours_follow_log_compute(material):
    budgets = budgets_of(material.whole.ladder)
    assert [budget.label for budget in budgets.values()] == ["1.25·10¹¹", "2.5·10¹¹", "5·10¹¹", "10¹²"]
    light, dark = budget_styles(budgets).split("@media screen")
    assert light.count("--budget-") == dark.count("--budget-") == 4
    assert set(re.findall("#[0-9a-f]{6}", light)) != set(re.findall("#[0-9a-f]{6}", dark))


def test_path_ends_at_the_forecast(material):
    forecast, path = material.whole.forecast, path_to_target(material.whole.forecast, material.whole.fit)
    end = path.outer[-1]
    assert (end.params, end.tokens, end.flops) == pytest.approx((forecast.params, forecast.tokens, forecast.flops))
    assert (end.loss, end.low, end.high) == pytest.approx((forecast.loss, forecast.low, forecast.high))
    assert path.flops == sorted(path.flops)
    assert all(
        wide.low < narrow.low < narrow.high < wide.high for wide, narrow in zip(path.outer, path.inner, strict=True)
    )


def test_left_out_runs_are_crossed_and_said(material):
    kept = dataclasses.replace(material.whole.fit, runs=material.whole.fit.runs[1:])
    assert "Crosses" not in page_of(material.whole)
    assert "Crosses: runs left out of the fit." in page_of(material.study(fit=kept))


def test_edge_minimum_is_hollow_and_named(material):
    first, *others = material.whole.isoflop.budgets
    edge = dataclasses.replace(first, status="edge_large", params=None, params_interval=None, tokens=None, loss=None)
    isoflop = dataclasses.replace(material.whole.isoflop, budgets=[edge, *others])
    section = isoflop_section(isoflop, budgets_of(material.whole.ladder))
    assert "3 of 4 budgets have their best size inside the sizes tried" in section
    assert "Hollow with an arrow (1.25·10¹¹ FLOP)" in section
    assert ">→</text>" in section


def test_no_minimum_at_all_draws_curves_alone(material):
    isoflop = material.whole.isoflop
    flat = [
        dataclasses.replace(b, status="no_minimum", params=None, params_interval=None, tokens=None, loss=None)
        for b in isoflop.budgets
    ]
    blank = {f"{n}_{p}": None for n in ("params", "tokens") for p in ("exponent", "exponent_interval", "prefactor")}
    isoflop = dataclasses.replace(isoflop, budgets=flat, **blank)
    section = isoflop_section(isoflop, budgets_of(material.whole.ladder))
    assert section.count("<figure") == 1
    assert "0 of 4 budgets" in section


def test_one_minimum_gives_no_exponent(material):
    isoflop = material.whole.isoflop
    first, *others = isoflop.budgets
    flat = [dataclasses.replace(b, status="too_few", params=None, tokens=None, loss=None) for b in others]
    blank = {f"{n}_{p}": None for n in ("params", "tokens") for p in ("exponent", "exponent_interval", "prefactor")}
    isoflop = dataclasses.replace(isoflop, budgets=[first, *flat], **blank)
    section = isoflop_section(isoflop, budgets_of(material.whole.ladder))
    assert "Too few minima for a power law in compute" in section


def test_unidentified_parameter_is_a_dash_with_its_reason(material):
    fit = dataclasses.replace(
        material.whole.fit,
        parameters={**material.whole.fit.parameters, "E": None},
        reasons={"E": "the runs do not level off"},
    )
    section = law_section(fit, {})
    assert "<td>E</td><td>—</td>" in section
    assert "The runs do not level off." in section


def test_thinning_keeps_both_ends():
    points = [[float(i), 1.0 / i] for i in range(1, 1000)]
    thin = _thinned(points)
    assert len(thin) <= 60
    assert (thin[0], thin[-1]) == (points[0], points[-1])
