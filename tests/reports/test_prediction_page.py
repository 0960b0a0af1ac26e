"""The page of one forecast without and with its fit: sentence, distances, and what it rests on."""

from __future__ import annotations

import dataclasses
import math

import pytest

from foretoken.fits.check import Check
from foretoken.reports import page_of
from foretoken.reports.forecast_figure import (
    ForecastView,
    MeasuredRun,
    _caption,
    _data,
    _title,
    has_way,
    path_to_target,
)
from foretoken.reports.prediction_page import _facts, _sentence

from .reader import Reader, cells


@pytest.fixture(scope="module")
def forecast(material):
    """The forecast of the study."""
    return material.whole.forecast


def facts(forecast):
    """Value and remark of each fact."""
    return {name: (value, remark) for name, value, remark in _facts(forecast)}


@pytest.mark.parametrize(("kind", "ending"), [("new-run", ")."), ("mean", ") (the law itself, not one run).")])
def test_the_sentence_has_the_loss_its_unit_its_interval_and_its_kind(forecast, kind, ending):
    words = _sentence(dataclasses.replace(forecast, kind=kind)).replace("\u202f", " ")
    assert f"to reach {forecast.loss:.3f} nats per token (90 %: {forecast.low:.3f} to {forecast.high:.3f}" in words
    assert words.endswith(ending)


@pytest.mark.parametrize(
    ("kind", "words"), [("new-run", "interval of a new run"), ("mean", "interval of the law itself")]
)
def test_estimate_and_kind_are_written_out(forecast, kind, words):
    assert facts(dataclasses.replace(forecast, kind=kind))["Estimate"] == ("MAP", words)
    assert facts(dataclasses.replace(forecast, estimator="huber"))["Estimate"][0] == "huber"


def test_distances_are_named_in_words_and_inside_is_said(forecast):
    told = facts(dataclasses.replace(forecast, extrapolation={"params": 1.0, "tokens": 4.0, "flops": 1250.0}))
    assert told["Beyond the runs in size"] == ("×1", "inside them")
    assert told["Beyond the runs in tokens"] == ("×4", "")
    assert told["Beyond the runs in compute"] == ("×1250", "")


def test_without_its_fit_a_forecast_has_its_checks_alone(forecast):
    doubted = dataclasses.replace(forecast, checks=[Check("far", "doubt", "8 times beyond", "train larger runs")])
    text = page_of(doubted)
    page = Reader(text)
    assert page.headings == ["Checks"]
    assert "Read with care: 8 times beyond." in page.text
    assert "figure" not in page.tags
    assert page_of(doubted) == text
    assert "No check raised a doubt." in Reader(page_of(dataclasses.replace(forecast, checks=[]))).text


def test_a_forecast_of_unknown_compute_is_not_drawn(material, forecast):
    assert has_way(forecast, material.whole.fit)
    assert not has_way(dataclasses.replace(forecast, flops=math.nan), material.whole.fit)
    assert "—" in facts(dataclasses.replace(forecast, flops=math.nan))["Compute"][0]


RUNS = [MeasuredRun("a", 1e12, 3.0), MeasuredRun("b", 4e12, 2.8, left_out=True)]


@pytest.mark.parametrize(
    ("many", "words"), [(0, "0 small runs have"), (1, "1 small run has"), (2, "2 small runs have")]
)
def test_runs_without_a_forecast_are_counted(many, words):
    view = ForecastView(runs=RUNS[:many], forecast=None, fit=None)
    assert _title(view) == f"{words} a loss; nothing is forecast yet"


@pytest.mark.parametrize("inside", [True, False])
def test_the_title_says_on_which_side_the_target_fell(material, forecast, inside):
    outcome = dataclasses.replace(material.whole.outcome, inside=inside)
    title = _title(ForecastView(runs=RUNS, forecast=forecast, fit=None, outcome=outcome))
    assert (
        title
        == f"The target reached {outcome.loss:.3f}, {'inside' if inside else 'outside'} the interval frozen before it"
    )


def test_the_caption_names_what_is_drawn_and_nothing_else(material, forecast):
    bare = ForecastView(runs=RUNS[:1], forecast=None, fit=None)
    assert _caption(bare, None) == "Open circles: small runs, coloured by compute budget."
    full = ForecastView(
        runs=RUNS,
        forecast=forecast,
        fit=None,
        outcome=material.whole.outcome,
        rivals={"largest_run": 2.0},
        entropy_rate=0.5,
    )
    words = _caption(full, None)
    for part in ("Bar with caps", "Star", "Hollow grey", "Dotted", "Crosses"):
        assert part in words
        assert part not in _caption(bare, None)


def test_the_numbers_of_the_figure_are_runs_forecast_and_outcome(material, forecast):
    outcome = material.whole.outcome
    rows = cells(_data(ForecastView(runs=RUNS, forecast=forecast, fit=None, outcome=outcome), None))
    assert [row[0] for row in rows] == ["a", "b", "forecast", "outcome"]
    assert rows[2][2:] == [*(f"{value:.4f}" for value in (forecast.loss, forecast.low, forecast.high)), ""]
    assert rows[3][2:] == [f"{outcome.loss:.4f}", "", "", ""]


def test_a_run_of_any_proportions_stands_as_far_off_the_line_as_the_law_misses_it(material, forecast):
    path = path_to_target(forecast, material.whole.fit)
    assert path.flops[0] == pytest.approx(material.whole.fit.ranges.flops.low)
    for point in path.outer[:: len(path.outer) // 4]:
        exact = MeasuredRun("a", point.flops, 7.0, by_law=7.0)
        off = MeasuredRun("a", point.flops, 7.07, by_law=7.0)
        assert path.beside(exact) == pytest.approx(point.loss)
        assert path.beside(off) == pytest.approx(1.01 * point.loss)
    assert path.beside(MeasuredRun("a", point.flops, 7.0)) == 7.0
    view = ForecastView(runs=[exact, off], forecast=forecast, fit=material.whole.fit)
    assert "at most 1.00\u202f%" in _caption(view, path)
    assert [row[-1] for row in cells(_data(view, path))][:2] == ["7.0000", "7.0000"]


@pytest.mark.parametrize(("share", "told"), [(0.9, False), (3.0, True)])
def test_a_target_among_the_runs_is_not_said_to_lie_beyond_them(forecast, share, told):
    from foretoken.reports.forecast_figure import draw_forecast
    from foretoken.reports.svg import drawing

    view = ForecastView(
        runs=[MeasuredRun("a", forecast.flops / share, 3.0), MeasuredRun("b", forecast.flops / 50, 4.0)],
        forecast=forecast,
        fit=None,
    )
    drawn = drawing(
        "f", (400, 200), lambda axes: draw_forecast(axes, view=view, budgets={}, path=None), title="t", described="d"
    )
    assert ("beyond the data" in drawn) is told
