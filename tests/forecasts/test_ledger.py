from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.compute.shape import ModelShape
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits import Fit, fit
from foretoken.fits.parts import Noise
from foretoken.forecasts import Entry, Ledger, Outcome, ledger, predict
from foretoken.forecasts.band import BandPoint
from foretoken.forecasts.ledger import LedgerLine
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.table import RunTable
from foretoken.store.atomic import checksummed_json
from foretoken.store.clock import instant

Ladder = Callable[..., RunTable]
SPEC = RunSpec(
    shape=ModelShape(layers=1, width=16, heads=1, context=16, vocabulary=256),
    tokens=1024,
    batch_tokens=256,
    learning_rate=1e-3,
    warmup_tokens=256,
    schedule="cosine",
    cooldown=0.2,
    final_learning_rate_share=0.1,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    clip=1.0,
    precision="float32",
    threads=1,
    seed=0,
    corpus="c",
    tokenizer="byte",
    eval_set="v",
    eval_tokens=256,
    software="s",
)
ENTRY = Entry.from_json(
    {
        "format": 1,
        "name": "target.json",
        "params": 1.0,
        "tokens": 1.0,
        "flops": 6.0,
        "loss": 2.0,
        "low": 1.9,
        "high": 2.1,
        "level": 0.9,
        "kind": "new-run",
        "extrapolation": {"flops": 8.0},
        "checks": [],
        "compute_factor": 8.0,
        "frozen_at": "2030-01-01T00:00:00+00:00",
        "law": "chinchilla",
        "forecast_parameters": {"E": 1.0},
        "parameters": {"E": None},
        "noise": asdict(Noise(0.01, 0.0, 1e9, 0.0, 5.0, 0.0, 0.5)),
        "bootstrap": "",
        "params_column": "params_total",
        "data_sha256": "",
        "records": [],
        "rivals": {"line": 2.2},
        "target": {"params": 1.0, "tokens": 1.0, "flops": 6.0},
        "conventions": {},
        "version": "0.1.0",
    }
)


@pytest.fixture
def fitted(ladder: Ladder) -> Fit:
    return fit(ladder(noise=0.003), draws=50)


def frozen(fitted: Fit, path: Path, **more: Any) -> Entry:
    forecast = predict(fitted, params=2e5, tokens=1.6e7)
    rivals = {"largest_run": forecast.loss * 1.2, "power_law": forecast.loss * 1.1}
    return ledger.freeze(path, forecast, fit=fitted, rivals=rivals, conventions={"params": "total"}, **more)


def record(loss: float | None, status: Any = "finished") -> RunRecord:
    return RunRecord(
        spec=SPEC,
        status=status,
        loss=loss,
        loss_se=0.01,
        seconds=90.0,
        started_at="2030-01-01T00:08:30+00:00",
        finished_at="2030-01-01T00:10:00+00:00",
    )


