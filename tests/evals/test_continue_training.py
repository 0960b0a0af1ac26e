"""Training that continues from a trained model, on a text of the user's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from safetensors.torch import load_file

from foretoken.arguments import ArgumentNameError
from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data import prepare_corpus
from foretoken.errors import ForetokenError, StoreError
from foretoken.evals import continue_training, evaluate
from foretoken.evals.text_corpus import split_text, whole_text
from foretoken.generation import open_model
from foretoken.models import build, from_pretrained, save_pretrained
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic
from foretoken.training.checkpoint import keep_weights

from ..fuzz.verbs import foretoken, strict_json
from .small import save_model

QUICK: dict[str, Any] = {"learning_rate": 1e-2, "batch_tokens": 256, "validation_share": 0.3, "threads": 1}


@pytest.mark.parametrize("preset", ["gpt2", "bert", "t5_v1_1", "lstm"])
def test_a_model_that_is_trained_further_predicts_the_text_better(preset: str, texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", preset, texts)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    found = continue_training(source, texts, tmp_path / "more", tokens=8192, **QUICK)
    change, error = found.after.change_from(found.before)
    assert change < -3 * error < 0
    assert change == pytest.approx(found.after.loss - found.before.loss)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert {path.name for path in (tmp_path / "more").iterdir()} == {*before}
    assert (tmp_path / "more" / "config.json").read_bytes() == before["config.json"]
    assert evaluate(tmp_path / "more", texts).loss < evaluate(source, texts).loss


def test_a_stopped_training_goes_on_and_ends_in_the_same_bits(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    continue_training(source, texts, tmp_path / "whole", tokens=4096, **QUICK)
    seen: list[int] = []

    def stop(step: int, steps: int, loss: float) -> None:
        seen.append(step)
        if len(seen) == 5:
            raise KeyboardInterrupt

    again = {"tokens": 4096, **QUICK, "report": stop, "checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        continue_training(source, texts, tmp_path / "stopped", **again)  # type: ignore[arg-type]
    assert not (tmp_path / "stopped" / "config.json").exists()
    continue_training(source, texts, tmp_path / "stopped", **again)  # type: ignore[arg-type]
    assert seen == [1, 2, 3, 4, 5, *range(5, 17)]
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (tmp_path / "stopped" / "unfinished").exists()


def test_asked_to_stop_it_saves_first(texts: Path, tmp_path: Path) -> None:
    """Without a checkpoint before; also at the last step."""
    source, seen = save_model(tmp_path / "mine", "llama", texts), []
    again = {"tokens": 4096, **QUICK, "report": lambda step, *_: seen.append(step), "checkpoint_seconds": 1e9}
    for at in (7, 16):
        with pytest.raises(KeyboardInterrupt):
            continue_training(source, texts, tmp_path / "more", **again, should_stop=lambda at=at: seen[-1] == at)  # type: ignore[arg-type]
    found = continue_training(source, texts, tmp_path / "more", **again)  # type: ignore[arg-type]
    assert seen == list(range(1, 17))
    assert found.after.loss < found.before.loss
    assert [path.name for path in (tmp_path / "more").iterdir() if path.is_dir()] == []


def test_other_weights_do_not_go_on_from_a_checkpoint(texts: Path, tmp_path: Path) -> None:
    """Not even where the model's folder is one of links, as those of a cache are."""
    source, links = save_model(tmp_path / "mine", "llama", texts), tmp_path / "links"
    links.mkdir()
    for path in source.iterdir():
        (links / path.name).symlink_to(path)
    again = {"tokens": 4096, **QUICK}
    with pytest.raises(KeyboardInterrupt):
        continue_training(links, texts, tmp_path / "more", **again, should_stop=lambda: True)  # type: ignore[arg-type]
    network = from_pretrained(source)
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)
    save_pretrained(network, source)
    with pytest.raises(StoreError, match="in use"):
        continue_training(links, texts, tmp_path / "more", **again)  # type: ignore[arg-type]


def test_the_verbs_print_what_the_functions_give(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    more = ["--tokens", "4k", "--batch-tokens", "256", "--validation-share", "0.3", "--threads", "1", "--json"]
    found = strict_json(foretoken("continue-training", str(source), str(texts), "-o", str(tmp_path / "more"), *more))
    assert found["after"]["loss"] == pytest.approx(found["before"]["loss"] + found["change"])
    told = strict_json(foretoken("evaluate", str(tmp_path / "more"), str(texts), "--tokens", "2k", "--json"))
    assert told == evaluate(tmp_path / "more", texts, tokens=2000).to_json()
    assert foretoken("evaluate", str(source), str(texts)).startswith("7")


def test_training_that_cannot_go_on_is_refused_and_leaves_nothing(texts: Path, tmp_path: Path) -> None:
    source, more = save_model(tmp_path / "mine", "llama", texts), tmp_path / "more"
    for wanted, words, given in (
        (source, "overlap", {}),
        (texts / "more", "overlap", {}),
        (tmp_path, "overlap", {}),
        (more, "two steps", {"tokens": 256}),
        (more, "two steps", {"tokens": math.nan}),
        (more, "too short", {"tokens": 1e9}),
        (more, "diverged", {"learning_rate": 1e3}),
        (more, "diverged", {"learning_rate": 1e2, "tokens": 768}),
        (more, "memory", {"batch_tokens": 2**38, "tokens": 2.0**40}),
    ):
        with pytest.raises(ForetokenError, match=words):
            continue_training(source, texts, wanted, **{"tokens": 8192, **QUICK, **given})  # type: ignore[arg-type]
        assert not more.exists()


def test_a_folder_in_use_keeps_what_it_holds(texts: Path, tmp_path: Path) -> None:
    source, more = save_model(tmp_path / "mine", "llama", texts), tmp_path / "more"
    (more / "unfinished").mkdir(parents=True)
    (more / "unfinished" / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match="in use"):
        continue_training(source, texts, more, tokens=4096, **QUICK)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="not a folder"):
        continue_training(source, texts, tmp_path / "file", tokens=4096, **QUICK)
    assert [path.name for path in more.rglob("*")] == ["unfinished", "thesis.txt"]


