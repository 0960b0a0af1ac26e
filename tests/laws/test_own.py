"""A law of one's own: what its formula says, what is refused, and that nothing but arithmetic runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.errors import ForetokenError, StoreError
from foretoken.laws import LAWS, find_law, name_of
from foretoken.laws.own import own_law

from ..fuzz.verbs import foretoken

CHINCHILLA = "E + A / N**alpha + B / D**beta"
FORMULAS = [
    CHINCHILLA, "E + A / N**a + B / D**a", "A / C**a", "E + A * (N * D)**-a", "E + A / N**0.34 + B / D**(b / 2)",
    "E + A / log(N)**a + B / D**b", "E + A * exp(-N / k) + B / D**b", "E + A / sqrt(N) + B * pow(D, -b)",
    "E + A * D**b / N**a", "E + A / N**a + B / D**b + K / (N**a * D**b)", "L = E + A / params**a",
    "tied(width): A / width**a", "E\n  + A / N**a\n  + B / D**b\n",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_its_gradient_is_that_of_its_values(text: str) -> None:
    law = own_law(text)
    generator = np.random.default_rng(0)
    x = np.log(generator.uniform(1e6, 1e8, (5, len(law.features))))
    theta = generator.uniform(-1, 0, (2, len(law.parameters)))
    values, gradient = law.value_and_grad(theta, x)
    assert np.isfinite(values).all()
    for k in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[:, k] = 1e-5
        slope = (law.value_and_grad(theta + step, x)[0] - law.value_and_grad(theta - step, x)[0]) / 2e-5
        np.testing.assert_allclose(gradient[..., k], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("text", FORMULAS)
def test_it_says_the_same_once_its_features_are_moved(text: str) -> None:
    law = own_law(text)
    x = np.log(np.random.default_rng(1).uniform(1e6, 1e8, (5, len(law.features))))
    origin = law.origin(x)
    theta = np.full((1, len(law.parameters)), -0.7)
    here = law.value_and_grad(theta, x - origin)[0]
    np.testing.assert_allclose(law.value_and_grad(law.shift(theta, origin), x)[0], here, rtol=1e-9)


def test_it_is_the_law_that_it_writes_down() -> None:
    own, built_in = (ft.fit("sample", law, draws=50) for law in (CHINCHILLA, "chinchilla"))
    assert own.objective.huber_sum == pytest.approx(built_in.objective.huber_sum, rel=1e-6)
    assert own.unpenalised_parameters == pytest.approx(built_in.unpenalised_parameters, rel=1e-3)


def test_a_fit_of_it_is_read_again_and_forecasts_the_same(tmp_path: Path) -> None:
    fit = ft.fit("sample", ft.law("own", "E + A / N**a + B / D**a"), draws=50)
    assert fit.law == "own: E + A / N ** a + B / D ** a"
    fit.save(tmp_path / "fit.json")
    own_law.cache_clear()  # as in another process
    again = ft.Fit.load(tmp_path / "fit.json")
    assert again == fit
    assert ft.predict(again, params="200k", tokens="8M") == ft.predict(fit, params=2e5, tokens=8e6)
    assert ft.plan("1e14", fit=again).params > 1e4
    assert "E + A / N ** a" in again._repr_html_()


def test_the_command_line_takes_one(tmp_path: Path) -> None:
    fitted = json.loads(foretoken("fit", "sample", "--law", "A / C**a", "-o", tmp_path / "fit.json", "--json"))
    assert fitted["law"] == "own: A / C ** a"
    assert "nats per token" in foretoken("predict", tmp_path / "fit.json", "--flops", "1e13")


def test_columns_of_the_table_are_read(tmp_path: Path) -> None:
    n, layers = (column.ravel() for column in np.meshgrid(np.geomspace(1e6, 1e8, 5), [2.0, 4.0, 8.0, 16.0]))
    frame = pd.DataFrame({"params": n, "tokens": 20 * n, "deep": layers, "loss": 1 + 300 / n**0.4 + 1 / layers**0.5})
    fit = ft.fit(frame, ft.law("deep", "E + A / N**a + B / deep**b", columns=["deep"]), draws=50)
    assert fit.map_parameters["b"] == pytest.approx(0.5, abs=0.05)
    assert ft.predict(fit, params=1e8, tokens=2e9, at={"deep": 32}).loss < ft.predict(
        fit, params=1e8, tokens=2e9, at={"deep": 16}
    ).loss  # fmt: skip
    with pytest.raises(ForetokenError, match="no column for deep"):
        ft.fit(frame.drop(columns="deep"), ft.law("deep", "A / N**a + B / deep**b", columns="deep"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("E + A * N**a", "does not fall"),
        ("E + A / N**(a - b)", "does not fall"),
        ("E + A / N**a - B / D**b", "subtracted"),
        ("E + A / N**a + B", "reads nothing of a run"),
        ("1.7 + A / N**a", "reads nothing of a run"),
        ("E", "reads nothing of a run"),
        ("E + (A / N)**a", "no scale of its own"),
        ("E + 1 / N**a", "no scale of its own"),
        ("E + A * B / N**a", "more than one scale"),
        ("E + A / N**a + A / D**b", "no scale of its own"),
        ("E + A / (k * N)**a", "only rescales"),
        ("E + A / N**E", "E"),
        ("E + A / N^a", "more than arithmetic"),
        ("E + sin(N)", "unknown function 'sin'"),
        ("E + A / log(N, 2)", "log takes 1"),
        ("E + A / N**a; 1", "not readable"),
        ("own(width): E + A / N**a", "does not read the column 'width'"),
        ("+".join(f"A{k}/N**a{k}" for k in range(9)), "at most 12"),
        ("A/N**a" + " + 1" * 200, "too long"),
        ("+".join(f"A{k}/N**({'+'.join(['alpha'] * 18)})" for k in range(4)), "too long"),
        ("E + A / N**a # + B / D**b", "comment"),
        ("own(loss): A / loss**a + B / N**b", "does not read 'loss'"),
        ("own(E): E + A / N**a", "does not read 'E'"),
        ("-" * 200 + "N", "too deep"),
        ("(" * 300, "not readable"),
        ("A / N**9**9**9**9", "does not fall"),
    ],
)
def test_what_is_no_law_is_refused_with_the_matter(text: str, words: str) -> None:
    with pytest.raises(ForetokenError, match=words):
        own_law(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch owned')", "E.__class__", "(lambda: 1)()", "[N for N in D]", "N if D else C",
        "f'{N}'", "N[0]", "exp(*N)", "exp(x=N)", "N and D", "N < D", "(N := 1)", "'N' * 9", "N @ D", "1j * N", "...",
        "None + N",
        "exp", "True * N / D",
    ],
)  # fmt: skip
def test_nothing_but_arithmetic_is_read(text: str) -> None:
    with pytest.raises(ForetokenError):
        own_law(f"E + A / N**a + {text}")


@settings(max_examples=150, deadline=None)
@given(st.text("ENDCABab0129.+-*/()^, =:\n\x00_'", max_size=40))
def test_any_text_is_a_law_or_a_refusal(text: str) -> None:
    try:
        law = own_law(text)
    except ForetokenError:
        return
    assert own_law(law.name).name == law.name


def test_a_fit_file_with_a_strange_formula_is_damaged(tmp_path: Path) -> None:
    fit = ft.fit("sample", "A / C**a", draws=50)
    fit.save(tmp_path / "fit.json")
    for law in ("own: __import__('os')", "own: A / C ** a + B / D ** b", "nonsense", "a" * 10_000 + "*"):
        values = json.loads((tmp_path / "fit.json").read_text()) | {"law": law}
        (tmp_path / "strange.json").write_text(json.dumps(values))
        with pytest.raises(StoreError, match="damaged"):
            ft.Fit.load(tmp_path / "strange.json")


def test_a_law_that_no_name_finds_is_refused() -> None:
    from dataclasses import replace

    assert name_of(LAWS["power"]) == "power"
    with pytest.raises(ForetokenError, match="not registered"):
        ft.fit("sample", replace(LAWS["power"], name="mine"))
    with pytest.raises(ForetokenError, match="unknown law"):
        find_law("mine")
