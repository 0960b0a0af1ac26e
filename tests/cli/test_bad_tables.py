"""Bad input through the command line: refused or flagged with a code, evidence and cure; never just a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import ForetokenError
from foretoken.laws import CHINCHILLA, LAWS, PUBLISHED

from ..fuzz.verbs import foretoken, strict_json

Frame = pd.DataFrame
VERBS = ("fit", "backtest", "diagnose", "approaches")
LEVELS = ("fit", "backtest", "approaches")


@cache
def runs() -> Frame:
    """IsoFLOP runs of a published law, 5 budgets of 7 sizes."""
    assert CHINCHILLA.optimum is not None
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    loss = CHINCHILLA.evaluate(law, params=n, tokens=flops / 6 / n) * np.exp(0.003 * generator.standard_normal(35))
    names = [f"r{i}" for i in range(35)]
    return Frame({"run": names, "params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})


def one(name: str, value: object) -> Callable[[Frame], Frame]:
    """One cell of a column changed."""
    return lambda f: f.assign(**{name: f[name].where(f.index != 20, value)})


def told(verb: str, path: Path, *words: object) -> tuple[str, list[dict[str, str]]]:
    """The error of a verb, or the checks beside its numbers."""
    try:
        printed: dict[str, Any] = strict_json(foretoken(verb, path, "--json", *words))
    except ForetokenError as error:
        return str(error), []
    return "", printed["checks"]


HALF = ["a", "b"] * 17 + ["a"]
FLAWS: list[tuple[str, Callable[[Frame], Frame], str]] = [
    ("too_few_runs", lambda f: f.head(4), "fit backtest"),
    ("too_few_runs", lambda f: f.assign(loss=np.nan), "fit backtest approaches"),
    ("too_few_runs", lambda f: f.assign(tokens=-f["tokens"]), "fit backtest approaches"),
    ("too_few_runs", lambda f: f.assign(tokens=np.nan), "fit backtest approaches"),
    ("one_size", lambda f: f.assign(params_total=1e8), "fit"),
    ("one_token_count", lambda f: f.assign(tokens=1e9), "fit"),
    ("collinear", lambda f: f.assign(tokens=20 * f["params_total"], flops=120 * f["params_total"] ** 2), "fit"),
    ("equal_losses", lambda f: f.assign(loss=2.5), "fit"),
    ("mixed_eval_sets", lambda f: f.assign(eval_set=HALF), "fit approaches"),
    ("mixed_tokenizers", lambda f: f.assign(tokenizer=HALF), "fit approaches"),
    ("no_interior_minimum", lambda f: f[f.index % 7 < 3], ""),
    ("no_interior_minimum", lambda f: f[f.index % 7 > 3], ""),
    ("infinite_values", one("loss", np.inf), ""),
    ("infinite_values", one("tokens", np.inf), ""),
    ("infinite_values", one("flops", -np.inf), ""),
    ("missing_as_zero", one("tokens", -5.0), ""),
    ("missing_as_zero", one("flops", 0.0), ""),
    ("duplicated_rows", lambda f: pd.concat([f, f.tail(3)]), ""),
    ("duplicated_columns", lambda f: f.assign(score=f["loss"]), ""),
    ("duplicated_columns", lambda f: pd.concat([f, f["loss"]], axis=1), "fit backtest diagnose approaches"),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"])), ""),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), tokenizer="gpt2"), ""),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), vocab_size=50257), ""),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), nats=f["loss"]), ""),
    ("loss_in_perplexity", lambda f: f.assign(loss=np.exp(f["loss"]), ppl=np.exp(f["loss"])), ""),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), vocabulary=64), ""),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), val_nats=f["loss"]), ""),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), val_ppl=np.exp(f["loss"])), ""),
    ("loss_in_bits", lambda f: f.assign(loss=f["loss"] / np.log(2), bpt=f["loss"] / np.log(2)), ""),
    ("units_doubtful", lambda f: f.assign(tokens=f["tokens"] / 1e3), ""),
    ("implausible_unit", lambda f: f.assign(tokens=f["tokens"] / 1e9), "fit backtest diagnose approaches"),
    ("implausible_unit", lambda f: f.assign(params_total=f["params_total"] / 1e6), "fit backtest diagnose approaches"),
    ("implausible_unit", lambda f: f.assign(flops=f["flops"] / 8.64e19), "fit backtest diagnose approaches"),
    ("flops_inconsistent", lambda f: f.assign(flops=f["flops"] / 1e3), ""),
    ("little_explained", lambda f: f.assign(loss=np.random.default_rng(1).permutation(f["loss"])), ""),
    ("unreadable_cell", lambda f: f.assign(loss="high"), "fit backtest diagnose approaches"),
    ("unreadable_cell", lambda f: f.assign(loss=f["loss"].gt(0)), "fit backtest diagnose approaches"),
    ("missing_column", lambda f: f.assign(params_total=np.nan), "fit backtest diagnose approaches"),
    ("missing_column", lambda f: f.drop(columns="tokens"), "fit backtest diagnose approaches"),
    ("empty_table", lambda f: f.head(0), "fit backtest diagnose approaches"),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("code", "spoil", "refuse"), FLAWS, ids=[f"{code}-{i}" for i, (code, *_) in enumerate(FLAWS)])
def test_a_flaw_is_refused_or_flagged(
    code: str, spoil: Callable[[Frame], Frame], refuse: str, verb: str, tmp_path: Path
) -> None:
    path = tmp_path / "runs.csv"
    spoil(runs()).to_csv(path, index=False)
    # One law takes half the time of three, and says the same of a table.
    error, checks = told(verb, path, *(("--law", "coupled") if verb in ("fit", "backtest") else ()))
    if verb == "backtest" and code == "infinite_values":
        assert "not_finite" in error
    elif verb in refuse.split():
        assert error.startswith("error: ")
        assert code in error
        assert "cure: " in error
    else:
        assert not error
        (flag,) = {check["code"]: check for check in checks if check["code"] == code}.values()
        assert flag["severity"] in ("doubt", "refusal")
        assert flag["evidence"]
        assert flag["cure"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_sound_table_is_not_flagged(verb: str, tmp_path: Path) -> None:
    frame = runs().assign(tokenizer="gpt2", eval_set="v", vocab_size=50257, bits=runs()["loss"] / np.log(2))
    frame.assign(val_ppl=np.exp(runs()["loss"]), unique_tokens=runs()["tokens"]).to_csv(tmp_path / "runs.csv")
    error, checks = told(verb, tmp_path / "runs.csv")
    assert not error
    assert {check["code"] for check in checks} <= {"irreducible_loss_not_identified"}


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_loss_that_cannot_be_is_refused_but_for_those_who_leave_it_out(value: float, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    one("loss", value)(runs()).to_csv(path)
    for verb in ("fit", "approaches"):
        error, _ = told(verb, path)
        assert "impossible_loss" in error
        assert "row 21" in error
    for verb in ("backtest", "diagnose"):
        assert "missing_as_zero" in {check["code"] for check in told(verb, path)[1]}


def test_a_doubt_about_the_table_follows_the_fit_into_its_forecasts(tmp_path: Path) -> None:
    runs().assign(loss=runs()["loss"] / np.log(2), nats=runs()["loss"]).to_csv(tmp_path / "runs.csv")
    foretoken("fit", tmp_path / "runs.csv", "-o", tmp_path / "fit.json")
    _, checks = told("predict", tmp_path / "fit.json", "--params", "1e9", "--tokens", "2e10")
    assert "loss_in_bits" in {check["code"] for check in checks}
    text = foretoken("predict", tmp_path / "fit.json", "--params", "1e9", "--tokens", "2e10")
    assert "doubt: loss_in_bits" in text


FILES: list[tuple[str, bytes, str]] = [
    *((f"a{suffix}", b"", "empty_table") for suffix in (".csv", ".json", ".jsonl", ".parquet")),
    ("a.csv", b"\xef\xbb\xbf\r\n \n", "empty_table"),
    ("a.csv", b"params,tokens,loss\n", "empty_table"),
    *((f"a{suffix}", bytes(range(256)) * 40, "unreadable_table") for suffix in (".csv", ".json", ".jsonl", ".parquet")),
    ("a.csv", b"," * 5_000 + b"\n" + b"1," * 5_000 + b"1", "missing_column"),
    ("a.csv", b"loss,loss,params,tokens\n1,2,3,4\n", "duplicated_columns"),
    ("a.xyz", b"params,tokens,loss\n1,2,3\n", "unknown kind of run table"),
]


@pytest.mark.parametrize(("name", "content", "part"), FILES, ids=[f"{i}-{name}" for i, (name, *_) in enumerate(FILES)])
@pytest.mark.parametrize("verb", VERBS)
def test_a_file_that_is_no_table_is_refused(verb: str, name: str, content: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    error, _ = told(verb, tmp_path / name)
    assert part in error
    assert len(error) < 8_000


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_without_records_and_a_path_to_nothing_are_refused(verb: str, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").mkdir()
    assert "no study has been started" in told(verb, tmp_path / "runs.csv")[0]
    assert "no run table" in told(verb, tmp_path / "absent.csv")[0]


@pytest.mark.parametrize("verb", VERBS)
def test_names_of_any_script_and_thousands_of_columns_are_taken(verb: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((35, 3000))
    more = Frame(noise, columns=[f"x{i}" for i in range(3000)])
    frame = (
        runs().rename(columns={"loss": "损失", "tokens": "Zeichen ü"}).assign(run=[f"é汉\u202e{i}" for i in range(35)])
    )
    pd.concat([frame, more], axis=1).to_csv(tmp_path / "läufe.csv", index=False)
    error, checks = told(verb, tmp_path / "läufe.csv", "--map", "loss=损失,tokens=Zeichen ü")
    assert not error
    assert all(check["severity"] == "note" for check in checks)


OPTIONS: list[tuple[str, tuple[str, ...], str]] = [
    *((verb, ("--map", "loss=absent"), "missing_column") for verb in VERBS),
    *((verb, ("--map", "loss=run"), "unreadable_cell") for verb in VERBS),
    *((verb, ("--map", "loss"), "loss=val_loss") for verb in VERBS),
    *((verb, ("--where", "loss>99"), "leaves no row") for verb in VERBS),
    *((verb, ("--where", "absent=1"), "no column 'absent'") for verb in VERBS),
    *((verb, ("--where", "loss~1"), "not readable") for verb in VERBS),
    *((verb, ("--params", "absent"), "params_total") for verb in VERBS),
    *((verb, ("--level", level), "0 and 1") for verb in LEVELS for level in ("0", "1", "nan", "-1")),
    *(("backtest", ("--train-fraction", share), "0 and 1") for share in ("0", "1", "nan", "-0.5", "inf")),
    *(("backtest", ("--train-fraction", share), "too_few_runs") for share in ("0.01", "0.99")),
    ("backtest", ("--estimator", "absent"), "map, huber"),
    ("fit", ("--objective", "absent"), "huber, least_squares"),
    ("fit", ("--profile", "absent"), "E, A, B, alpha, beta"),
    ("fit", ("--law", "chinchila"), "chinchilla"),
    ("backtest", ("--law", "newton"), ", ".join(list(LAWS)[:12])),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "words", "part"), OPTIONS, ids=[f"{verb} {' '.join(w)}" for verb, w, _ in OPTIONS])
def test_an_option_that_cannot_be_is_refused(verb: str, words: tuple[str, ...], part: str, tmp_path: Path) -> None:
    runs().to_csv(tmp_path / "runs.csv", index=False)
    error, _ = told(verb, tmp_path / "runs.csv", *words)
    assert part in error


def test_columns_can_change_places_and_what_is_not_read_is_said(tmp_path: Path) -> None:
    swapped = runs().rename(columns={"params_total": "tokens", "tokens": "params_total"})
    swapped.to_csv(tmp_path / "swapped.csv", index=False)
    runs().rename(columns={"loss": "val"}).assign(loss=9.0).to_csv(tmp_path / "two.csv", index=False)
    runs().to_csv(tmp_path / "runs.csv", index=False)
    plain = strict_json(foretoken("fit", tmp_path / "runs.csv", "--json"))
    back = foretoken("fit", tmp_path / "swapped.csv", "--json", "--map", "params_total=tokens,tokens=params_total")
    assert strict_json(back)["parameters"] == pytest.approx(plain["parameters"])
    two = strict_json(foretoken("fit", tmp_path / "two.csv", "--json", "--map", "loss=val"))
    assert two["parameters"] == pytest.approx(plain["parameters"])
    assert any("`loss` is not read" in sentence for sentence in two["assumed"])


@pytest.fixture
def fit_file(tmp_path: Path) -> Path:
    runs().to_csv(tmp_path / "runs.csv", index=False)
    foretoken("fit", tmp_path / "runs.csv", "--law", "power", "-o", tmp_path / "fit.json")
    return tmp_path / "fit.json"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: json.dumps({**json.loads(text), "format": 99}), "newer_version"),
        (lambda text: "", "(?s)not a fit file.*not JSON.*foretoken fit TABLE"),
        (lambda text: text[: len(text) // 2], "(?s)not a fit file.*not JSON.*foretoken fit TABLE"),
        (lambda text: "[1]", "not a fit file"),
        (lambda text: json.dumps({**json.loads(text), "conditioning": float("nan")}), "is damaged"),
    ],
)
def test_a_fit_file_that_cannot_be_is_refused(change: Callable[[str], str], part: str, fit_file: Path) -> None:
    fit_file.write_text(change(fit_file.read_text()))
    for verb in (("predict", fit_file), ("ledger", "freeze", fit_file, "big", "--ledger", fit_file.parent / "ledger")):
        with pytest.raises(ForetokenError, match=part) as error:
            foretoken(*verb, "--params", "1e9", "--tokens", "2e10")
        assert "cure: " in str(error.value)
    assert not (fit_file.parent / "ledger").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        *((("--params", size, "--tokens", "2e10"), "params") for size in ("0", "-1", "nan", "inf", "x", "1e400", "")),
        *((("--params", "1e9", "--tokens", length), "tokens") for length in ("0", "-3", "nan", "lots")),
        *((("--params", "1e9", "--tokens", "2e10", "--level", level), "0 and 1") for level in ("0", "1", "nan")),
        (("--params", "1e9", "--tokens", "2e10", "--kind", "absent"), "new-run, mean"),
        (("--params", "1e9", "--tokens", "2e10", "--estimator", "absent"), "map, huber"),
        (("--params", "1e9", "--tokens", "2e10", "--flops", "-1"), "above 0"),
    ],
    ids=" ".join,
)
def test_a_forecast_that_cannot_be_is_refused(words: tuple[str, ...], part: str, fit_file: Path) -> None:
    with pytest.raises(ForetokenError, match=part):
        foretoken("predict", fit_file, *words)
