"""Tuning: it learns, stops early with the best weights, is the same each time, and leaves the network as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from foretoken.data.tokenizer import ByteTokenizer
from foretoken.errors import ForetokenError, TaskError
from foretoken.evals import Example, Task, TuningOptions, mixture, tune
from foretoken.evals.finetune import Arm, best_of
from foretoken.evals.finetuning_loop import predict
from foretoken.evals.formats import input_format
from foretoken.evals.tasks import CHOICE, LABELS, PAIR, SIMILARITY, SINGLE, TEXT_TO_TEXT
from foretoken.models import build
from foretoken.models.pretrained import save_pretrained

from ..fuzz.verbs import foretoken, strict_json
from .small import VOCABULARY, network, task, tuned

QUICK = TuningOptions(learning_rates=(3e-3,), epochs=2, batch=4)


@pytest.mark.parametrize(
    ("family", "kind"),
    [("decoder", SINGLE), ("decoder", TEXT_TO_TEXT), ("encoder", PAIR), ("encoder", LABELS), ("prefix", TEXT_TO_TEXT),
     ("encoder_decoder", CHOICE), ("encoder_decoder", TEXT_TO_TEXT), ("lstm", SIMILARITY)],
)  # fmt: skip
def test_a_network_learns_six_examples_by_heart(family: str, kind: str) -> None:
    options = TuningOptions(learning_rates=(1e-2,), epochs=60, patience=60, batch=6, dropout=0.0)
    found = tune(network(family), task(kind), options, seeds=[0])
    assert found.tuned[0].score > 0.8
    assert found.score.se is None


def test_same_seeds_same_numbers_and_the_network_is_left_as_it_was() -> None:
    start = network("decoder")
    before = {name: weight.clone() for name, weight in start.named_parameters()}
    found = [tune(start, task(SINGLE), QUICK, seeds=[0, 1], from_scratch=True).to_json() for _ in range(2)]
    assert found[0] == found[1]
    assert all(torch.equal(before[name], weight) for name, weight in start.named_parameters())
    losses = {one["validation_loss"] for one in found[0]["seeds"] + found[0]["scratch_seeds"]}
    assert len(losses) == 4
    assert all(0 <= one["low"] <= one["score"] <= one["high"] <= 1 for one in found[0]["seeds"])
    assert 0 < found[0]["chance"] < 1


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best_weights() -> None:
    texts = [((number % VOCABULARY, number % 5),) for number in range(12)]
    learned = tuple(Example(text, (number % 2,)) for number, text in enumerate(texts))
    against = tuple(Example(text, (1 - number % 2,)) for number, text in enumerate(texts))
    stubborn = task(SINGLE, train=learned, validation=against)
    options = TuningOptions(learning_rates=(1e-2,), epochs=50, patience=3, batch=4)
    start = network("decoder")
    inputs, vocabulary = input_format(stubborn, start.shape, {})
    model, outcome = best_of(Arm(start, stubborn, inputs, vocabulary, options), 0)
    assert outcome.epochs < 12
    assert predict(model, inputs, stubborn.validation)[1] == outcome.validation_loss < 1.0


def test_the_learning_rate_is_chosen_by_validation() -> None:
    options = replace(QUICK, learning_rates=(1e-9, 1e-2), epochs=20)
    assert tune(network("lstm"), task(SINGLE), options, seeds=[0]).tuned[0].learning_rate == 1e-2


def test_a_learning_rate_that_diverges_never_wins() -> None:
    rates = replace(QUICK, learning_rates=(1e30, 1e-2, 1e29))
    found = tune(network("decoder"), task(SINGLE), rates, seeds=[0]).tuned[0]
    assert (found.learning_rate, math.isfinite(found.validation_loss)) == (1e-2, True)


@pytest.mark.parametrize("from_scratch", [False, True])
def test_nothing_is_scored_when_every_learning_rate_diverges(from_scratch: bool) -> None:
    rates = replace(QUICK, learning_rates=(1e29, 1e30))
    told = (
        r"(?s)validation loss is not finite.*expected: .*got: none from learning rates 1e\+29, 1e\+30.*cure: try lower"
    )
    with pytest.raises(TaskError, match=told):
        tune(network("decoder"), task(SINGLE), rates, seeds=[0], from_scratch=from_scratch)


@pytest.mark.parametrize(("tokens", "split"), [(range(VOCABULARY), "validation"), ([7], "test")])
def test_a_network_of_no_numbers_is_not_scored(tokens: Sequence[int], split: str) -> None:
    """Also where only a token of the test examples has no numbers."""
    start = network("decoder", tied=False)
    with torch.no_grad():
        start.embedding.weight[list(tokens)] = float("nan")
    odd = tuple(Example(((7, 7),), (number,)) for number in range(2))
    known = tuple(Example(((number,),), (number,)) for number in range(2))
    with pytest.raises(TaskError, match=f"{split} loss is not finite"):
        tune(start, task(SINGLE, train=known, validation=known, test=odd), QUICK, seeds=[0])


@pytest.mark.parametrize("family", ["decoder", "prefix", "lstm"])
def test_all_tokens_are_right_exactly_when_the_target_would_be_written(family: str) -> None:
    model, inputs = tuned(family, TEXT_TO_TEXT)
    start = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=start)
        for number in range(VOCABULARY):
            source, written = (number, 1), ()
            while len(written) < 3:
                logits = model(inputs.batch([Example((source, (*written, 0)))]))
                written = (*written, int(logits[len(written)].argmax()))
            whole = predict(model, inputs, [Example((source, written))])[0]
            assert (whole.predicted == whole.targets)[:3].all()
            spoiled = (*written[:2], (written[2] + 1) % VOCABULARY)
            part = predict(model, inputs, [Example((source, spoiled))])[0]
            assert (part.predicted == part.targets)[:3].tolist() == [True, True, False]


def test_a_mixture_learns_what_its_marks_tell() -> None:
    def answers(name: str, answer: int) -> Task:
        some = tuple(Example(((number,), (answer,))) for number in range(4))
        return task(TEXT_TO_TEXT, name=name, train=some, validation=some, test=some)

    options = TuningOptions(learning_rates=(1e-2,), epochs=40, patience=40, batch=4, dropout=0.0)
    found = tune(network("decoder"), mixture([answers("one", 1), answers("two", 2)]), options, seeds=[0])
    assert found.tuned[0].by_task == {"one": 1.0, "two": 1.0}


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_are_one_or_more_and_each_once(seeds: list[int]) -> None:
    with pytest.raises(TaskError, match=r"(?s)each once.*expected: .*got: .*cure: "):
        tune(network("lstm"), task(SINGLE), QUICK, seeds=seeds)


def test_nothing_is_trained_when_one_seed_s_task_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("foretoken.evals.finetune"), "best_of", lambda *_, **__: pytest.fail("trained"))
    long = task(SINGLE, test=(Example(((1,) * 99,), (0,)),))
    with pytest.raises(TaskError, match="longer than the context"):
        tune(network("decoder"), lambda seed: long if seed else task(SINGLE), QUICK, seeds=[0, 1])


def test_a_task_for_each_seed_draws_its_own_examples() -> None:
    drawn: list[int] = []

    def of_seed(seed: int) -> Task:
        drawn.append(seed)
        return task(SINGLE, name=f"task {seed}", ceiling=0.75)

    result = tune(network("lstm"), of_seed, QUICK, seeds=[3, 5])
    assert drawn == [3, 5]
    assert (result.task.name, result.to_json()["ceiling"], result.difference) == ("task 3", 0.75, None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with weights and a byte tokenizer."""
    shape = replace(network("decoder").shape, vocabulary=256, context=32)
    ByteTokenizer().save(tmp_path / "tokenizer.json")
    return save_pretrained(build(shape, seed=0), tmp_path / "model", tokenizer=tmp_path / "tokenizer.json")


