"""What somebody else's names do on the way out: they steer no terminal, run in no page, shell or spreadsheet."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shlex
import shutil
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import foretoken as ft
from foretoken.cli import app
from foretoken.escapes import HARMLESS, STEERING, for_csv, for_html, for_shell, for_terminal, for_toml, in_one_line
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.reports import page_of
from foretoken.runs.table import RunTable

NASTY = (
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m\x85",
    "\u202etxt.exe\u2066",
    "r\nforecast: 1.0000",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "it's; touch owned #$(touch owned)`touch owned`",
    "=HYPERLINK(1)",
    "$\\frac{$",
    "{{}}%s%(x)s",
)
STUDY = (Path(__file__).parents[2] / "studies" / "zipf_markov.toml").read_text(encoding="utf-8")
ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from(NASTY), min_size=1, max_size=3).map("".join)


def steers(text: str) -> list[str]:
    return [c for c in text if unicodedata.category(c) in STEERING and c not in HARMLESS]


@settings(max_examples=80, derandomize=True, database=None, deadline=None)
@given(text=ANY_TEXT)
def test_each_medium_gets_text_that_steers_nothing_in_it(text: str) -> None:
    assert not steers(for_terminal(text))
    assert not steers(in_one_line(text) + for_html(text))
    assert not re.search(r"[\n\t]", in_one_line(text))
    assert not re.search("[<>\"']", for_html(text))
    assert shlex.split(for_shell("--where", text)) == ["--where", text]
    if not any(unicodedata.category(c) == "Cs" for c in text):
        assert tomllib.loads(f"a = {for_toml(text)}") == {"a": text}
    cell = for_csv(text)
    assert isinstance(cell, str)
    assert cell.lstrip("'") == text.lstrip("'")
    assert not cell.startswith(("=", "@", "\t", "\r"))


def hostile_table(name: str) -> pd.DataFrame:
    """35 runs that all go by such names, two of them far off, and further columns and words of that kind."""
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    assert CHINCHILLA.optimum is not None
    sizes = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 7), 5)
    tokens = flops / 6 / sizes
    loss = CHINCHILLA.evaluate(law, params=sizes, tokens=tokens) * np.exp(0.003 * generator.standard_normal(35))
    loss[[4, 20]] *= [1.2, 0.85]
    return pd.DataFrame(
        {
            "run": [f"{name}{k}" for k in range(35)],
            "group": np.repeat([f"{name}{k}" for k in range(5)], 7),
            "corpus": np.where(np.arange(35) % 2, name, "c4"),
            f"{name}params": sizes,
            "params_total": sizes,
            "tokens": tokens,
            "flops": flops,
            "loss": loss,
        }
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of every nasty name, a fit of it with a colleague's checks, and a ledger."""
    folder = tmp_path_factory.mktemp("hostile")
    name = "".join(NASTY)
    hostile_table(name).to_json(folder / "runs.json", orient="records")
    ft.fit(hostile_table(name), draws=50).save(folder / "fit.json")
    content = json.loads((folder / "fit.json").read_text())
    content["checks"].append({"code": name, "severity": "doubt", "evidence": name, "cure": name})
    content["assumed"].append(name)
    (folder / "fit.json").write_text(json.dumps(content))
    ran = CliRunner().invoke(
        app,
        ["ledger", "freeze", f"{folder}/fit.json", "big", "--params=7B", "--tokens=1T", f"--ledger={folder}/book"],
    )
    assert ran.exit_code == 0, ran.output
    return folder


