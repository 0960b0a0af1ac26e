from __future__ import annotations

import re

import pytest

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.benchmarks import BENCHMARKS
from foretoken.compute.machine import machine, utilisation
from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
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
    assert [score("closed_book", "chinchilla", "TriviaQA (filtered)", shots)[0] for shots in ("0", "5", "64")] == [
        55.4,
        64.1,
        64.6,
    ]
    assert [score("closed_book", "gopher", "TriviaQA (filtered)", shots)[0] for shots in ("0", "5", "64")] == [
        43.5,
        57.0,
        57.2,
    ]
    assert score("bert_glue", "bert_large", "CoLA", "fine-tuned") == [60.5]
    assert score("gpt_nli", "gpt_1", "SciTail", "fine-tuned") == [88.3]


def test_superglue_averages_follow_from_their_tasks() -> None:
    """The average counts a task of two metrics once, by their mean."""
    for row in BENCHMARKS["gpt3_superglue"].rows:
        tasks: dict[str, list[float]] = {}
        for column, score in zip(BENCHMARKS["gpt3_superglue"].columns[1:], row.scores[1:], strict=True):
            assert score is not None
            tasks.setdefault(column.task, []).append(score)
        mean = sum(sum(scores) / len(scores) for scores in tasks.values()) / len(tasks)
        assert mean == pytest.approx(row.scores[0], abs=0.1), row.name


def test_glue_averages_follow_from_their_columns() -> None:
    """Of nine columns: MNLI counts twice, WNLI is left out. ELMo's 71.0 is printed for a mean of 70.94."""
    for row in BENCHMARKS["bert_glue"].rows:
        *columns, average = (score for score in row.scores if score is not None)
        assert sum(columns) / 9 == pytest.approx(average, abs=0.07), row.name


def test_gpt_has_the_same_scores_in_both_tables_but_on_a_task_that_was_renewed() -> None:
    """BERT's table takes GPT's scores from the same server; QNLI was replaced between the two papers."""
    gpt = {name: {row.task: row.score for row in BENCHMARKS[name].scores() if row.model == "gpt_1"}
           for name in ("gpt_nli", "bert_glue")}  # fmt: skip
    shared = set(gpt["gpt_nli"]) & set(gpt["bert_glue"])
    assert shared == {"MNLI-m", "MNLI-mm", "QNLI", "RTE"}
    assert {task for task in shared if gpt["gpt_nli"][task] != gpt["bert_glue"][task]} == {"QNLI"}


def test_the_transformers_shapes_give_the_printed_sizes() -> None:
    """Vaswani et al. 2017, table 3: 65M and 213M, rounded, with 6 + 6 layers."""
    for name, params in (("transformer_base", 65e6), ("transformer_big", 213e6)):
        shape = MODELS[name].shape
        assert shape
        assert (shape.layers, shape.target_layers) == (6, 6)
        assert count_parameters(shape).total == pytest.approx(params, rel=0.03)


def test_the_transformers_flops_are_hours_times_what_a_p100_sustains() -> None:
    for name, digits in (("transformer_base", 0.01), ("transformer_big", 0.01)):
        days = MODELS[name].accelerator_days
        assert days
        assert days * 86_400 * 9.5e12 == pytest.approx(MODELS[name].flops, rel=digits)


@pytest.mark.parametrize(
    ("name", "days"),
    [("bert_large", 256), ("xlnet_large", 1280), ("roberta_large", 1024), ("t5_11b", 10_240), ("llama_65b", 42_598.4)],
)
def test_accelerator_days(name: str, days: float) -> None:
    assert MODELS[name].accelerator_days == pytest.approx(days, rel=1e-3)


def test_text_is_told_in_gigabytes_where_it_is_known() -> None:
    known = {name: entry.text_gb for name, entry in MODELS.items() if entry.text_gb}
    assert (known["gpt2_xl"], known["roberta_large"], known["t5_11b"], known["gpt3_175b"]) == (40, 160, 750, 570)
    assert MODELS["palm"].text_gb is None
    assert MODELS["gpt3_175b"].text_gb == 570
    assert "text_gb" in MODELS["chinchilla"].secondary
