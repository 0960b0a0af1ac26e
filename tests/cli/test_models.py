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
