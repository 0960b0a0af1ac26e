"""A table in bits per byte: every result and page of it says so, and none says nats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.cli.fit import fit_to_json
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.rows import clean_rows
from foretoken.fits.table_checks import doubts
from foretoken.ladders import ladder
from foretoken.plans.planning import plan_with_losses
from foretoken.reports import PageOptions, page_of, svg
from foretoken.runs.reading import as_table

from ..fuzz.verbs import foretoken as typed

BITS = "bits per byte"
RUN = {"params": 7e9, "tokens": 140e9}


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """18 runs in bits per byte, with 0.3 % noise."""
    params, ratio = np.repeat(np.geomspace(5e7, 3e9, 6), 3), np.tile(np.geomspace(5, 80, 3), 6)
    tokens = params * ratio
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(18))
    loss = (0.6 + 160 * params**-0.37 + 420 * tokens**-0.35) * noise
    return pd.DataFrame({"params_total": params, "tokens": tokens, "flops": 6 * params * tokens, "val_bpb": loss})


@pytest.fixture(scope="module")
def table(runs: pd.DataFrame) -> ft.RunTable:
    """The same, with its loss where a law looks for it."""
    return as_table(runs.rename(columns={"val_bpb": "loss"}), loss_unit="bits/byte")


@pytest.fixture(scope="module")
def fitted(table: ft.RunTable) -> ft.Fit:
    """Chinchilla's law, fitted to that table."""
    return ft.fit(table, "chinchilla", draws=50)


