"""Every law goes the whole way: a table read from a file, a fit, its file, a forecast, a back-test."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import ForetokenError, TableError
from foretoken.fits import fit
from foretoken.fits.law_columns import needed
from foretoken.fits.result import Fit
from foretoken.forecasts import backtest, predict
from foretoken.laws import LAWS, PUBLISHED
from foretoken.laws.formula import IRREDUCIBLE, exponent, law_from, term
from foretoken.laws.law import Law
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

RANGES = {
    "params": (1e7, 1e10), "tokens": (1e9, 1e12), "flops": (1e18, 1e22), "unique_tokens": (3e9, 3e11),
    "flops_min": (1e17, 1e21), "steps_min": (1e3, 1e6), "experts": (2, 256), "granularity": (1, 32),
    "bits_weights": (3, 16), "bits_activations": (3, 16), "bits_kv": (3, 16), "bits_post": (3, 8),
    "loss": (1.8, 4), "size": (1e2, 1e6), "data": (1e3, 1e7),
}  # fmt: skip
NOISE = 0.003
KNOWN = {name: next((one for one in PUBLISHED.values() if one.law == name), None) for name in LAWS}
TRUTHS = {name: one.parameters for name, one in KNOWN.items() if one is not None} | {
    "table_error": {"E": 0.1, "A": 3.0, "B": 40.0, "alpha": 0.4, "beta": 0.5},
    "table_score": {"top": 0.9, "A": 3.0, "B": 40.0, "alpha": 0.4, "beta": 0.5},
    "size_error": {"E": 0.1, "A": 3.0, "alpha": 0.4},
    "size_score": {"top": 0.9, "A": 3.0, "alpha": 0.4},
    "size_accuracy": {"a": 0.7, "b": 0.25, "k": 1.0, "X_0": 1e4},
    "saturating_params": {"E": 1.7, "a": 400.0, "b": 0.34},
    "broken_1": {"a": 0.05, "b": 1.0, "c0": 0.2, "c1": 0.4, "d1": 1e3, "f1": 0.5},
}


def made(law: Law, runs: int = 48) -> dict[str, np.ndarray]:
    """Columns of simulated runs that follow the law's published or assumed truth."""
    generator = np.random.default_rng(0)
    columns = {name: np.exp(generator.uniform(*np.log(RANGES[name]), runs)) for name in law.features}
    if "unique_tokens" in columns:
        columns["unique_tokens"] = np.minimum(columns["unique_tokens"], columns["tokens"])
    true = law.evaluate(TRUTHS[law.name], **columns)
    noise = generator.normal(0, NOISE, runs)
    return {**columns, law.column: true * np.exp(noise) if law.target == "log" else true + noise}


@pytest.mark.parametrize("name", sorted(name for name in TRUTHS if not LAWS[name].sequence_input))
def test_a_law_goes_from_a_file_to_a_forecast(name: str, tmp_path: Path) -> None:
    law = LAWS[name]
    columns = made(law)
    pd.DataFrame(columns).to_csv(tmp_path / "runs.csv", index=False)
    table = read_table(tmp_path / "runs.csv", need=needed(law))
    found = fit(table, name, draws=60)
    found.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == found
    at = {feature: float(np.median(columns[feature])) for feature in law.features}
    own = {feature: at.pop(feature) for feature in ("params", "tokens", "flops") if feature in at}
    told = predict(found, **own, at=at, kind="mean")
    true = float(law.evaluate(TRUTHS[name], **own, **at))
    scale = abs(true) if law.target == "log" else 1.0
    assert abs(told.loss - true) < 0.02 * scale
    assert told.low <= told.loss <= told.high
    assert told.to_json()["unit"] == law.unit
    assert backtest(table, 0.6, law=name, draws=60).test_error < 0.1


def test_what_a_law_reads_must_be_there_and_nothing_else() -> None:
    law = LAWS["table_error"]
    table = RunTable(pd.DataFrame(made(law)), "made")
    found = fit(table, "table_error", draws=60)
    with pytest.raises(ForetokenError, match="needs more"):
        predict(found, at={"size": 1e4})
    with pytest.raises(ForetokenError, match="does not read 'experts'"):
        predict(found, at={"size": 1e4, "data": 1e5, "experts": 8.0})
    with pytest.raises(TableError, match="no column 'data'"):
        fit(RunTable(table.frame.drop(columns="data"), "made"), "table_error")
    with pytest.raises(TableError, match="histories"):
        fit(table, "multi_power")
    with pytest.raises(ForetokenError, match="either sign"):
        fit(RunTable(pd.DataFrame(made(LAWS["table_score"])), "made"), "table_score", profile=("top",))


def test_distance_counts_in_what_the_law_reads() -> None:
    found = fit(RunTable(pd.DataFrame(made(LAWS["table_error"])), "made"), "table_error", draws=60)
    far = predict(found, at={"size": 1e7, "data": 1e6})
    assert far.extrapolation["size"] == pytest.approx(1e7 / found.features["size"][1])
    assert far.extrapolation["data"] == 1.0
    assert "far_extrapolation" in {check.code for check in far.checks}


@pytest.mark.parametrize(("decay", "identified"), [(5.0, True), (1e6, False)])
def test_the_decay_of_repeated_data_is_given_only_where_runs_show_it(decay: float, identified: bool) -> None:
    law = LAWS["repeated_data"]
    generator = np.random.default_rng(0)
    params, unique = np.exp(generator.uniform(np.log(1e8), np.log(4e9), 80)), np.full(80, 1e9)
    epochs = np.exp(generator.uniform(0, np.log(100 if identified else 4), 80))
    truth = PUBLISHED["muennighoff_2023"].parameters | {"R_D": decay}
    columns = {"params": params, "tokens": unique * epochs, "unique_tokens": unique}
    loss = law.evaluate(truth, **columns) * np.exp(generator.normal(0, NOISE, 80))
    found = fit(RunTable(pd.DataFrame({**columns, "loss": loss}), "made"), "repeated_data", draws=60)
    assert "repeated_tokens" not in {check.code for check in found.checks}
    if identified:
        low, high = found.profiles["R_D"].interval
        assert found.parameters["R_D"] is not None
        assert low < decay < high
    else:
        assert found.parameters["R_D"] is None
        assert "flat" in found.reasons["R_D"]


def test_a_law_whose_terms_are_incomplete_is_refused() -> None:
    """Its fit would look right: its features are centred, and only a forecast would show that they stay so."""

    def loss(N, D, *, E, A, alpha):
        return E + A * (N * D) ** -alpha

    parts = {"E": IRREDUCIBLE, "alpha": exponent()}
    about = {"name": "one_power", "formula": "E + A (N D)^-alpha", "citation": "none", "domain": "all"}
    features = ("params", "tokens")
    right = law_from(loss, parameters={**parts, "A": term("", alpha=(0, 1.0))}, features=features, **about)
    N, D = (column.ravel() for column in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 5)))
    frame = pd.DataFrame({"params": N, "tokens": D, "flops": 6 * N * D, "loss": 1.8 + 300 * (N * D) ** -0.2})
    with patch.dict(LAWS, one_power=right), pytest.raises(ForetokenError, match="no longer centred") as refusal:
        fit(RunTable(frame, "made"), "one_power")
    assert refusal.value.code == "law_is_not_shifted"
