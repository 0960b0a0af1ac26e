from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.abilities.classify import scores
from foretoken.abilities.result import Scores
from foretoken.errors import ForetokenError

from ..fuzz.verbs import silent

KEYS = {
    *("task", "metric", "shots", "sizes", "verdict", "shape", "evidence", "emergence_score", "level", "level_reason"),
}
LINE = 0.3 + 0.04 * np.arange(12)


def gpt3(folder: Path) -> Scores:
    return scores(folder / "gpt3_scores_by_size.csv")


def test_percent_and_fractions_have_one_verdict_and_one_interval(frame: Callable[..., pd.DataFrame]) -> None:
    fractions = frame(a=LINE, b=np.round(0.5 + 0.01 * np.sin(np.arange(12)), 4))
    percent = fractions.assign(score=100 * fractions["score"])
    one, other = (scores(table, level_of=90).to_json() for table in (fractions, percent))
    for left, right in zip(one["curves"], other["curves"], strict=True):
        assert left["verdict"] == right["verdict"]
        assert left["level"] == pytest.approx(right["level"]) if left["level"] else right["level"] is None
        assert [point["low"] for point in left["band"]] == pytest.approx([point["low"] for point in right["band"]])


def test_bands_stay_within_the_bounds_far_beyond_the_data(frame: Callable[..., pd.DataFrame]) -> None:
    found = scores(frame(up=LINE, down=0.9 - LINE, high=0.999 - 0.001 * np.arange(12)[::-1]))
    for curve in found.curves:
        assert any(point.beyond for point in curve.band)
        assert all(0.0 <= point.low <= point.mean <= point.high <= 1.0 for point in curve.band)


def test_json_has_the_keys_of_the_contract_and_no_number_that_is_none(frame: Callable[..., pd.DataFrame]) -> None:
    told = json.loads(json.dumps(scores(frame(a=LINE), level_of=0.9).to_json(), allow_nan=False))
    assert set(told) >= {"curves", "checks"}
    assert set(told["curves"][0]) >= KEYS
    assert set(told["curves"][0]["level"]) >= {"name", "value", "size", "factor", "low", "high"}


def test_a_curve_of_two_sizes_is_not_told(frame: Callable[..., pd.DataFrame]) -> None:
    found = scores(pd.concat([frame(a=LINE), frame(b=np.array([0.1, 0.9]))]))
    short = next(curve for curve in found.curves if curve.task == "b")
    assert short.verdict == "not_enough_data"
    assert short.level is None
    assert short.band == []
    assert list(silent(found.to_json())) == []
    assert "not_enough_data" in {check.code for check in found.checks}


def test_monotone_leaves_out_what_turns_back(frame: Callable[..., pd.DataFrame]) -> None:
    valley = 0.4 + 0.02 * (np.arange(12) - 5.5) ** 2 / 2
    assert scores(frame(a=valley)).curves[0].verdict == "u_shaped"
    (alone,) = scores(frame(a=valley), monotone=True).curves
    assert alone.shares["u_shaped"] == 0.0


@pytest.mark.parametrize("arguments", [{"level_of": "superhuman"}, {"unit": "pounds"}, {"against": "size"}])
def test_what_is_no_option_is_refused(frame: Callable[..., pd.DataFrame], arguments: dict[str, str]) -> None:
    with pytest.raises(ForetokenError, match=r"level_of|unit|against"):
        scores(frame(a=LINE), **arguments)


def test_it_shows_itself(frame: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    jump = np.where(np.arange(12) > 6, 0.8, 0.01)
    found = ft.scores(frame(a=LINE, adding=jump), human=0.95)
    assert "adding, acc" in found.summary()
    assert list(found.to_frame()["verdict"]) == ["steady", "sharp"]
    page = ft.save_page(found, tmp_path / "page.html").read_text()
    assert page.count("<circle") == 24
    assert "adding, acc: sharp" in page
    assert "human" in page


def test_the_lecture_s_four_cases(scaling_data: Path) -> None:
    found = gpt3(scaling_data)
    assert len(found.curves) == 66
    few = {curve.task: curve for curve in found.curves if curve.shots == "few" and curve.metric == "acc"}
    told = {task: few[task].verdict for task in ("winogrande", "sat_analogies", "wic", "add_3digit")}
    assert told == {"winogrande": "steady", "sat_analogies": "steady", "wic": "flat", "add_3digit": "sharp"}
    level = few["winogrande"].level
    assert level
    assert level.line_factor == pytest.approx(46.5, abs=0.1)
    assert level.low < 46.5
    assert level.high is None
    assert {"below_chance", "constant_scores", "shots_help_late"} <= {check.code for check in found.checks}


def test_examples_help_the_largest_model_of_the_lecture_s_table(scaling_data: Path) -> None:
    few = next(gain for gain in gpt3(scaling_data).shots if gain.shots == "few")
    assert 100 * few.sizes[0].mean == pytest.approx(-1.4, abs=0.05)
    assert 100 * few.sizes[-1].mean == pytest.approx(15.8, abs=0.05)
    assert [entry.better == 19 for entry in few.sizes] == [False] * 7 + [True]
    assert few.all_gain_from == 1.746e11


def test_no_name_steers_the_page_or_the_terminal(frame: Callable[..., pd.DataFrame]) -> None:
    hostile = frame(a=LINE).assign(task="<script>alert(1)</script>\x1b[2J", family="x\ny")
    found = scores(hostile, human=0.9, group="family")
    page = ft.page_of(found)
    assert "<script>alert" not in page
    assert "\x1b" not in page + found.summary()


def test_the_order_of_repeats_changes_nothing(frame: Callable[..., pd.DataFrame]) -> None:
    generator = np.random.default_rng(0)
    twice = pd.concat([frame(a=LINE + 0.02 * generator.standard_normal(12)).assign(seed=seed) for seed in range(3)])
    one, other = (scores(rows).curves[0] for rows in (twice, twice.iloc[::-1]))
    assert one.emergence_score == pytest.approx(other.emergence_score)
    assert one.linearity == pytest.approx(other.linearity)
    assert one.evidence == other.evidence


def test_a_curve_s_verdict_does_not_depend_on_the_others(frame: Callable[..., pd.DataFrame]) -> None:
    table = frame(a=LINE, b=LINE[::-1], c=0.4 + 0.1 * np.sin(np.arange(12)))
    alone = scores(table[table["task"] == "c"]).curves[0]
    assert alone == next(curve for curve in scores(table).curves if curve.task == "c")