@pytest.fixture
def folder(runs: pd.DataFrame, fitted: ft.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table and the fit as files, in the working directory."""
    monkeypatch.chdir(tmp_path)
    runs.to_csv("runs.csv", index=False)
    fitted.save("fit.json")
    return tmp_path


def pages(table: ft.RunTable, fitted: ft.Fit) -> Iterator[tuple[str, str]]:
    yield "fit", page_of(fitted)
    forecast = ft.predict(fitted, **RUN)
    yield "predict", page_of(forecast, PageOptions(fit=fitted))
    decision, losses = plan_with_losses(1e22, fit=fitted)
    yield "plan", page_of(decision, PageOptions(losses=losses))
    yield "backtest", page_of(ft.backtest(table, 0.5, law="power", draws=50))
    yield "diagnose", page_of(ft.diagnose(table))
    yield "approaches", page_of(ft.approaches(table, draws=50), PageOptions(runs=table))


def test_no_page_of_bits_per_byte_says_nats(
    table: ft.RunTable, fitted: ft.Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is drawn for a phone has the words of what is drawn for a wide page.
    draw = svg.drawing
    monkeypatch.setattr(svg, "drawing", lambda *a, **b: "" if b.get("class_") == "narrow" else draw(*a, **b))
    for name, page in pages(table, fitted):
        assert BITS in page, name
        assert not re.search(r"\bnats?\b", page), name


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "runs.csv", "--law", "power"),
        ("diagnose", "runs.csv"),
        ("approaches", "runs.csv"),
        ("backtest", "runs.csv", "--train-fraction", "0.5", "--law", "power"),
        ("predict", "fit.json", "--params", "7B", "--tokens", "140B"),
        ("plan", "--compute", "1e22", "--fit", "fit.json"),
        ("plan", "--params", "7B", "--fit", "fit.json"),
        ("next", "--compute", "1e22", "--fit", "fit.json", "--spend", "1e19", "--runs", "8"),
        ("ledger", "freeze", "fit.json", "big", "--params", "7B", "--tokens", "140B"),
    ],
    ids=lambda words: words[0],
)
def test_every_verb_prints_bits_per_byte(words: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "PATH", ladder.PATH[-3:-2])  # fewer ladders and grids for `next` to compare
    monkeypatch.setattr(ladder, "DOUBLINGS", 1)
    mapped = ("--map", "loss=val_bpb") if "runs.csv" in words else ()
    text = typed(*words, *mapped)
    assert BITS in text
    assert not re.search(r"\bnats?\b", text)


def test_json_of_every_result_says_the_unit(table: ft.RunTable, fitted: ft.Fit) -> None:
    assert {fit_to_json(fitted)[key] for key in ("unit", "loss_unit")} == {BITS}
    results = (ft.predict(fitted, **RUN), ft.plan(1e22, fit=fitted), ft.backtest(table, 0.5, law="power", draws=50))
    for result in results:
        assert {result.to_json()[key] for key in ("unit", "loss_unit")} == {BITS}


def test_intervals_are_the_same_in_bits_and_in_nats_per_byte(runs: pd.DataFrame, fitted: ft.Fit) -> None:
    nats = runs.assign(loss=np.log(2) * runs["val_bpb"]).drop(columns="val_bpb")
    other = ft.fit(nats, "chinchilla", draws=50, loss_unit="nats/byte")
    assert other.loss_unit == "nats per byte"
    assert other.data_sha256 != fitted.data_sha256
    for name, interval in fitted.intervals.items():
        factor = np.log(2) if name in ("E", "A", "B") else 1.0
        assert other.intervals[name] == pytest.approx([factor * end for end in interval], rel=1e-6), name
    one, two = (ft.predict(each, **RUN) for each in (fitted, other))
    assert (two.loss, two.low, two.high) == pytest.approx([np.log(2) * x for x in (one.loss, one.low, one.high)], 1e-6)
    one_plan, two_plan = (ft.plan(1e22, fit=each) for each in (fitted, other))
    assert two_plan.params == pytest.approx(one_plan.params, rel=1e-6)
    assert two_plan.interval.params == pytest.approx(one_plan.interval.params, rel=1e-6)


def test_a_fit_from_before_has_nats_per_token_and_an_unknown_unit_is_damage(fitted: ft.Fit, tmp_path: Path) -> None:
    old = fitted.to_json()
    del old["loss_unit"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert ft.Fit.load(tmp_path / "old.json").unit == "nats per token"
    (tmp_path / "odd.json").write_text(json.dumps(old | {"loss_unit": "bats per bite"}))
    with pytest.raises(StoreError, match="damaged"):
        ft.Fit.load(tmp_path / "odd.json")


def test_the_loss_of_guessing_is_held_against_nats_per_token_alone(runs: pd.DataFrame) -> None:
    high = runs.rename(columns={"val_bpb": "loss"}).assign(vocabulary=2.0)  # ln 2 is below every loss
    tables = as_table(high), as_table(high, loss_unit="bits/byte")
    rows = [clean_rows(each) for each in tables]
    assert [each.guessing for each in rows] == [pytest.approx(np.log(2)), None]
    codes = [{check.code for check in doubts(*each)} for each in zip(tables, rows, strict=True)]
    assert [bool(found & {"loss_in_bits", "loss_in_perplexity"}) for found in codes] == [True, False]


def test_a_ledger_scores_in_its_own_unit_alone(fitted: ft.Fit, folder: Path) -> None:
    entry = ft.freeze_run("ledger/big.json", fitted, **RUN)
    assert (entry.conventions["loss"], entry.forecast.unit) == (BITS, BITS)
    with pytest.raises(ForetokenError, match="says nothing of this forecast") as refused:
        ft.score_run("ledger/big.json", 2.0, loss_unit="nats/token")
    assert refused.value.code == "other_loss_unit"
    pd.DataFrame({"params": [7e9], "tokens": [140e9], "loss": [0.8]}).to_csv("big.csv", index=False)
    with pytest.raises(ForetokenError, match="--loss-unit 'bits per byte'"):
        typed("ledger", "score", "big", "--table", "big.csv")
    assert BITS in typed("ledger", "score", "big", "--table", "big.csv", "--loss-unit", "bits/byte")
    shown = typed("ledger", "show", "--html", "ledger.html")
    assert "bits/byte" in shown
    assert not re.search(r"\bnats?\b", shown + Path("ledger.html").read_text())


def test_a_forecast_in_nats_per_token_is_scored_by_bits_per_token_and_perplexity(fitted: ft.Fit, folder: Path) -> None:
    entry = ft.freeze_run("ledger/big.json", replace(fitted, loss_unit="nats per token"), **RUN)
    by_bits, by_perplexity = (
        entry.score(loss, loss_se=0.1, loss_unit=unit) for loss, unit in ((2.0, "bits/token"), (4.0, "ppl"))
    )
    assert by_bits.loss == pytest.approx(2 * np.log(2))
    assert by_perplexity.loss == pytest.approx(np.log(4))
    assert (by_bits.loss_se, by_perplexity.loss_se) == pytest.approx((0.1 * np.log(2), 0.1 / 4))


def test_a_comparison_says_the_unit_of_each_law(fitted: ft.Fit) -> None:
    own, *papers = ft.compare(1e22, fit=fitted).laws
    assert own.loss_unit == BITS
    assert all(BITS not in law.loss_unit for law in papers)


def test_laws_of_the_batch_that_read_a_loss_are_left_out_of_a_plan_in_bits(fitted: ft.Fit) -> None:
    in_nats = replace(fitted, loss_unit="nats per token")
    said = {unit.loss_unit: unit for unit in (ft.plan(1e22, fit=each) for each in (fitted, in_nats))}
    read = {
        unit: {law.id for law in plan.recipe.batch_tokens.laws}
        for unit, plan in said.items()
        if plan.recipe is not None
    }
    assert read[BITS] < read["nats per token"]
    assert any("left out" in text for text in said[BITS].assumed)
