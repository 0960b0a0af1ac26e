"""The page of a back-test, from results made by hand: findings in both signs, every number of its tables."""

from __future__ import annotations

import dataclasses
import re

import pytest

from foretoken.fits.check import Check
from foretoken.forecasts.backtest import BackTest, Origin
from foretoken.forecasts.coverage import HeldOutRun, Step, steps_of
from foretoken.reports import page_of
from foretoken.reports.backtest_page import (
    MOST_RUNS,
    _chosen,
    _distance_title,
    _facts,
    _sentence,
    distance_figure,
    held_out_figure,
    origin_figure,
)

from .reader import Reader, cells

RUN = HeldOutRun(
    params=1e9, tokens=2e10, flops=1.2e20, loss=2.5, forecast=2.55, low=2.4, high=2.6, distance=3.0, train_fraction=0.5
)
RUNS = [
    dataclasses.replace(RUN, flops=1.2e20 * 1.5**k, distance=1.2 * 1.5**k, loss=2.5 - 0.05 * k, low=2.35 - 0.05 * k)
    for k in range(6)
]
ORIGINS = [
    Origin(train_fraction=0.5, n_train=20, n_test=4, test_error=0.012, bias=-0.003, coverage=0.75),
    Origin(train_fraction=0.7, n_train=28, n_test=2, test_error=0.031, bias=0.02, coverage=0.5),
]
BACKTEST = BackTest(
    test_error=0.0123,
    bias=-0.0031,
    max_error=0.0456,
    median_error=0.0101,
    coverage=5 / 6,
    median_half_width=0.0234,
    interval_score=0.1812,
    level=0.9,
    n_train=28,
    n_test=6,
    estimator="map",
    law="chinchilla",
    checks=[],
    seconds=1.0,
    origins=ORIGINS,
    rows=RUNS,
    assumed=["`params` is N"],
)


def facts(**changes: object) -> dict[str, tuple[str, str]]:
    """Value and remark of each fact."""
    return {
        name: (value.replace("\u202f", " "), remark.replace("\u202f", " "))
        for name, value, remark in _facts(dataclasses.replace(BACKTEST, **changes))
    }


@pytest.mark.parametrize(
    ("bias", "shown", "side"),
    [
        (0.0031, "+0.31 %", "too high"),
        (-0.0031, "−0.31 %", "too low"),
        (0.0, "0.00 %", "right"),
        (1e-6, "0.00 %", "right"),
    ],
)
def test_the_bias_is_told_in_sign_and_in_words(bias, shown, side):
    assert facts(bias=bias)["Bias"] == (shown, f"forecasts are {side} on average")


def test_every_score_is_a_fact():
    told = facts()
    assert told["Mean error"] == ("1.23 %", "median 1.01 %")
    assert told["Largest error"] == ("4.56 %", "")
    assert told["Inside the interval"] == ("83 %", "nominal 90 %")
    assert told["Half the interval"] == ("2.34 %", "median")
    assert told["Interval score"] == ("0.181", "lower is better")
    assert told["Estimator"] == ("MAP", "law: chinchilla")


def test_rolling_origins_say_up_to_how_many_runs_were_seen():
    assert facts()["Runs"] == ("up to 28 seen", "6 forecast")
    assert facts(origins=ORIGINS[:1])["Runs"] == ("28 seen", "6 forecast")
    assert facts(estimator="huber")["Estimator"][0] == "huber"


@pytest.mark.parametrize(("many", "words"), [(1, "Forecasts of 1 run from"), (6, "Forecasts of 6 runs from")])
def test_the_sentence_counts_its_runs(many, words):
    found = dataclasses.replace(BACKTEST, n_test=many)
    assert _sentence(found).startswith(words)
    assert _sentence(found).endswith(
        "missed by 1.23\u202f% on average; 83\u202f% of them fell inside their 90\u202f% interval."
    )


def test_a_table_row_per_held_out_run_has_its_numbers_and_the_sign_of_its_error():
    text = held_out_figure(BACKTEST)
    rows = cells(text)
    assert len(rows) == len(RUNS)
    for row, run in zip(rows, RUNS, strict=True):
        assert row[3:7] == [f"{value:.4f}" for value in (run.forecast, run.low, run.high, run.loss)]
        assert row[7] == f"{100 * run.error():+.2f} %".replace("-", "−")
    inside = sum(run.is_inside for run in RUNS)
    assert f"{inside} of 6 held-out runs fell inside the 90 % interval forecast for them" in Reader(text).text


def test_steps_are_told_with_their_own_interval():
    steps, rows = steps_of(RUNS), cells(distance_figure(BACKTEST))
    assert [row[1] for row in rows] == [str(step.runs) for step in steps]
    for row, step in zip(rows, steps, strict=True):
        assert row[3] == f"{100 * step.error:.2f} %"
        assert row[5] == f"{100 * step.ends[0]:.0f} % to {100 * step.ends[1]:.0f} %"


def test_the_distance_title_compares_near_with_far():
    near = Step(low=1.0, high=2.0, runs=5, bias=0.0, error=0.01, coverage=1.0, ends=(0.5, 1.0))
    far = dataclasses.replace(near, low=4.0, high=9.0, error=0.05)
    assert _distance_title([near]).replace("\u202f", " ") == "The mean error is 1.00 % at up to ×2 beyond the runs seen"
    assert _distance_title([near, far]).replace("\u202f", " ").endswith("and 5.00 % at ×4 to ×9")


def test_one_origin_needs_no_figure_of_origins():
    assert origin_figure(dataclasses.replace(BACKTEST, origins=ORIGINS[:1])) is None


def test_the_worst_origin_is_in_the_title_and_every_origin_in_the_table():
    text = origin_figure(BACKTEST)
    assert "The largest mean error is 3.10 %, up to the 70 % quantile of compute" in Reader(text).text
    assert [row[1:] for row in cells(text)] == [
        ["20", "4", "1.20 %", "−0.30 %", "75 %"],
        ["28", "2", "3.10 %", "+2.00 %", "50 %"],
    ]


@pytest.mark.parametrize("many", [1, 2, MOST_RUNS - 1, MOST_RUNS, MOST_RUNS + 1, 1200])
def test_the_drawn_runs_are_few_in_order_and_keep_both_ends(many):
    runs = [dataclasses.replace(RUN, flops=1e18 * (k + 1)) for k in range(many)]
    drawn = _chosen(runs[::-1])
    assert len(drawn) == min(many, MOST_RUNS)
    assert (drawn[0].flops, drawn[-1].flops) == (runs[0].flops, runs[-1].flops)
    assert [run.flops for run in drawn] == sorted(run.flops for run in drawn)


def test_one_run_alone_has_a_page_that_says_so_and_its_doubt():
    check = Check("few_runs", "doubt", "1 held-out run", "hold out more")
    alone = dataclasses.replace(BACKTEST, rows=RUNS[:1], n_test=1, origins=ORIGINS[:1], checks=[check], coverage=1.0)
    text = page_of(alone)
    page = Reader(text)
    assert "Read with care: 1 held-out run." in page.text
    assert "1 of 1 held-out runs" in page.text
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b", page.text)
    assert "<li><code>params</code> is N.</li>" in text