VERBS = {
    "fit": ["fit", "runs.json"],
    "diagnose": ["diagnose", "runs.json"],
    "approaches": ["approaches", "runs.json"],
    "predict": ["predict", "fit.json", "--params", "7B", "--tokens", "140B"],
    "plan": ["plan", "--fit", "fit.json", "--compute", "1e22"],
    "next": ["next", "--fit", "fit.json", "--compute", "1e23", "--spend", "1e20"],
    "backtest": ["backtest", "runs.json"],
    "aloud": ["-v", "fit", "runs.json"],
    "ledger": ["ledger", "show", "--ledger", "book"],
    "missing": ["fit", "runs.json", "--map", "loss=nothing"],
    "where": ["fit", "runs.json", "--where", "corpus=nothing"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_name_of_a_table_or_fit_steers_the_terminal_or_the_page(
    verb: str, hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    refused = verb in ("missing", "where")
    page = [] if refused or verb == "next" else ["--html", f"{verb}.html"]
    ran = CliRunner().invoke(app, [*VERBS[verb], *page])
    assert refused == (ran.exception is not None), ran.output
    told = ran.output + str(ran.exception)
    assert not steers(told)
    assert "\nforecast: 1.0000" not in told
    if page:
        text = Path(f"{verb}.html").read_text(encoding="utf-8")
        assert not steers(text)
        assert not re.search(r"<script>alert|<img src=x", text)


def every_verb(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that name each verb, those of groups too."""
    if not hasattr(command, "commands"):
        yield words
        return
    for name, verb in command.commands.items():
        yield from every_verb(verb, (*words, name))


ALL_VERBS = tuple(every_verb(typer.main.get_command(app)))
HANDED = (
    ["{}"],
    ["{}", "{}"],
    ["{}.json", "{}", "--json"],
    ["--{}"],
    ["runs.json", "--map", "loss={}"],
    ["runs.json", "--where", "{}={}"],
    ["runs.json", "--law", "{}"],
    ["fit.json", "{}", "--params", "{}", "--tokens", "1T"],
    ["--compute", "{}"],
    ["--compute", "1e21", "--law", "{}"],
    ["--compute", "1e21", "--accelerator", "{}", "--law", "besiroglu_2024"],
)
"""What verbs are handed: such names in place of files, options, columns, laws, amounts and machines."""


@pytest.mark.parametrize("verb", ALL_VERBS, ids=" ".join)
def test_no_word_of_a_command_steers_the_terminal(
    verb: tuple[str, ...], hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs.json", "fit.json"):
        shutil.copy(hostile / name, name)
    name = "".join(NASTY).replace("/", "").replace("\0", "")
    for words in HANDED:
        ran = CliRunner().invoke(app, [*verb, *(word.format(name, name) for word in words)])
        told = ran.output + str(ran.exception)
        assert not steers(told), words
        assert "\nforecast: 1.0000" not in told, words


HOSTILE_STUDIES = (
    "name = {}\n",
    "{} = 1\n",
    "[{}]\na = 1\n",
    "[corpus]\n{} = {}\n",
    "[corpus]\nsource = {}\n",
    "[corpus]\nsource = 'text'\npath = {}\n",
    "[corpus]\nsource = 'text'\npath = 'hostile.csv'\ncolumn = {}\n",
    "[model]\npreset = {}\n",
    "[design]\nkind = 'runs'\nruns = [{{ {} = {} }}]\n",
    "[launch]\ndevice = {}\n",
)


@pytest.mark.parametrize("verb", [("design",), ("run", "--dry-run"), ("status",), ("verify",)], ids=" ".join)
def test_no_word_of_a_study_file_steers_the_terminal(
    verb: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "".join(NASTY)
    pd.DataFrame({name: ["a text"]}).to_csv("hostile.csv", index=False)
    for study in HOSTILE_STUDIES:
        Path("hostile.toml").write_text(study.format(for_toml(name), for_toml(name)), encoding="utf-8")
        ran = CliRunner().invoke(app, [verb[0], "hostile.toml", *verb[1:]])
        assert ran.exception is not None, ran.output
        told = ran.output + str(ran.exception)
        assert not steers(told), study
        assert "\nforecast: 1.0000" not in told, study


def test_a_cure_that_is_pasted_into_a_shell_is_text_there(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hostile)
    name = "it's; touch owned #$(touch owned)"
    hostile_table(name).to_csv("shell.csv", index=False)
    told = CliRunner().invoke(app, ["diagnose", "shell.csv"]).output
    cures = re.findall(r"(--where .*?)(?:, or fit with|$)", told, flags=re.MULTILINE)
    assert cures
    assert all(shlex.split(cure)[1].startswith(f"run!={name}") and len(shlex.split(cure)) == 2 for cure in cures)


def test_a_table_that_is_saved_runs_nothing_in_a_spreadsheet(tmp_path: Path) -> None:
    frame = hostile_table("=1+1").assign(note=-1.5)
    RunTable(frame, "a test").to_csv(tmp_path / "runs.csv")
    cells = [cell for row in csv.reader(io.StringIO((tmp_path / "runs.csv").read_text())) for cell in row]
    assert "'=1+10" in cells
    assert "-1.5" in cells
    assert not [cell for cell in cells if cell.startswith("=")]


def test_a_result_of_python_shows_no_control_characters_either(hostile: Path) -> None:
    fit = ft.Fit.load(hostile / "fit.json")
    assert not steers(fit.summary())
    assert not steers(page_of(dataclasses.replace(fit, assumed=["\x1b[2J"])))


def test_a_command_that_is_printed_is_words_for_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a'$(touch owned).toml"
    Path(name).write_text(STUDY)
    for verb in (["report"], ["tokenizer", "show"]):
        told = CliRunner().invoke(app, [*verb, name])
        cure = str(told.exception).split("cure: ")[1].splitlines()[0]
        assert shlex.split(cure) == ["foretoken", "run", name]


def test_a_name_begins_no_line_of_an_error() -> None:
    error = ft.ForetokenError("no column 'a\nforecast: 1.0'", got="b\nforecast: 1.0")
    assert not [line for line in str(error).split("\n") if line.startswith("forecast")]


def test_every_verb_prints_through_the_door() -> None:
    """What is printed past `print_text` and `say` passes `for_terminal` in the same line."""
    source = Path(ft.__file__).parent
    past = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in source.rglob("*.py")
        if path.name not in ("printing.py", "telling.py")
        for line in path.read_text(encoding="utf-8").split("\n")
        if re.search(r"typer\.s?echo\(|(?<![\w.])print\(|sys\.std(out|err)\.write", line) and ">>>" not in line
    ]
    known = ("for_terminal(", "__version__", 'print(f"error: {error}"')  # an error is made legible where it is raised
    assert [line for line in past if not any(word in line for word in known)] == []
