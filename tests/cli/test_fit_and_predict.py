from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.errors import ForetokenError, RefusedError, StoreError, TableError
from foretoken.fits import Fit

CONTRACT_FIT = {"law", "status", "parameters", "intervals", "forecast_parameters", "objective", "starts"}
CONTRACT_FIT |= {"conditioning", "rows", "checks", "assumed", "seconds", "interval_seconds"}

NOISE = dict.fromkeys(("run_sd", "tokens_power", "cluster_sd", "misfit_growth", "pattern_p_value"), 0.0)
NOISE |= {"most_tokens": 1e9, "degrees_of_freedom": 3.0}


def runs() -> pd.DataFrame:
    """24 runs of 4 budgets; the loss stays far above its irreducible part."""
    budget, step = (part.ravel() for part in np.mgrid[:4, :6])
    flops, N = 3e11 * 2.0**budget, 8e3 * 2 ** (0.5 * budget + 0.75 * step)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(24))
    loss = (0.7 + 30 / N**0.4 + 200 / (flops / 6 / N) ** 0.38) * noise
    return pd.DataFrame({"params_total": N, "tokens": flops / 6 / N, "flops": flops, "loss": loss})


def invoke(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    runs().to_csv(tmp_path / "runs.csv")
    return tmp_path / "runs.csv"


def test_fit_prints_the_contract_and_a_reason_for_every_null(csv: Path) -> None:
    printed = json.loads(invoke("fit", csv, "--json"))
    assert set(printed) >= CONTRACT_FIT
    assert set(printed["parameters"]) == set(printed["intervals"]) == {"E", "A", "B", "alpha", "beta", "gamma"}
    assert [entry["law"] for entry in printed["laws"]] == ["coupled", "chinchilla", "saturating_flops"]
    assert printed["parameters"]["E"] is None
    assert "nats" in printed["E_reason"]


def test_a_fit_is_written_and_predicted_from(csv: Path) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "-o", out)
    told = json.loads(invoke("predict", out, "--params", "200k", "--tokens", "16M", "--json"))
    assert set(told) >= {"loss", "low", "high", "level", "kind", "extrapolation", "checks"}
    assert told["low"] < told["loss"] < told["high"]
    assert told["tokens"] == 16e6
    assert f"{told['loss']:.4f}" in invoke("predict", out, "--params", "200k", "--tokens", "16M")


def test_foreign_columns_are_mapped(tmp_path: Path) -> None:
    runs().rename(columns={"loss": "val_loss", "tokens": "D"}).to_csv(tmp_path / "runs.csv")
    text = invoke("fit", tmp_path / "runs.csv", "--map", "loss=val_loss,tokens=D")
    assert "24 runs" in text
    assert "alpha" in text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda f: f.drop(columns="loss"), TableError),
        (lambda f: f.assign(loss="high"), TableError),
        (lambda f: f.assign(loss=-f["loss"]), TableError),
        (lambda f: f.assign(loss=0.0), TableError),
        (lambda f: f.assign(loss=float("nan")), RefusedError),
        (lambda f: f.assign(params_total=1e5), RefusedError),
        (lambda f: f.head(5), RefusedError),
        (lambda f: f.head(0), TableError),
    ],
)
def test_bad_tables_are_clear_errors(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], error: type[ForetokenError]
) -> None:
    change(runs()).to_csv(tmp_path / "runs.csv")
    with pytest.raises(error, match=r"cure|expected|got"):
        invoke("fit", tmp_path / "runs.csv")


@pytest.mark.parametrize("text", ["loss", "loss=", "=x", "loss:val"])
def test_an_unreadable_map_is_an_error(csv: Path, text: str) -> None:
    with pytest.raises(ForetokenError, match="loss=val_loss"):
        invoke("fit", csv, "--map", text)


def test_an_empty_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(ForetokenError, match="no study has been started"):
        invoke("fit", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"ranges": {"params": 1}},
        {"map_draws": [[1.0]]},
        {"map_draws": []},
        {"level": "high"},
        {"conditioning": float("nan")},
        {"law": "newton"},
        {"noise": NOISE | {"run_sd": -1.0}},
        {"noise": NOISE | {"cluster_sd": float("inf")}},
        {"ranges": {name: [1.0, float("nan")] for name in ("params", "tokens", "flops", "loss")}},
        {"status": "excellent"},
        {"checks": [{"code": "few_runs", "severity": "refused", "evidence": "8 runs", "cure": "add runs"}]},
        {"runs": []},
        {"forecast_parameters": {"E": 1.0}},
        {"unknown": 1},
        {"format": True},
    ],
    ids=str,
)
def test_a_fit_file_that_was_edited_is_refused(csv: Path, change: dict[str, object]) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "--law", "power", "-o", out)
    out.write_text(json.dumps(json.loads(out.read_text()) | change))
    with pytest.raises(StoreError, match=r"is damaged|is not a fit file"):
        invoke("predict", out, "--params", "1M", "--tokens", "20M")


@pytest.mark.parametrize(("version", "cure"), [(2, "fit the table again"), (4, "upgrade foretoken")])
def test_a_fit_file_of_another_version_is_refused_with_what_to_do(csv: Path, version: int, cure: str) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "--law", "power", "-o", out)
    out.write_text(json.dumps(json.loads(out.read_text()) | {"format": version}))
    with pytest.raises(StoreError, match=cure):
        Fit.load(out)


@pytest.mark.parametrize(
    ("estimator", "cure"), [("pooled", "now called 'map'"), ("plain", "now called 'huber'"), ("hubr", "'huber'")]
)
def test_an_estimator_that_a_fit_does_not_hold_is_refused_with_the_right_name(
    csv: Path, estimator: str, cure: str
) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "-o", out)
    with pytest.raises(ForetokenError, match=cure):
        invoke("predict", out, "--params", "1M", "--tokens", "20M", "--estimator", estimator)


def test_a_forecast_beyond_all_numbers_is_refused(csv: Path) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "--law", "coupled", "-o", out)
    with pytest.raises(ForetokenError, match="flops must be a finite number"):
        invoke("predict", out, "--params", "1e200", "--tokens", "1e200")
    with pytest.raises(RefusedError, match="out_of_reach"):
        invoke("predict", out, "--params", "1e140", "--tokens", "1e140")


def test_flops_that_contradict_size_and_length_are_refused(csv: Path) -> None:
    out = csv.with_name("fit.json")
    invoke("fit", csv, "-o", out)
    with pytest.raises(RefusedError, match="flops_contradict"):
        invoke("predict", out, "--params", "1M", "--tokens", "20M", "--flops", "4e13")


def test_a_column_that_is_mapped_twice_is_an_error(csv: Path) -> None:
    with pytest.raises(ForetokenError, match="twice"):
        invoke("fit", csv, "--map", "loss=loss,loss=flops")