def reviews(folder: Path, number: int = 60, label: str = "good") -> Path:
    words = ["fine", "dull"]
    rows = [{"text": f"{words[n % 2]} {n}", "label": [label, "bad"][n % 2]} for n in range(number)]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "reviews.jsonl"


def test_the_verb_tunes_a_folder_of_weights(model: Path, tmp_path: Path) -> None:
    words = ("finetune", model, "--task", reviews(tmp_path), "--kind", "single", "--learning-rate", "1e-2")
    told = foretoken(*words, "--seeds", "1", "--epochs", "1", "--from-scratch")
    assert "from random weights" in told
    assert "difference" in told
    found = strict_json(foretoken(*words, "--seeds", "2", "--epochs", "12", "--json"))
    assert (found["classes"], found["examples"]["test"]) == (["bad", "good"], 12)
    assert found["score"]["mean"] == pytest.approx(np.mean([one["score"] for one in found["seeds"]]))
    assert found["score"]["mean"] > 0.9
    assert found["difference"] is None


def test_the_verb_refuses_a_label_outside_the_classes(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ForetokenError, match="a label outside the classes"):
        foretoken("finetune", model, "--task", reviews(tmp_path), "--classes", "bad,splendid")


def test_the_verb_tells_that_every_learning_rate_diverged(model: Path, tmp_path: Path) -> None:
    words = ("finetune", model, "--task", reviews(tmp_path), "--kind", "single", "--learning-rate", "1e30")
    for more in ((), ("--json",)):
        with pytest.raises(ForetokenError, match=r"(?s)validation loss is not finite.*cure: try lower learning rates"):
            foretoken(*words, "--seeds", "1", "--epochs", "1", *more)


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize(("option", "value"), [("--temperature", "nan"), ("--temperature", "0"), ("--cap", "-1")])
def test_the_verb_refuses_a_mixture_that_cannot_be_of_any_number_of_files(
    model: Path, tmp_path: Path, files: int, option: str, value: str
) -> None:
    paths = []
    for name in ("one", "two")[:files]:
        row = json.dumps({"source": "ab", "target": "b"}) + "\n"
        (tmp_path / f"{name}.jsonl").write_text(row * 5)
        paths += ["--task", tmp_path / f"{name}.jsonl"]
    with pytest.raises(ForetokenError, match=rf"(?s)invalid mixture settings.*got: .*{value}"):
        foretoken("finetune", model, *paths, "--kind", "text-to-text", option, value)
