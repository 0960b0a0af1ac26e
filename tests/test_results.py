"""Every result of Python shows itself: as text, as a frame, and as the first screen of its page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import foretoken as ft
from foretoken.results import Result

from .fuzz.verbs import foretoken

EVIL = "<script>alert(1)</script>"
RUN = {"params": 2e5, "tokens": 8e6}


@pytest.fixture(scope="module")
def table() -> ft.RunTable:
    return ft.read_table("sample")


@pytest.fixture(scope="module")
def fit(table: ft.RunTable) -> ft.Fit:
    return ft.fit(table, "chinchilla", draws=50)


@pytest.fixture(scope="module")
def results(table: ft.RunTable, fit: ft.Fit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("ledger")
    entry = ft.freeze_run(folder / "a.json", fit, **RUN)
    (point,) = ft.place_run(folder / "a.json", [(4e6, 1.4)])
    outcome = ft.score_run(folder / "a.json", 1.3)
    found: list[Result] = [
        table, fit, ft.predict(fit, **RUN), ft.predict(fit, params=["200k", 3e5], tokens="8M"), entry, point, outcome,
        ft.plan("1e22", law="besiroglu_2024"), ft.diagnose(table), ft.trends(),
        ft.compare("1e22"), ft.score_ledger(folder),
    ]  # fmt: skip
    return {type(result).__name__: result for result in found}


def test_each_has_its_text_its_frame_and_its_screen(
    results: dict[str, Result], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, result in results.items():
        text, frame, screen = result.summary(), result.to_frame(), result._repr_html_()
        assert text.strip(), name
        assert len(frame) >= 1, name
        assert isinstance(frame, pd.DataFrame)
        assert screen.startswith('<div class="foretoken">')
        assert len(screen) < 20_000, name
        assert "<script" not in screen
        assert "src=" not in screen
        assert ' id="' not in screen
    assert capsys.readouterr().out == ""


def test_rows_are_what_the_result_is_made_of(results: dict[str, Result], fit: ft.Fit) -> None:
    assert len(results["RunTable"].to_frame()) == 28
    assert results["Fit"].to_frame()["parameter"].tolist() == list(fit.parameters)
    assert results["Forecasts"].to_frame()["params"].tolist() == [2e5, 3e5]
    assert results["Forecast"].to_frame().loc[0, "extrapolation.tokens"] > 1
    assert "code" in results["Diagnosis"].to_frame()
    assert results["Trends"].to_frame()["growth"].min() > 1


def test_the_text_is_that_of_the_verb(fit: ft.Fit, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    told = foretoken("predict", tmp_path / "fit.json", "--params", "200k", "--tokens", "8M")
    assert told.rstrip("\n") == ft.predict(fit, **RUN).summary()
    told = foretoken("plan", "--compute", "1e22", "--law", "besiroglu_2024")
    assert told.rstrip("\n") == ft.plan("1e22", law="besiroglu_2024").summary()


def test_a_name_cannot_become_markup(table: ft.RunTable) -> None:
    frame = table.to_frame().assign(run=EVIL, tokenizer=EVIL)
    screen = ft.RunTable(frame, EVIL)._repr_html_()
    assert "&lt;script" in screen
    assert "<script" not in screen


def public_results() -> Iterator[tuple[str, type]]:
    """What public functions that need no torch return, where it is one class of ours."""
    for name in ft.__all__:
        made = getattr(ft, name) if name in ft.PUBLIC and "evals" not in ft.PUBLIC[name] else None
        if inspect.isfunction(made) and "generation" not in ft.PUBLIC[name]:
            returned = eval(made.__annotations__["return"], inspect.unwrap(made).__globals__)
            if isinstance(returned, type) and returned.__module__.startswith("foretoken"):
                yield name, returned


def test_all_public_functions_return_results() -> None:
    found = dict(public_results())
    inputs = {"cite", "index_text", "index_tokens", "law", "load_study", "load_tokenizer", "make_task", "open_index"}
    inputs |= {"train_tokenizer"}
    assert {"fit", "plan", "backtest", "design", "status"} <= found.keys()
    assert {name for name, kind in found.items() if not issubclass(kind, Result)} <= inputs
