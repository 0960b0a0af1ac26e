from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from foretoken.compute.shape import ModelShape
from foretoken.errors import StoreError
from foretoken.fits import Fit, fit
from foretoken.forecasts import ledger, predict
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.table import RunTable
from foretoken.store.atomic import sealed

Ladder = Callable[..., RunTable]


@pytest.fixture
def found(ladder: Ladder) -> Fit:
    return fit(ladder(noise=0.003), draws=50)


def frozen(found: Fit, path: Path) -> dict[str, Any]:
    told = predict(found, params=2e5, tokens=1.6e7)
    rivals = {"largest_run": told.loss * 1.2, "power_law": told.loss * 1.1}
    return ledger.freeze(path, told, fit=found, rivals=rivals, target={"seed": 0}, conventions={"params": "total"})


def record(loss: float | None, status: str = "finished") -> RunRecord:
    spec = RunSpec(
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
    return RunRecord(
        spec=spec,
        status=status,
        loss=loss,
        seconds=90.0,
        started_at="2030-01-01T00:08:30+00:00",
        finished_at="2030-01-01T00:10:00+00:00",
    )


def test_an_entry_holds_what_the_forecast_rests_on(found: Fit, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    entry = frozen(found, tmp_path / "ledger" / "target.json")
    assert entry["low"] < entry["loss"] < entry["high"]
    assert entry["compute_factor"] == pytest.approx(6 * 2e5 * 1.6e7 / 2.4e12)
    assert entry["data_sha256"] == found.data_sha256
    assert entry["records"] == sorted(run.run for run in found.residuals)
    assert abs((datetime.fromisoformat(entry["frozen_at"]) - before).total_seconds()) < 60
    assert ledger.read(tmp_path / "ledger") == {"target": {"forecast": entry, "outcome": None}}


def test_an_entry_is_never_written_twice(found: Fit, tmp_path: Path) -> None:
    frozen(found, tmp_path / "target.json")
    content = (tmp_path / "target.json").read_bytes()
    with pytest.raises(StoreError, match="never written twice"):
        frozen(replace(found, data_sha256="other"), tmp_path / "target.json")
    assert (tmp_path / "target.json").read_bytes() == content


def test_the_score_is_signed_and_includes_the_rivals(found: Fit, tmp_path: Path) -> None:
    entry = frozen(found, tmp_path / "target.json")
    outcome = ledger.score(entry, record(entry["loss"] / 1.01))
    assert outcome["error"] == pytest.approx(0.01)
    assert outcome["rivals"] == pytest.approx({"largest_run": 0.212, "power_law": 0.111})
    assert (outcome["started_at"], outcome["finished_at"]) == (
        "2030-01-01T00:08:30+00:00",
        "2030-01-01T00:10:00+00:00",
    )
    assert outcome["inside"]
    assert not ledger.score(entry, record(entry["high"] * 1.001))["inside"]


def test_an_outcome_is_kept_once_beside_its_forecast(found: Fit, tmp_path: Path) -> None:
    entry = frozen(found, tmp_path / "target.json")
    outcome = ledger.keep_outcome(tmp_path / "target.json", ledger.score(entry, record(1.1)))
    assert ledger.read(tmp_path)["target"]["outcome"] == outcome
    with pytest.raises(StoreError):
        ledger.keep_outcome(tmp_path / "target.json", outcome)


@pytest.mark.parametrize(("loss", "status"), [(None, "diverged"), (1.0, "failed")])
def test_a_run_that_did_not_finish_has_no_score(found: Fit, tmp_path: Path, loss: float | None, status: str) -> None:
    with pytest.raises(StoreError, match=status):
        ledger.score(frozen(found, tmp_path / "target.json"), record(loss, status))


@pytest.mark.parametrize("name", ["target.json", "target.outcome.json"])
def test_an_entry_that_was_changed_is_refused_with_file_and_line(name: str, found: Fit, tmp_path: Path) -> None:
    entry = frozen(found, tmp_path / "target.json")
    ledger.keep_outcome(tmp_path / "target.json", ledger.score(entry, record(1.1)))
    path = tmp_path / name
    path.write_text(path.read_text().replace('"loss": 1', '"loss": 2', 1))
    with pytest.raises(StoreError, match=rf"{name}, line 1: the content does not match its sha256"):
        ledger.read(tmp_path)
    path.write_text("{\n 1")
    with pytest.raises(StoreError, match=rf"{name}, line 2: not JSON"):
        ledger.read(tmp_path)


def test_a_run_that_began_before_its_forecast_has_no_score(found: Fit, tmp_path: Path) -> None:
    entry = frozen(found, tmp_path / "target.json")
    early = replace(record(1.1), started_at="2020-01-01T00:00:00+00:00")
    with pytest.raises(StoreError, match="before this forecast was frozen"):
        ledger.score(entry, early)


@pytest.mark.parametrize("change", [{"rivals": "none"}, {"loss": None}, {"checks": [1]}, {"level": []}], ids=str)
def test_an_entry_of_other_types_is_refused(found: Fit, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "target.json"
    path.write_bytes(sealed(frozen(found, path) | change))
    with pytest.raises(StoreError, match="no entry of a ledger"):
        ledger.read(tmp_path)
