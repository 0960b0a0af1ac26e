"""The page of a ledger: empty, open, scored on either side, and the points of a run on its way."""

from __future__ import annotations

import dataclasses
import re

import pytest

from foretoken.cli.ledger import show_summary
from foretoken.forecasts.band import BandPoint, PlacedPoint
from foretoken.forecasts.ledger import Ledger, LedgerLine
from foretoken.forecasts.scores import ScoreForecast
from foretoken.reports import PageOptions, page_of
from foretoken.reports.ledger_page import CELLS, _band_title, _facts, _line, _sentence, band_figure

from .reader import Reader, cells

HOSTILE = "<img src=x onerror=alert(1)> & \"'"


@pytest.fixture(scope="module")
def line(material):
    """A scored forecast."""
    return LedgerLine("big", material.whole.entry, material.whole.outcome)


def scored(line: LedgerLine, *, inside: bool, error: float, name: str = "big") -> LedgerLine:
    """The same forecast, scored with this error."""
    outcome = dataclasses.replace(line.outcome, inside=inside, error=error, rivals={"largest_run": 2 * error})
    return LedgerLine(name, line.entry, outcome)


def sentence(*lines: LedgerLine) -> str:
    """What the page of these says first."""
    return _sentence(Ledger(lines).summary()).replace("\u202f", " ")


def test_an_empty_ledger_has_a_page_that_says_so():
    text = page_of(Ledger())
    page = Reader(text)
    assert "0 forecasts frozen; none is scored yet." in page.text
    assert "The ledger is empty." in page.text
    assert "figure" not in page.tags
    assert page_of(Ledger()) == text


def test_open_forecasts_are_counted(line):
    still = dataclasses.replace(line, outcome=None)
    assert sentence(still) == "1 forecast frozen; none is scored yet."
    assert sentence(still, dataclasses.replace(still, name="b")) == "2 forecasts frozen; none is scored yet."


@pytest.mark.parametrize(("inside", "side"), [(True, "inside"), (False, "outside")])
def test_one_score_is_told_as_one(line, inside, side):
    one = scored(line, inside=inside, error=-0.02)
    assert sentence(one) == f"The one scored forecast fell {side} its interval; its error is 2.00 %."


def test_scores_on_tasks_are_told_with_what_became_of_each(line, capsys):
    asked = ScoreForecast(
        task=HOSTILE, metric="accuracy", shots=0, score=0.5, low=0.4, high=0.6, level=0.9, route="loss"
    )
    silent = dataclasses.replace(asked, metric="f1", score=None, low=None, high=None, reason="too few sizes")
    beyond, later = (dataclasses.replace(asked, metric=name) for name in ("exact_match", "consistency"))
    outcomes = [asked.outcome(0.55, 0.01, 100), beyond.outcome(0.7, 0.01, 100), silent.outcome(0.1, 0.01, 100)]
    entry = dataclasses.replace(line.entry, scores=[asked, beyond, later, silent])
    told = LedgerLine("big", entry, dataclasses.replace(line.outcome, scores=outcomes))
    assert [one.verdict for one in told.scores] == ["inside", "outside", "open", "not forecast"]
    text = page_of(Ledger((told,)))
    assert all(f">{one.verdict}<" in text for one in told.scores)
    assert "Too few sizes." in text
    assert "<img" not in text
    show_summary(Ledger((told,)).summary())
    printed = capsys.readouterr().out
    assert "1 of 2 scored are inside" in printed
    assert "f1 is not forecast: too few sizes" in " ".join(printed.split())


def test_several_scores_are_told_as_a_share_and_a_mean_of_sizes(line):
    lines = [scored(line, inside=True, error=0.01), scored(line, inside=False, error=-0.03, name="b")]
    assert sentence(*lines) == "1 of 2 scored forecasts fell inside their interval; the mean error is 2.00 %."


def test_the_bias_keeps_its_sign_and_rivals_have_their_names(line):
    lines = (scored(line, inside=True, error=-0.03), scored(line, inside=True, error=0.01, name="b"))
    texts = [[text.replace("\u202f", " ") for text in fact] for fact in _facts(Ledger(lines).summary())]
    told = {name: (value, remark) for name, value, remark in texts}
    assert told["Frozen"] == ("2", "2 scored, frozen before their runs by the clock")
    assert told["Mean error"] == ("2.00 %", "bias −1.00 %")
    assert told["Largest small run"][0] == "4.00 %"