def test_an_entry_holds_what_the_forecast_rests_on(fitted: Fit, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    entry = frozen(fitted, tmp_path / "ledger" / "target.json")
    assert entry.forecast == predict(fitted, params=2e5, tokens=1.6e7)
    assert entry.compute_factor == pytest.approx(6 * 2e5 * 1.6e7 / 2.4e12)
    assert entry.data_sha256 == fitted.data_sha256
    assert entry.records == sorted(run.run for run in fitted.runs)
    assert abs((entry.frozen_instant - before).total_seconds()) < 60
    assert Ledger.read(tmp_path / "ledger") == Ledger((LedgerLine("target", entry),))


def test_an_entry_comes_back_from_its_file_with_its_run_and_band(fitted: Fit, tmp_path: Path) -> None:
    band = [BandPoint(share=1.0, tokens=1.6e7, loss=1.0, low=0.9, high=1.1)]
    entry = frozen(fitted, tmp_path / "a.json", spec=SPEC, band=band)
    assert ledger.read_entry(tmp_path / "a.json") == entry
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["target"]["band"] == [{"share": 1.0, "tokens": 1.6e7, "loss": 1.0, "low": 0.9, "high": 1.1}]
    assert written["target"]["tokens"] == SPEC.tokens
    assert written["extrapolation"] == dict(entry.forecast.extrapolation)


def test_an_entry_is_never_written_twice(fitted: Fit, tmp_path: Path) -> None:
    frozen(fitted, tmp_path / "target.json")
    content = (tmp_path / "target.json").read_bytes()
    with pytest.raises(StoreError, match="never written twice"):
        frozen(replace(fitted, data_sha256="other"), tmp_path / "target.json")
    assert (tmp_path / "target.json").read_bytes() == content


def test_a_record_is_scored_as_its_loss_is_with_the_rivals_beside_it(fitted: Fit, tmp_path: Path) -> None:
    entry = frozen(fitted, tmp_path / "target.json")
    outcome = entry.score_record(record(entry.forecast.loss / 1.01))
    assert outcome.error == pytest.approx(0.01)
    assert outcome.rivals == pytest.approx({"largest_run": 0.212, "power_law": 0.111})
    assert (outcome.run, outcome.loss_se) == (SPEC.key, 0.01)
    assert (outcome.started_at, outcome.finished_at) == ("2030-01-01T00:08:30+00:00", "2030-01-01T00:10:00+00:00")
    assert outcome.inside
    by_loss = entry.score(entry.forecast.loss / 1.01)
    assert (by_loss.error, by_loss.rivals, by_loss.inside) == (outcome.error, outcome.rivals, outcome.inside)
    assert entry.score_record(record(entry.forecast.high * 1.001)).verdict == "outside"


@given(factor=st.floats(0.5, 2.0))
def test_error_and_rivals_are_relative_to_the_outcome(factor: float) -> None:
    outcome = ENTRY.score(2.0 * factor)
    assert outcome.error == pytest.approx(1 / factor - 1)
    assert outcome.rivals["line"] == pytest.approx(1.1 / factor - 1)
    assert outcome.inside == (0.95 <= factor <= 1.05)


def test_an_outcome_is_kept_once_beside_its_forecast(fitted: Fit, tmp_path: Path) -> None:
    entry = frozen(fitted, tmp_path / "target.json")
    assert ledger.read_outcome(tmp_path / "target.json") is None
    outcome = ledger.keep_outcome(tmp_path / "target.json", entry.score_record(record(1.1)))
    assert Ledger.read(tmp_path)["target"].outcome == outcome
    with pytest.raises(StoreError):
        ledger.keep_outcome(tmp_path / "target.json", outcome)


@pytest.mark.parametrize(("loss", "status"), [(None, "diverged"), (1.0, "failed")])
def test_a_run_that_did_not_finish_has_no_score(loss: float | None, status: str) -> None:
    with pytest.raises(StoreError, match=status):
        ENTRY.score_record(record(loss, status))


@pytest.mark.parametrize("loss", [0.0, -1.0, float("nan"), float("inf")])
def test_a_loss_that_is_none_has_no_score(loss: float) -> None:
    with pytest.raises(ForetokenError, match="above 0"):
        ENTRY.score(loss)


@pytest.mark.parametrize("name", ["target.json", "target.outcome.json"])
def test_an_entry_that_was_changed_is_refused_with_file_and_line(name: str, fitted: Fit, tmp_path: Path) -> None:
    entry = frozen(fitted, tmp_path / "target.json")
    ledger.keep_outcome(tmp_path / "target.json", entry.score_record(record(1.1)))
    path = tmp_path / name
    path.write_text(path.read_text().replace('"loss": 1', '"loss": 2', 1))
    with pytest.raises(StoreError, match=rf"{name}, line 1: the content does not match its sha256"):
        Ledger.read(tmp_path)
    path.write_text("{\n 1")
    with pytest.raises(StoreError, match=rf"{name}, line 2: not JSON"):
        Ledger.read(tmp_path)


@pytest.mark.parametrize("start", ["2020-01-01T00:00:00+00:00", "2030-01-01T00:30:00+01:00", "2029-12-31T23:59:59"])
def test_a_run_that_began_before_its_forecast_has_no_score(start: str) -> None:
    with pytest.raises(StoreError, match="before this forecast was frozen"):
        ENTRY.score(1.1, started_at=start)
    # Of a record of ours both times are our own clocks', which somebody may have set in between.
    outcome = ENTRY.score_record(replace(record(1.1), started_at=start))
    assert (outcome.started_at, outcome.evidence) == (start, "")


@pytest.mark.parametrize("start", ["2029-12-31T23:30:00-01:00", "2030-01-01", "2030-01-01T00:00:00Z"])
def test_times_compare_as_instants_whatever_their_zone(start: str) -> None:
    assert ENTRY.score(2.0, started_at=start).started_at == start


@pytest.mark.parametrize(
    "change",
    [
        {"rivals": "none"},
        {"loss": None},
        {"checks": [1]},
        {"level": []},
        {"kind": "guess"},
        {"frozen_at": "soon"},
        {"target": 3},
        {"target": {"shape": {}}},
        {"target": {"band": [{"share": 1}]}},
        {"format": 1},
        {"format": 3},
        {"uptime": {"boot": "", "seconds": -1}},
        {"follows": ["a"]},
        {"surprise": 1},
    ],
    ids=str,
)
def test_an_entry_of_other_types_is_refused(fitted: Fit, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "target.json"
    written = frozen(fitted, path).to_json() | change
    (tmp_path / "seals").unlink()
    path.write_bytes(checksummed_json(written))
    with pytest.raises(StoreError, match="no entry of a ledger"):
        Ledger.read(tmp_path)


@pytest.mark.parametrize(
    "change", [{"inside": "so"}, {"error": None}, {"rivals": {"a": "b"}}, {"format": 0}, {"evidence": ""}], ids=str
)
def test_an_outcome_of_other_types_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "target.json").write_bytes(checksummed_json(ENTRY.to_json()))
    path = tmp_path / "target.outcome.json"
    path.write_bytes(checksummed_json(ENTRY.score(2.0).to_json()))
    assert ledger.read_outcome(tmp_path / "target.json") == Ledger.read(tmp_path)["target"].outcome
    path.write_bytes(checksummed_json(ENTRY.score(2.0).to_json() | change))
    for read in (lambda: ledger.read_outcome(tmp_path / "target.json"), lambda: Ledger.read(tmp_path)):
        with pytest.raises(StoreError, match="no entry of a ledger"):
            read()


def test_a_ledger_is_its_forecasts_by_name() -> None:
    scored = LedgerLine("a", ENTRY, ENTRY.score(2.0))
    book = Ledger((scored, LedgerLine("b", ENTRY)))
    assert list(book) == ["a", "b"]
    assert len(book) == 2
    assert book["a"] is scored
    assert "c" not in book
    with pytest.raises(KeyError):
        book["c"]


def test_coverage_and_errors_are_means_over_the_scored_entries() -> None:
    lines = [LedgerLine(name, ENTRY, ENTRY.score(loss)) for name, loss in (("a", 2.0), ("b", 2.5))]
    summary = Ledger((*lines, LedgerLine("c", ENTRY))).summary()
    assert (summary.frozen, summary.scored, summary.coverage) == (3, 2, 0.5)
    assert summary.mean_error == pytest.approx(0.1)
    assert summary.bias == pytest.approx(-0.1)
    assert summary.rivals == {"line": pytest.approx((0.1 + 0.12) / 2)}
    told = summary.to_json()
    assert [row["outcome"] and row["outcome"]["inside"] for row in told["entries"]] == [True, False, None]
    assert told["reason"] is None


def test_before_anything_is_scored_the_means_are_none_with_a_reason() -> None:
    told = Ledger((LedgerLine("a", ENTRY),)).summary().to_json()
    assert (told["mean_error"], told["bias"], told["coverage"], told["rivals"]) == (None, None, None, {})
    assert told["reason"] == "nothing is scored yet"


def test_a_rival_of_some_entries_is_a_mean_over_those() -> None:
    other = replace(ENTRY, rivals={"guess": 3.0})
    book = Ledger((LedgerLine("a", ENTRY, ENTRY.score(2.0)), LedgerLine("b", other, other.score(2.0))))
    assert book.summary().rivals == {"line": pytest.approx(0.1), "guess": pytest.approx(0.5)}


def test_an_unreadable_time_says_which_are_readable() -> None:
    with pytest.raises(ForetokenError, match="ISO 8601"):
        instant("yesterday")


def test_entries_and_outcomes_survive_json() -> None:
    outcome = ENTRY.score(2.0, run="r", started_at="2031-01-01")
    assert Entry.from_json(json.loads(json.dumps(ENTRY.to_json()))) == ENTRY
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome
