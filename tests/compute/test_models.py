from __future__ import annotations

import re

import pytest

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.benchmarks import BENCHMARKS
from foretoken.compute.machine import machine, utilisation
from foretoken.compute.models import MODELS
from foretoken.errors import ForetokenError

ACCELERATORS = read_accelerators()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_its_source(name: str) -> None:
    entry = MODELS[name]
    assert entry.id == name
    assert re.fullmatch(r"20\d\d-[01]\d", entry.date)
    assert entry.source
    assert entry.status in ("verified", "secondary")
    assert set(entry.secondary) <= {field for field, value in vars(entry).items() if value is not None}
    assert entry.accelerator is None or entry.accelerator in ACCELERATORS


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.accelerator_hours and entry.compute])
def test_hours_and_compute_belong_together(name: str) -> None:
    """A wrong digit in tokens, hours or size would show as an impossible utilisation."""
    entry = MODELS[name]
    assert entry.accelerator
    peak = machine(entry.accelerator).need("peak")
    assert 0.1 < utilisation(entry.compute or 0, entry.accelerator_hours or 0, peak) < 0.7


@pytest.mark.parametrize(
    ("name", "params", "tokens"),
    [("lamda", 137e9, 168e9), ("gpt3_175b", 175e9, 300e9), ("jurassic_1", 178e9, 300e9), ("gopher", 280e9, 300e9),
     ("mt_nlg", 530e9, 270e9), ("chinchilla", 70e9, 1.4e12)],
)  # fmt: skip
def test_models_and_tokens(name: str, params: float, tokens: float) -> None:
    """Hoffmann et al. 2022 (arXiv 2203.15556), table 1."""
    entry = MODELS[name]
    assert (entry.params, entry.tokens) == (pytest.approx(params, rel=0.003), tokens)


def test_compute_is_printed_or_derived_or_missing() -> None:
    sources = {name: MODELS[name].compute_source for name in ("gpt3_175b", "llama_7b", "mixtral_8x7b")}
    assert sources == {"gpt3_175b": "printed", "llama_7b": "6 N D", "mixtral_8x7b": None}
    assert MODELS["deepseek_v3"].compute == pytest.approx(3.3e24, rel=0.01)
    assert MODELS["mixtral_8x7b"].compute is None


def test_an_unknown_model_shows_the_nearest() -> None:
    with pytest.raises(ForetokenError, match="llama_65b"):
        MODELS.find("llama-65b")
    assert MODELS.find("gopher").params == 280e9


@pytest.mark.parametrize("name", BENCHMARKS)
def test_tables_are_whole(name: str) -> None:
    table = BENCHMARKS[name]
    assert table.source
    assert table.status in ("verified", "secondary")
    assert all(len(row.scores) == len(table.columns) for row in table.rows)
    assert all(column.better in ("higher", "lower") for column in table.columns)
    printed = [score for row in table.rows for score in row.scores if score is not None]
    assert [row.score for row in table.scores()] == printed
    assert len({(row.name, row.setting) for row in table.rows}) == len(table.rows)


def test_scores_as_printed() -> None:
    def score(table: str, model: str, task: str, setting: str = "") -> list[float]:
        rows = BENCHMARKS[table].scores()
        return [row.score for row in rows if (row.model, row.task, row.setting) == (model, task, setting)]

    assert score("gpt2_zero_shot", "gpt2_xl", "LAMBADA") == [8.63, 63.24]
    assert score("closed_book", "chinchilla", "Natural Questions", "64") == [35.5]
    assert score("closed_book", "gpt3_175b", "Natural Questions", "5") == []
    assert score("gpt3_by_size", "gpt3_175b", "SuperGLUE average", "few-shot") == [73.2]
    assert score("gpt3_by_size", "gpt3_xl", "Winogrande", "few-shot") == [59.1]
    assert score("gpt3_superglue", "gpt3_175b", "BoolQ", "32 examples") == [76.4]


def test_superglue_averages_follow_from_their_tasks() -> None:
    """The average counts a task of two metrics once, by their mean."""
    for row in BENCHMARKS["gpt3_superglue"].rows:
        tasks: dict[str, list[float]] = {}
        for column, score in zip(BENCHMARKS["gpt3_superglue"].columns[1:], row.scores[1:], strict=True):
            assert score is not None
            tasks.setdefault(column.task, []).append(score)
        mean = sum(sum(scores) / len(scores) for scores in tasks.values()) / len(tasks)
        assert mean == pytest.approx(row.scores[0], abs=0.1), row.name