def test_the_cells_of_a_row_are_the_entry_and_its_outcome(line):
    forecast, outcome = line.entry.forecast, line.outcome
    row = [write(line).replace("\u202f", " ") for write in CELLS]
    assert row[:2] == ["big", "2026-01-31 12:20"]
    assert row[5:7] == [f"{forecast.loss:.4f}", f"{forecast.low:.4f} to {forecast.high:.4f}"]
    assert row[7:] == [
        "nats",
        f"{outcome.loss:.4f}",
        f"{100 * outcome.error:+.2f} %".replace("-", "−"),
        outcome.verdict,
        outcome.order,
    ]


def test_an_open_row_says_so_in_every_cell_of_its_outcome(line):
    row = [write(dataclasses.replace(line, outcome=None)) for write in CELLS]
    assert row[8:] == ["open"] * 3 + [""]


def test_page_and_command_say_the_same_of_what_came_first(line, capsys):
    from foretoken.cli.ledger import show_summary

    unknown = dataclasses.replace(line, name="b", outcome=dataclasses.replace(line.outcome, evidence=""))
    for lines in ((line,), (unknown,), (line, unknown)):
        summary = Ledger(lines).summary()
        show_summary(summary)
        printed, page = capsys.readouterr().out, Reader(page_of(Ledger(lines))).text
        for words in (summary.order, *(one.outcome.order for one in lines)):
            assert words in printed
            assert words in page
        assert ("frozen before its run" in printed) is (lines == (line,))
    assert "before" not in _band_title(unknown.entry.forecast, unknown.outcome, []).replace(unknown.outcome.order, "")


@pytest.mark.parametrize("inside", [True, False])
def test_a_line_stands_as_a_share_of_its_forecast_and_is_coloured_outside(line, inside):
    drawn = _line(scored(line, inside=inside, error=0.1))
    forecast = line.entry.forecast
    assert drawn.strong is not inside
    assert drawn.value == pytest.approx(100 * (line.outcome.loss / forecast.loss - 1))
    low, high = drawn.interval
    assert low < 0 < high
    assert low == pytest.approx(100 * (forecast.low / forecast.loss - 1))


def test_an_open_line_has_its_interval_alone(line):
    drawn = _line(dataclasses.replace(line, outcome=None))
    assert drawn.value is None
    assert drawn.words.endswith(", open")


@pytest.fixture(scope="module")
def band(line):
    """Its entry with a band, and a point on either side of it."""
    forecast = line.entry.forecast
    steps = [
        BandPoint(share, share * forecast.tokens, forecast.loss / share**0.1, forecast.low / share**0.1, forecast.high)
        for share in (0.25, 0.5, 1.0)
    ]
    points = [PlacedPoint(0.3 * forecast.tokens, 0.3, loss, 2.0, 2.2, 2.4) for loss in (2.5, 2.1)]
    return dataclasses.replace(line.entry, band=steps), points


def test_the_title_of_a_band_says_how_far_the_run_is(line, band):
    (entry, points), outcome = band, line.outcome
    forecast = entry.forecast
    assert _band_title(forecast, outcome, points).startswith(f"It reached {outcome.loss:.3f}, inside the ")
    assert _band_title(forecast, None, points) == f"So far: {points[-1].text}"
    assert _band_title(forecast, None, []).endswith("no point of the run is given yet")


def test_the_table_of_a_band_has_frozen_points_then_those_of_the_run(band):
    entry, points = band
    text = band_figure(entry, None, points)
    rows = cells(text)
    assert [row[-1] for row in rows] == ["frozen"] * 3 + ["the run: above", "the run: inside"]
    assert [row[2] for row in rows[:3]] == [f"{point.loss:.4f}" for point in entry.band]
    assert "Open circles: the run so far." in text
    assert "Star" not in text


def test_hostile_names_stay_text_in_every_section(line, band):
    named = LedgerLine(HOSTILE, dataclasses.replace(band[0], name=HOSTILE), None)
    text = page_of(Ledger((named,)), PageOptions(source=HOSTILE, points={HOSTILE: band[1]}))
    page = Reader(text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert not any(title.endswith(".") for title in re.findall(r"<h3>([^<]+)</h3>", text))
