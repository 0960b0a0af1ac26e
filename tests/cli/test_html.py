"""--html: every verb on tables, fits and ledgers writes its page, and JSON stays alone on standard output."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.cli.options import typed_command
from foretoken.laws import CHINCHILLA, PUBLISHED


def invoke(*words: object) -> str:
    """Run a verb and return its standard output."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with runs.csv, fit.json and a ledger of one forecast."""
    folder = tmp_path_factory.mktemp("pages")
    law, generator, rows = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0), []
    for flops in np.geomspace(1e18, 1e20, 4):
        for params in CHINCHILLA.optimum(law, flops)[0] * 1.6 ** np.arange(-3.0, 4.0):
            loss = CHINCHILLA.evaluate(law, params=params, tokens=flops / 6 / params) * np.exp(
                0.003 * generator.standard_normal()
            )
            rows.append((params, flops / 6 / params, flops, float(loss)))
    pd.DataFrame(rows, columns=["params_total", "tokens", "flops", "loss"]).to_csv(folder / "runs.csv", index=False)
    scores = pd.DataFrame({"params": np.geomspace(1e8, 1e11, 8), "tokens": 3e11, "acc_copa": 60.0 + 4.0 * np.arange(8)})
    scores.to_csv(folder / "scores.csv", index=False)
    answers = pd.DataFrame({"params": np.repeat([1e8, 1e9, 1e10, 1e11], 4), "count": np.tile([1, 10, 100, 1000], 4)})
    answers.assign(n=200, score=np.linspace(0.1, 0.9, 16)).to_csv(folder / "answers.csv", index=False)
    invoke("fit", folder / "runs.csv", "-o", folder / "fit.json")
    invoke(
        "ledger",
        "freeze",
        folder / "fit.json",
        "big",
        "--params",
        "7B",
        "--tokens",
        "140B",
        "--ledger",
        folder / "book",
    )
    return folder


VERBS = {
    "fit": ("fit", "{home}/runs.csv"),
    "backtest": ("backtest", "{home}/runs.csv"),
    "diagnose": ("diagnose", "{home}/runs.csv"),
    "approaches": ("approaches", "{home}/runs.csv"),
    "scores": ("scores", "{home}/scores.csv"),
    "tail": ("tail", "{home}/answers.csv"),
    "downstream": ("downstream", "{home}/scores.csv", "--at", "7B,140B"),
    "predict": ("predict", "{home}/fit.json", "--params", "7B", "--tokens", "140B"),
    "laws": ("laws",),
    "ledger during": ("ledger", "score", "big", "--at", "14B:2.5", "--ledger", "{home}/book"),
    "ledger show": ("ledger", "show", "--ledger", "{home}/book"),
}


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_a_verb_writes_its_page_and_json_stays_alone(home, tmp_path, words):
    page = tmp_path / "page.html"
    command = [*(word.format(home=home) for word in words), "--html", str(page), "--json"]
    before = typed_command.set(shlex.join(["foretoken", *command]))
    printed = invoke(*command)
    typed_command.reset(before)
    assert isinstance(json.loads(printed), dict)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<figure " in text
    assert "Rebuild it with <code>foretoken " in text
    for folder in (home, tmp_path):
        assert str(folder.parent) not in text, "a page names a folder of this machine"


def test_a_page_that_cannot_be_written_is_a_user_error(home, tmp_path):
    result = CliRunner().invoke(app, ["laws", "--html", str(tmp_path)])
    assert "cannot write the page" in str(result.exception)


def test_the_foot_repeats_the_command_that_was_typed(tmp_path):
    before = typed_command.set("foretoken laws --html '<b>'")
    try:
        invoke("laws", "--html", tmp_path / "page.html", "--json")
    finally:
        typed_command.reset(before)
    foot = (tmp_path / "page.html").read_text(encoding="utf-8").partition("<footer>")[2]
    assert "<code>foretoken laws --html &#x27;&lt;b&gt;&#x27;</code>" in foot