def test_a_second_process_is_refused(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)

    def again(step: int, steps: int, loss: float) -> None:
        with pytest.raises(StoreError, match="another process"):
            continue_training(source, texts, tmp_path / "more", tokens=1024, **QUICK)

    continue_training(source, texts, tmp_path / "more", tokens=1024, **QUICK, report=again)


def test_a_fault_at_any_write_of_the_result_loses_nothing(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    whole = continue_training(source, texts, tmp_path / "whole", tokens=1024, **QUICK).folder
    writes = atomic.system.write
    for death in range(1, 4):
        left = iter(range(1, death))

        def write(file: IO[bytes], content: bytes, left: Iterator[int] = left) -> None:
            if "unfinished" not in str(file.name) and next(left, None) is None:
                raise OSError(5, "Input/output error")
            writes(file, content)

        with monkeypatch.context() as dying:
            dying.setattr(atomic.system, "write", write)
            with pytest.raises(StoreError):
                continue_training(source, texts, tmp_path / "more", tokens=1024, **QUICK)
        assert not (tmp_path / "more" / "config.json").exists()
    seen: list[int] = []
    again = continue_training(
        source, texts, tmp_path / "more", tokens=1024, **QUICK, report=lambda step, *_: seen.append(step)
    )
    assert seen == []
    assert (again.folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_model_that_is_given_as_an_object_stays_as_it_is(texts: Path, tmp_path: Path) -> None:
    model = open_model(save_model(tmp_path / "mine", "llama", texts))
    before = evaluate(model, texts)
    found = continue_training(model, texts, tmp_path / "more", tokens=4096, **QUICK)
    assert found.after.loss < found.before.loss
    assert evaluate(model, texts) == before


def test_what_was_trained_here_keeps_its_facts(texts: Path, tmp_path: Path) -> None:
    """Kept weights of a run: their own tokenizer and special tokens, and the objective that they go on with."""
    corpus = prepare_corpus(
        CorpusSection(source="text", path=str(texts), validation_share=0.3), tmp_path / "corpora", 0
    )
    objective = Objective(kind="prefix")
    shape = ModelShape(layers=1, width=16, heads=2, context=32, vocabulary=256, **PRESETS["prefix"])
    spec = RunSpec(
        shape=shape,
        tokens=1024,
        batch_tokens=256,
        learning_rate=1e-2,
        warmup_tokens=256,
        schedule="wsd",
        cooldown=0.2,
        final_learning_rate_share=0.0,
        weight_decay=0.1,
        beta1=0.9,
        beta2=0.95,
        clip=1.0,
        precision="float32",
        threads=1,
        seed=0,
        objective=objective,
        corpus="c",
        tokenizer="t",
        eval_set="v",
        eval_tokens=1024,
        software="s",
    )
    keep_weights(tmp_path / "kept", build(shape), spec, corpus)
    assert evaluate(tmp_path / "kept", texts).objective == "prefix"
    found = continue_training(tmp_path / "kept", texts, tmp_path / "more", tokens=4096, **QUICK, objective="causal")
    (tmp_path / "more" / "README.md").write_text("A note.")
    opened = open_model(tmp_path / "more")
    assert opened.objective.kind == "causal"
    assert opened.name != f"run {spec.key}"
    told = evaluate(tmp_path / "more", texts)
    assert told.bits_per_byte == pytest.approx(told.loss / math.log(2), rel=0.01)
    assert told.loss < evaluate(tmp_path / "kept", texts, objective="causal").loss
    assert found.after.loss < found.before.loss


def test_of_one_small_text_the_end_is_held_out(texts: Path, tmp_path: Path) -> None:
    source, one = save_model(tmp_path / "mine", "llama", texts), tmp_path / "one.txt"
    one.write_text("".join(path.read_text() for path in sorted(texts.iterdir())[:8]))
    found = continue_training(source, one, tmp_path / "more", tokens=2048, **QUICK)
    assert len(found.before.counts) > 10
    model = open_model(source)
    split = split_text(model, one, "text", QUICK["validation_share"])
    tokens = [*split.tokens("train"), *split.tokens("validation")]
    assert tokens == whole_text(model, one, "text", 10**9).tokens("validation").tolist()
    assert model.decode([int(token) for token in tokens[-20:-1]]).endswith("foxes in wood 15.\n")


def test_a_wrong_name_of_an_argument_shows_the_nearest(texts: Path, tmp_path: Path) -> None:
    for wrong, right in (
        ("learning_rat", "learning_rate"),
        ("sed", "seed"),
        ("tokns", "tokens"),
        ("stop", "should_stop"),
    ):
        with pytest.raises(ArgumentNameError, match=rf"(?s)continue_training\(\).*'{wrong}'.*did you mean '{right}'"):
            continue_training("mine", texts, tmp_path, **{"tokens": 1e3, wrong: 1})
