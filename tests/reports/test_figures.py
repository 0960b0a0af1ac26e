"""Figures from their parts: forecast, law, forest and IsoFLOP curves, each without a whole study."""

from __future__ import annotations

import dataclasses
import math

import pytest

from foretoken.reports import PageOptions, page_of
from foretoken.reports.forecast_figure import ForecastView, MeasuredRun, forecast_section, path_to_target
from foretoken.reports.forest import Line, forest
from foretoken.reports.isoflop_figures import isoflop_section
from foretoken.reports.law_section import law_section, no_law_section
from foretoken.reports.study_page import State, rivals_section, state_of

from .reader import Reader

RUNS = [MeasuredRun("a", 1e12, 3.0), MeasuredRun("b", 4e12, 2.8)]


def test_runs_alone_are_drawn_before_there_is_a_forecast():
    section = forecast_section(ForecastView(runs=RUNS, forecast=None, fit=None, goal=8e12), {})
    assert "2 small runs have a loss; nothing is forecast yet" in section
    assert "Bar with caps" not in section
    assert "Crosses" not in section


def test_a_forecast_that_is_not_frozen_is_not_called_so(material):
    view = ForecastView(runs=RUNS, forecast=material.whole.forecast, fit=None)
    assert "frozen" not in forecast_section(view, {})
    assert "the frozen forecast" in forecast_section(dataclasses.replace(view, frozen=True), {})


def test_known_entropy_rate_and_rivals_are_drawn_and_named(material):
    forecast = material.whole.forecast
    rivals = {"largest_run": forecast.loss * 1.02, "a guess": forecast.loss * 1.03}
    view = ForecastView(runs=RUNS, forecast=forecast, fit=None, rivals=rivals, entropy_rate=0.9)
    text = Reader(forecast_section(view, {})).text
    assert "below which no model can go" in text
    assert f"largest small run {rivals['largest_run']:.3f}" in text
    assert f"a guess {rivals['a guess']:.3f}" in text


@pytest.mark.parametrize("unknown", ["params", "tokens", "flops"])
def test_there_is_no_way_to_a_target_of_unknown_size(material, unknown):
    forecast = dataclasses.replace(material.whole.forecast, **{unknown: math.nan})
    assert path_to_target(forecast, material.whole.fit) is None
    assert path_to_target(None, material.whole.fit) is None
    assert path_to_target(material.whole.forecast, None) is None


def test_law_section_says_what_is_known_beside_the_fit(material):
    whole = material.whole.fit
    fit = dataclasses.replace(whole, parameters={**whole.parameters, "E": 0.91}, reasons={})
    assert "entropy rate" not in law_section(fit, {})
    assert "the source&#x27;s entropy rate is 0.9012" in law_section(fit, {}, entropy_rate=0.9012)
    assert "approach 3" not in law_section(fit, {}, approach3=fit)


@pytest.mark.parametrize(("refusal", "kind"), [("too few <runs>", "doubt"), (None, None)])
def test_without_a_fit_the_section_says_why(refusal, kind):
    section = no_law_section(refusal)
    assert ('class="doubt"' in section) == (kind == "doubt")
    assert ("too few &lt;runs&gt;" in section) == (refusal is not None)


def test_a_long_name_is_cut_on_a_phone_alone():
    name = "x" * 80
    wide, narrow = forest("f", [Line(name, 1.0)], "value", title="t", described="d")
    assert name in wide
    assert name not in narrow
    assert "x…" in narrow


def test_a_forest_without_any_number_has_an_axis():
    for log in (None, str):
        panels = forest("f", [Line("nothing", None)], "value", title="t", described="d", log=log)
        assert all("none</text>" in panel for panel in panels)


def test_values_of_no_logarithm_do_not_set_a_log_axis():
    wide, _ = forest(
        "f", [Line("a", 2.0, (0.0, 4.0))], "value", title="t", described="d", log=lambda tick: f"<{tick:g}>"
    )
    assert "&lt;2&gt;" in wide
    assert "&lt;0.0" not in wide


@pytest.mark.parametrize(("status", "arrow"), [("edge_small", "←"), ("edge_large", "→")])
def test_an_arrow_says_where_the_minimum_must_be(material, status, arrow):
    first, *others = material.whole.isoflop.budgets
    edge = dataclasses.replace(first, status=status, params=None, params_interval=None, tokens=None, loss=None)
    section = isoflop_section(dataclasses.replace(material.whole.isoflop, budgets=[edge, *others]), {})
    assert [f">{mark}</text>" in section for mark in "←→"] == [mark == arrow for mark in "←→"]


def test_isoflop_curves_show_the_target_where_there_is_one(material):
    isoflop, forecast = material.whole.isoflop, material.whole.forecast
    assert ">target</text>" not in isoflop_section(isoflop, {})
    assert ">target</text>" in isoflop_section(isoflop, {}, forecast)
    empty = dataclasses.replace(isoflop, budgets=[dataclasses.replace(b, runs=[]) for b in isoflop.budgets])
    assert isoflop_section(empty, {}) is None


def test_states_of_a_study(material):
    outside = dataclasses.replace(material.whole.outcome, inside=False)
    states = [
        state_of(material.study(**changes))
        for changes in (
            {},
            {"outcome": outside},
            {"outcome": None},
            {"entry": None, "outcome": None},
            {"refusal": "no"},
        )
    ]
    assert states == [State.INSIDE, State.OUTSIDE, State.OPEN, State.NONE, State.DISTRUSTED]
    assert set(states) == set(State)


def test_rivals_are_open_until_there_is_an_outcome(material):
    assert rivals_section(material.study(entry=None, outcome=None)) is None
    names = len(material.whole.rivals)
    assert rivals_section(material.study(outcome=None)).count("<td>open</td>") == 1 + names
    scored = rivals_section(material.whole)
    assert "open" not in scored
    errors = material.whole.outcome.rivals
    assert all(f"{100 * abs(error):.2f}" in scored for error in errors.values())


def test_a_forecast_of_the_mean_says_so(material):
    forecast = material.whole.forecast
    assert "the law itself, not one run" not in page_of(forecast)
    assert "(the law itself, not one run)" in page_of(dataclasses.replace(forecast, kind="mean"))


def test_a_forecast_with_its_fit_has_figure_and_law(material):
    alone = Reader(page_of(material.whole.forecast))
    assert alone.headings == ["Checks"]
    behind = Reader(page_of(material.whole.forecast, PageOptions(fit=material.whole.fit)))
    assert behind.headings == ["The forecast", "How well does the law fit?"]
