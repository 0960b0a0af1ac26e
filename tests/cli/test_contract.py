"""The contract of --json: every key that programs may count on is there, with its type, for every verb.

A shape is a type, a set of types, a list of one shape, or a dict of keys; a dict with the one key `...` has any keys.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretoken.laws import CHINCHILLA, PUBLISHED

Number, Integer, Text, Flag = float, int, str, bool
Null = type(None)
CHECKS = [{"code": Text, "severity": Text, "evidence": Text, "cure": Text}]
ROWS = {"used": Integer, "dropped": [{"reason": Text, "count": Integer}]}
BAND = [Number]
FORECAST = {"loss": Number, "low": Number, "high": Number, "level": Number, "flops": Number,
            "compute_factor": Number, "frozen_at": Text, "data_sha256": Text}  # fmt: skip
OUTCOME = {"loss": Number, "error": Number, "inside": Flag, "started_at": Text, "finished_at": Text}
STATUS = {
    "study": Text,
    "counts": {"planned": Integer, "running": Integer, "finished": Integer, "diverged": Integer, "failed": Integer},
    "forecast": FORECAST,
    "outcome": OUTCOME,
}
CONTRACT: dict[str, dict[str, Any]] = {
    "fit": {
        "law": Text,
        "status": Text,
        "parameters": {name: {Number, Null} for name in ("E", "A", "B", "alpha", "beta")},
        "intervals": dict.fromkeys(("E", "A", "B", "alpha", "beta"), BAND),
        "forecast_parameters": dict.fromkeys(("E", "A", "B", "alpha", "beta"), Number),
        "objective": {"huber_sum": Number, "delta": Number},
        "starts": {"tried": Integer, "agree": Integer},
        "conditioning": Number,
        "rows": ROWS,
        "checks": CHECKS,
        "assumed": [Text],
        "seconds": Number,
        "interval_seconds": Number,
    },
    "predict": {
        "loss": Number,
        "low": Number,
        "high": Number,
        "level": Number,
        "kind": Text,
        "extrapolation": {"params": Number, "tokens": Number, "flops": Number},
        "checks": CHECKS,
    },
    "backtest": {
        **dict.fromkeys(("test_error", "bias", "max_error", "median_error", "coverage", "level"), Number),
        **dict.fromkeys(("median_half_width", "interval_score", "seconds"), Number),
        "n_train": Integer,
        "n_test": Integer,
        "estimator": Text,
        "checks": CHECKS,
    },
    "diagnose": {"checks": CHECKS, "conventions": {...: {Text, list, Null}}},
    "plan": {
        "params": Number,
        "tokens": Number,
        "flops": Number,
        "loss": {Number, Null},
        "interval": {"params": {list, Null}, "loss": {list, Null}},
        "band": {"tolerance": Number, "params": BAND, "tokens": BAND},
        "alternatives": [
            {"name": Text, "params": Number, "tokens": Number, "loss": {Number, Null},
             **{key: {Number, Null} for key in ("regret_loss", "regret_flops", "regret_usd", "regret_days")}}
        ],
        "recipe": dict,
        "cost": {key: {Number, Null} for key in ("hours", "usd", "kwh", "tco2e")},
        "extrapolation": dict,
        "sources": list,
        "checks": CHECKS,
    },
    "design": {
        "runs": [
            {"id": Text, "group": Text, "params_total": Number, "params_non_embedding": Number, "tokens": Number,
             "flops": Number, "seconds_estimated": Number}
        ],
        "total_flops": Number,
        "target": {"params_total": Number, "tokens": Number, "flops": Number},
        "share_of_target": Number,
    },
    "status": STATUS,
    "run": STATUS,
}  # fmt: skip


def mistakes(value: Any, shape: Any, place: str = "") -> list[str]:
    """Where a value is not of its shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{place} is no object"]
        inner = {key: shape[...] for key in value} if ... in shape else shape
        absent = [f"{place}.{key} is absent" for key in inner if key not in value]
        return absent + [m for key in inner if key in value for m in mistakes(value[key], inner[key], f"{place}.{key}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [m for i, entry in enumerate(value) for m in mistakes(entry, shape[0], f"{place}[{i}]")]
    allowed = shape if isinstance(shape, set) else {shape}
    kinds = allowed | {Integer} if Number in allowed else allowed
    return [] if type(value) in kinds else [f"{place} is {type(value).__name__}, not {allowed}"]


def nulls(value: Any, above: dict[str, Any], place: str = "") -> list[str]:
    """Nulls without a reason beside them, or at the top."""
    if not isinstance(value, dict):
        return []
    there = {*above, *value}
    silent = [key for key, one in value.items() if one is None and not key.endswith("reason")]
    found = [f"{place}.{key}" for key in silent if f"{key}_reason" not in there]
    return found + [m for key, one in value.items() for m in nulls(one, above, f"{place}.{key}")]


def foretoken(*words: object, code: int = 0, cwd: Path | None = None) -> Any:
    """What a verb prints as JSON, by the real command line."""
    command = [sys.executable, "-m", "foretoken", *map(str, words), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def table(noise: float) -> pd.DataFrame:
    """IsoFLOP runs of a published law."""
    assert CHINCHILLA.optimum is not None
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    loss = CHINCHILLA.evaluate(law, params=n, tokens=flops / 6 / n) * np.exp(noise * generator.standard_normal(35))
    return pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("contract")
    table(0.003).to_csv(home / "runs.csv", index=False)
    foretoken("fit", home / "runs.csv", "-o", home / "fit.json")
    return home


WORDS = {
    "fit": ("fit", "runs.csv", "--law", "chinchilla"),
    "predict": ("predict", "fit.json", "--params", "1e9", "--tokens", "2e10", "--level", "0.8"),
    "backtest": ("backtest", "runs.csv", "--train-fraction", "0.5"),
    "diagnose": ("diagnose", "runs.csv"),
    "plan": ("plan", "--fit", "fit.json", "--compute", "1e21"),
}


@pytest.mark.parametrize("verb", WORDS)
def test_a_verb_on_tables_keeps_the_contract(verb: str, folder: Path) -> None:
    told = foretoken(*WORDS[verb], cwd=folder)
    assert mistakes(told, CONTRACT[verb]) == []
    if verb not in ("diagnose", "plan"):
        assert nulls(told, told) == []


@pytest.mark.parametrize("verb", ["design", "status", "run"])
def test_a_verb_on_studies_keeps_the_contract(verb: str, copied: Path, mini_file: Path) -> None:
    told = foretoken(verb, mini_file, "--folder", copied)
    assert mistakes(told, CONTRACT[verb]) == []


def test_a_study_that_has_not_begun_has_neither_forecast_nor_outcome(mini_file: Path) -> None:
    told = foretoken("status", mini_file, cwd=mini_file.parent)
    assert mistakes(told, {**STATUS, "forecast": Null, "outcome": Null}) == []


def test_numbers_mean_what_the_contract_says(folder: Path) -> None:
    fit, told, tested = (foretoken(*WORDS[verb], cwd=folder) for verb in ("fit", "predict", "backtest"))
    assert all(low <= high for low, high in fit["intervals"].values())
    assert fit["rows"]["used"] == 35
    assert fit["parameters"]["E"] is not None or fit["E_reason"]
    assert told["low"] < told["loss"] < told["high"]
    assert (told["level"], told["kind"]) == (0.8, "new-run")
    assert told["extrapolation"]["flops"] == pytest.approx(6 * 1e9 * 2e10 / 1e20)
    assert all(factor >= 1 for factor in told["extrapolation"].values())
    flops = pd.read_csv(folder / "runs.csv")["flops"]
    assert tested["n_train"] == (flops <= flops.quantile(0.5) * (1 + 1e-9)).sum()
    assert tested["n_train"] + tested["n_test"] == 35
    assert abs(tested["bias"]) <= tested["test_error"] <= tested["max_error"] < 0.1
    assert tested["estimator"] == "map"


def test_plain_params_are_taken_and_said(folder: Path) -> None:
    table(0.003).rename(columns={"params_total": "params"}).drop(columns="flops").to_csv(folder / "plain.csv")
    told = foretoken("fit", "plain.csv", cwd=folder)
    said = " ".join(told["assumed"])
    assert "undeclared convention" in said
    assert "6 x params x tokens" in said


@pytest.mark.parametrize("verb", ["fit", "predict", "backtest", "diagnose"])
def test_a_mistake_of_the_user_ends_with_2_one_message_and_no_traceback(verb: str, folder: Path) -> None:
    (folder / "empty").write_text("")
    command = [sys.executable, "-m", "foretoken", verb, "empty", *WORDS[verb][2:], "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
