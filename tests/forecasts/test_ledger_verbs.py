from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits import fit
from foretoken.forecasts.ledger import freeze_run, place_run, placed, score_ledger, score_run
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


@pytest.fixture
def folder(ladder: Ladder, tmp_path: Path) -> Path:
    fit(ladder(noise=0.003), draws=50).save(tmp_path / "fit.json")
    return tmp_path


def invoke(folder: Path, verb: str, *words: object) -> Any:
    place = ("--ledger", folder / "ledger", "--json")
    result = CliRunner().invoke(app, [str(word) for word in ("ledger", verb, *words, *place)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def freeze(folder: Path, name: str = "big") -> Any:
    return invoke(folder, "freeze", folder / "fit.json", name, "--params", "200k", "--tokens", "16M")


def test_an_entry_is_frozen_scored_and_shown(folder: Path) -> None:
    entry = freeze(folder)
    assert entry["low"] < entry["loss"] < entry["high"]
    assert entry["data_sha256"]
    assert entry["conventions"]["params"] == "params_total"
    before = invoke(folder, "show")
    assert (before["frozen"], before["scored"], before["coverage"]) == (1, 0, None)
    outcome = invoke(folder, "score", "big", "--loss", entry["loss"] / 1.01)
    assert outcome["error"] == pytest.approx(0.01)
    after = invoke(folder, "show")
    assert (after["scored"], after["coverage"], after["mean_error"]) == (1, 1.0, pytest.approx(0.01))
    assert set(after["rivals"]) == {"largest_run", "power_law", "power_law_all_runs"}
    with pytest.raises(StoreError, match="never written twice"):
        invoke(folder, "score", "big", "--loss", 1.0)


def test_a_running_target_is_placed_in_the_band_of_its_tokens(folder: Path) -> None:
    entry = freeze(folder)
    band = {point["share"]: point for point in entry["target"]["band"]}
    tenth = band[0.1]
    at = [("--at", f"1.6M:{loss}") for loss in (tenth["loss"], 1.2 * tenth["high"], 0.9 * tenth["low"])]
    told = invoke(folder, "score", "big", *[word for pair in at for word in pair])
    assert [point["place"] for point in told["points"]] == ["inside", "above", "below"]
    assert told["points"][0]["text"] == "inside the band at 10 % of tokens"
    assert told["points"][0]["low"] == pytest.approx(tenth["low"])
    assert invoke(folder, "show")["scored"] == 0


def test_a_loss_is_taken_from_the_one_row_that_is_meant(folder: Path) -> None:
    freeze(folder)
    table = folder / "runs.csv"
    table.write_text("run,params,tokens,loss\nsmall,1e4,1e6,2.5\nbig,2e5,16e6,1.05\n")
    with pytest.raises(ForetokenError, match="2 rows"):
        invoke(folder, "score", "big", "--table", table)
    assert invoke(folder, "score", "big", "--table", table, "--where", "run=big")["run"] == "big"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("score", "other", "--loss", 1.0), "no forecast 'other'"),
        (("score", "bigg", "--loss", 1.0), "did you mean big"),
        (("score", "big"), "one of --loss, --table and --at"),
        (("score", "big", "--loss", 1.0, "--at", "1M:2"), "one of --loss"),
        (("score", "big", "--loss", -1.0), "above 0"),
        (("score", "big", "--loss", 1.0, "--started", "2001-01-01"), "before this forecast was frozen"),
        (("score", "big", "--loss", 1.0, "--started", "soon"), "ISO 8601"),
        (("score", "big", "--at", "1M"), "16B:2.31"),
        (("score", "big", "--at", "17M:2.0"), "outside the run"),
        (("score", "../big", "--loss", 1.0), "a name of a forecast is letters"),
        (("show", "--ledger", "absent"), "no ledger"),
    ],
)
def test_what_cannot_be_scored_is_an_error_that_helps(folder: Path, words: tuple[object, ...], message: str) -> None:
    freeze(folder)
    verb, *rest = words
    if verb == "show":
        result = CliRunner().invoke(app, ["ledger", "show", "--ledger", str(folder / "absent")])
        assert message in str(result.exception)
        return
    with pytest.raises(ForetokenError, match=message):
        invoke(folder, str(verb), *rest)


def test_an_entry_without_a_band_says_so(ladder: Ladder, tmp_path: Path) -> None:
    fitted = fit(ladder(noise=0.003), draws=50)
    entry = freeze_run(tmp_path / "a.json", fitted, params=2e5, tokens=1.6e7)
    with pytest.raises(StoreError, match="no band along the run"):
        placed(replace(entry, band=[]), [(1.6e7, 1.0)])


def test_python_does_what_the_command_line_does(folder: Path) -> None:
    entry = freeze_run(folder / "ledger" / "mine.json", folder / "fit.json", params="200k", tokens="16M")
    assert invoke(folder, "show")["entries"] == [line.to_json() for line in score_ledger(folder / "ledger").entries]
    outcome = score_run(folder / "ledger" / "mine.json", entry.forecast.loss, run="mine", started_at="2999-01-01")
    assert (outcome.error, outcome.run) == (0.0, "mine")
    assert score_ledger(folder / "ledger").coverage == 1.0


@pytest.mark.parametrize(
    ("verb", "words", "near"),
    [(freeze_run, {"parms": 1.0}, "params"), (score_run, {"los": 1.0}, "loss"), (place_run, {"pionts": []}, "points")],
)
def test_an_argument_s_wrong_name_shows_the_right_one(verb: Any, words: dict[str, Any], near: str) -> None:
    with pytest.raises(ForetokenError, match=f"did you mean '{near}'"):
        verb("a.json", **words)


def test_people_read_the_same(folder: Path) -> None:
    entry = freeze(folder)
    place = ["--ledger", str(folder / "ledger")]
    run = CliRunner().invoke
    assert (
        "inside the band at 100 % of tokens"
        in run(app, ["ledger", "score", "big", "--at", f"16M:{entry['loss']}", *place]).output
    )
    assert "0 of" not in run(app, ["ledger", "show", *place]).output
    assert "inside" in run(app, ["ledger", "score", "big", "--loss", str(entry["loss"]), *place]).output
    assert "1 of 1 scored" in run(app, ["ledger", "show", *place]).output
