"""Registries of the package: read once, found by name, refused with the nearest; every row has a source and a date."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.benchmarks import BENCHMARKS
from foretoken.compute.models import MODELS
from foretoken.compute.registry import Registry
from foretoken.errors import ForetokenError

ACCELERATORS = read_accelerators()


def test_a_file_is_read_when_an_entry_is_first_asked_for_and_only_once() -> None:
    made: list[str] = []

    def entry(name: str, values_json: dict[str, Any], all_json: dict[str, Any]) -> str:
        made.append(name)
        assert all_json[name] is values_json
        return name.upper()

    registry = Registry("models.toml", "model", entry)
    assert made == []
    assert registry["gopher"] == "GOPHER"
    assert list(registry) == made == list(MODELS)
    assert (len(registry), registry.find("lamda"), len(made)) == (len(MODELS), "LAMDA", len(MODELS))


@pytest.mark.parametrize(("wrong", "near"), [("gpt3_175", "gpt3_175b"), ("lama_7b", "llama_7b"), ("GOPHER", "")])
def test_an_unknown_id_is_refused_with_near_ones(wrong: str, near: str) -> None:
    with pytest.raises(ForetokenError, match=f"unknown model '{wrong}'") as caught:
        MODELS.find(wrong)
    assert caught.value.expected
    assert near in caught.value.expected
    named = caught.value.expected.removeprefix("nearest known: ").split(", ")
    assert 1 <= len(named) <= 4
    assert set(named) <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_no_older_than_its_machines_and_no_date_lies_ahead(name: str) -> None:
    entry = MODELS[name]
    published = date.fromisoformat(f"{entry.date}-01")
    assert date(2017, 6, 1) <= published <= date.today()
    if entry.accelerator:
        assert ACCELERATORS[entry.accelerator].announced <= entry.date


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_a_model_belong_together(name: str) -> None:
    entry = MODELS[name]
    assert entry.active_params is None or 0 < entry.active_params < entry.params
    if entry.accelerators and entry.days and entry.accelerator_hours:
        assert entry.accelerators * entry.days * 24 == pytest.approx(entry.accelerator_hours, rel=0.12)
    if entry.tokens and entry.flops:
        ratio = entry.flops / (6 * (entry.active_params or entry.params) * entry.tokens)
        # T5 counts half of it per token, as an encoder-decoder passes each token through one of its stacks only
        assert 0.45 < ratio < 1.35, ratio
    assert entry.mfu is None or 0.1 < entry.mfu < 0.7
    assert entry.pue is None or 1.0 <= entry.pue < 2.0


@pytest.mark.parametrize("name", ACCELERATORS)
def test_an_accelerator_is_dated_and_its_price_too(name: str) -> None:
    entry = ACCELERATORS[name]
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", entry.announced)
    if entry.price:
        assert re.fullmatch(r"20\d\d(-(0[1-9]|1[0-2]))?", entry.price.date)
        assert entry.price.date >= entry.announced[: len(entry.price.date)]


@pytest.mark.parametrize("name", ACCELERATORS)
def test_more_bits_are_never_faster(name: str) -> None:
    peaks = ACCELERATORS[name].peak_tflops
    order = [peaks[precision] for precision in ("fp8", "bf16", "fp32") if precision in peaks]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_row_of_a_known_model_carries_its_size(name: str) -> None:
    for score in BENCHMARKS[name].scores():
        assert (score.model is None) == (score.params is None)
        if score.model:
            assert (score.params, score.flops) == (MODELS[score.model].params, MODELS[score.model].compute)
        assert score.to_json()["score"] == score.score


@pytest.mark.parametrize("name", BENCHMARKS)
def test_shares_are_percentages(name: str) -> None:
    table = BENCHMARKS[name]
    for column, scores in zip(table.columns, zip(*(row.scores for row in table.rows), strict=True), strict=True):
        printed = [score for score in scores if score is not None]
        assert printed, column
        if "accuracy" in column.metric.lower() or column.metric == "F1":
            assert all(0 <= score <= 100 for score in printed), column
