"""The registry of models from the command line."""

from __future__ import annotations

import json

import pytest

from foretoken.cli import main
from foretoken.compute.benchmarks import BENCHMARKS
from foretoken.compute.models import MODELS


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["foretoken", "models", *words])
    with pytest.raises(SystemExit) as end:
        main()
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out + out.err


def test_every_model_and_table_is_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = told(capsys, monkeypatch, "--json")
    values = json.loads(text)
    assert code == 0
    assert {row["id"] for row in values["models"]} == set(MODELS)
    assert {row["id"] for row in values["benchmarks"]} == set(BENCHMARKS)
    assert all(name in told(capsys, monkeypatch)[1] for name in ("mixtral_8x7b", "gpt2_zero_shot"))


@pytest.mark.parametrize("name", [*MODELS, *BENCHMARKS])
def test_each_can_be_shown(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = told(capsys, monkeypatch, name)
    assert code == 0
    assert name in text
    json.loads(told(capsys, monkeypatch, name, "--json")[1])


def test_a_model_is_counted_and_its_printed_scores_stand_beside(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = json.loads(told(capsys, monkeypatch, "gpt2_xl", "--json")[1])
    assert values["counted"]["total"] == 1_557_611_200
    assert {"task": "LAMBADA", "metric": "perplexity", "score": 8.63}.items() <= values["scores"][0].items()


def test_an_unknown_model_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = told(capsys, monkeypatch, "lama_65b")
    assert code == 2
    assert "llama_65b" in text


def test_weights_text_and_carbon_of_gpt3(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    values = json.loads(told(capsys, monkeypatch, "gpt3_175b", "--json")[1])
    assert values["weight_bytes"] == {"fp32": 698.4e9, "bf16": 349.2e9, "int8": 174.6e9}
    assert values["equivalents"]["car_km"] == pytest.approx(4.6e6)
    assert (values["text_gb"], values["accelerator_days"]) == (570, 148_000)
    text = told(capsys, monkeypatch, "gpt3_175b")[1]
    assert "weight_bytes" in text
    assert "car_km" in text


def test_abilities_are_listed_with_the_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = json.loads(told(capsys, monkeypatch, "--abilities", "--json")[1])
    flops = [row["flops"] for row in values["abilities"]]
    assert flops == sorted(flops)
    assert len(flops) == 22
    text = told(capsys, monkeypatch, "--abilities")[1]
    assert "word in context (WiC)" in text
    assert "Schaeffer et al. 2023" in text


def test_abilities_of_one_model_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = told(capsys, monkeypatch, "llama_65b", "--abilities")
    assert code == 2
    assert "no one model" in text
