"""A model's loss on a text of the user's, and training that goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data import prepare
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.data.tokenizer_files import load_tokenizer, train_tokenizer
from foretoken.errors import CheckpointError, CorpusError, DesignError, ForetokenError, StoreError
from foretoken.evals import Choices, continue_training, evaluate
from foretoken.evals.text_corpus import split_text, whole_text
from foretoken.generation import fill_mask, open_model
from foretoken.models import build, from_pretrained, save_pretrained
from foretoken.runs.schema import CorpusSection
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic
from foretoken.training.export import keep_weights

from ..fuzz.verbs import foretoken, strict_json

SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *(f"<extra_id_{number}>" for number in range(12))]
QUICK = Choices(learning_rate=1e-2, batch_tokens=256, validation_share=0.3, threads=1)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sixty short texts."""
    home = tmp_path_factory.mktemp("texts")
    for number in range(60):
        lines = (f"{n} bears met {n * n} foxes in wood {number}.\n" for n in range(number, number + 30))
        (home / f"{number}.txt").write_text("".join(lines))
    return home


def save_model(folder: Path, preset: str, texts: Path, **choices: object) -> Path:
    """Random weights and a tokenizer, as somebody else's folder."""
    from tokenizers import AddedToken, Tokenizer

    words = Tokenizer.from_str(train_tokenizer(texts, kind="bpe", vocabulary=300).definition)
    words.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    end = words.token_to_id("<|endoftext|>")
    shape = ModelShape(
        **{"layers": 1, "width": 16, "heads": 2, "context": 32, "vocabulary": words.get_vocab_size(),
           **PRESETS[preset], **choices}  # type: ignore[arg-type]
    )  # fmt: skip
    if shape.family == "encoder_decoder":
        shape = replace(shape, decoder_context=32)
    save_pretrained(build(shape), folder, token_ids={"eos_token_id": end})
    words.save(str(folder / "tokenizer.json"))
    return folder


def test_loss_is_that_of_windows_side_by_side(texts: Path, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "mine", "llama", texts)
    found = evaluate(folder, texts / "7.txt", context=16)
    network, tokenizer = from_pretrained(folder), load_tokenizer(folder / "tokenizer.json")
    (tokens,) = tokenizer.encode([(texts / "7.txt").read_bytes()])
    assert found.separator is not None
    stream = torch.tensor([*tokens.tolist(), found.separator])
    number = (len(stream) - 1) // 16
    rows = torch.stack([stream[16 * k : 16 * k + 17] for k in range(number)])
    with torch.no_grad():
        logits = network(rows[:, :-1])
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
    assert found.sequences == number
    assert found.loss == pytest.approx(each.mean().item(), rel=1e-5)
    assert found.loss_se == pytest.approx(each.mean(1).std().item() / math.sqrt(number), rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    size = (texts / "7.txt").stat().st_size
    assert found.bits_per_byte == pytest.approx(found.loss / math.log(2) * len(stream) / size, rel=1e-3)
    assert [row[:2] for row in found.by_position][-1] == [9, 16]
    assert np.average([row[2] for row in found.by_position], weights=[1, 1, 2, 4, 8]) == pytest.approx(found.loss)


@pytest.mark.parametrize("preset", ["prefix", "bert", "t5_v1_1", "lstm", "mixtral"])
def test_every_family_is_evaluated_as_it_is_trained(preset: str, texts: Path, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "mine", preset, texts)
    found = evaluate(folder, texts, tokens=3000)
    assert found.objective == open_model(folder).objective.kind
    assert abs(found.loss - math.log(300)) < 0.7
    assert found == evaluate(folder, texts, tokens=3000)


@pytest.mark.parametrize(
    ("preset", "given", "words"),
    [
        ("llama", {"context": 64}, "8 to 32"),
        ("llama", {"objective": Objective(kind="masked")}, "family"),
        ("llama", {"tokens": 40}, "two sequences"),
        ("llama", {"tokens": 0}, "1 or more"),
        ("llama", {"tokens": math.nan}, "1 or more"),
        ("llama", {"context": 16.0}, "whole number"),
        ("llama", {"objective": "nonsense"}, "unknown objective"),
        ("llama", {"text": "nowhere"}, "missing"),
        ("bert", {"objective": Objective()}, "family"),
        ("llama", {"run": "ab"}, "no study"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    preset: str, given: dict[str, object], words: str, texts: Path, tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "mine", preset, texts)
    with pytest.raises(ForetokenError, match=words):
        evaluate(folder, **{"text": texts, **given})  # type: ignore[arg-type]


def test_outputs_beyond_the_memory_are_refused(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_model(tmp_path / "mine", "llama", texts)
    monkeypatch.setattr("foretoken.evals.text.available_memory", lambda: 1e6)
    with pytest.raises(DesignError, match="memory"):
        evaluate(folder, texts)


def test_a_synthetic_language_has_no_text(texts: Path, tmp_path: Path) -> None:
    model = open_model(save_model(tmp_path / "mine", "llama", texts))
    with pytest.raises(CorpusError, match="synthetic"):
        evaluate(replace(model, tokenizer=SymbolTokenizer(300)), texts)


@pytest.mark.parametrize("preset", ["gpt2", "bert", "t5_v1_1", "lstm"])
def test_a_model_that_is_trained_further_predicts_the_text_better(preset: str, texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", preset, texts)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    found = continue_training(source, texts, tmp_path / "more", tokens=8192, choices=QUICK)
    change, error = found.after.change_from(found.before)
    assert change < -3 * error < 0
    assert change == pytest.approx(found.after.loss - found.before.loss)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert {path.name for path in (tmp_path / "more").iterdir()} == {*before}
    assert (tmp_path / "more" / "config.json").read_bytes() == before["config.json"]
    assert evaluate(tmp_path / "more", texts).loss < evaluate(source, texts).loss


def test_a_stopped_training_goes_on_and_ends_in_the_same_bits(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    continue_training(source, texts, tmp_path / "whole", tokens=4096, choices=QUICK)
    seen: list[int] = []

    def stop(step: int, steps: int, loss: float) -> None:
        seen.append(step)
        if len(seen) == 5:
            raise KeyboardInterrupt

    again = {"tokens": 4096, "choices": QUICK, "report": stop, "checkpoint_seconds": 0.0}
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
    again = {"tokens": 4096, "choices": QUICK, "report": lambda step, *_: seen.append(step), "checkpoint_seconds": 1e9}
    for at in (7, 16):
        with pytest.raises(KeyboardInterrupt):
            continue_training(source, texts, tmp_path / "more", **again, stop=lambda at=at: seen[-1] == at)  # type: ignore[arg-type]
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
    again = {"tokens": 4096, "choices": QUICK}
    with pytest.raises(KeyboardInterrupt):
        continue_training(links, texts, tmp_path / "more", **again, stop=lambda: True)  # type: ignore[arg-type]
    network = from_pretrained(source)
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)
    save_pretrained(network, source)
    with pytest.raises(StoreError, match="in use"):
        continue_training(links, texts, tmp_path / "more", **again)  # type: ignore[arg-type]


def test_bits_per_byte_are_of_what_was_read(texts: Path, tmp_path: Path) -> None:
    source, one, both = save_model(tmp_path / "mine", "llama", texts), tmp_path / "one.txt", tmp_path / "both.txt"
    one.write_text("".join(path.read_text() for path in sorted(texts.iterdir())[:5]))
    both.write_text(one.read_text() + "\N{SNOWMAN}" * 3000)
    found, cut = (evaluate(source, path, tokens=1000) for path in (one, both))
    assert found.loss == cut.loss
    assert found.bits_per_byte == pytest.approx(cut.bits_per_byte, rel=1e-3)


def test_a_long_document_is_one_document(texts: Path, tmp_path: Path) -> None:
    """It is read in parts, between which nothing stands; its end is held out."""
    model = open_model(save_model(tmp_path / "mine", "llama", texts))
    lines = [f"{n} bears met {n * n} foxes.\n" for n in range(60_000)]
    (tmp_path / "book.txt").write_text("".join(lines))
    whole = whole_text(model, tmp_path / "book.txt", "text", 10**9).tokens("validation")
    assert (whole == model.separator).sum() == 1
    split = split_text(model, tmp_path / "book.txt", "text", 0.25)
    assert np.array_equal(np.concatenate([split.tokens("train"), split.tokens("validation")]), whole)
    assert split.validation_tokens == pytest.approx(len(whole) / 4, abs=1)


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
        (source, "lie in each other", {}),
        (texts / "more", "lie in each other", {}),
        (tmp_path, "lie in each other", {}),
        (more, "two steps", {"tokens": 256}),
        (more, "two steps", {"tokens": math.nan}),
        (more, "too short", {"tokens": 1e9}),
        (more, "ran away", {"choices": replace(QUICK, learning_rate=1e3)}),
        (more, "ran away", {"choices": replace(QUICK, learning_rate=1e2), "tokens": 768}),
        (more, "memory", {"choices": replace(QUICK, batch_tokens=2**38), "tokens": 2.0**40}),
        (more, "no such choice", {"choices": {"rate": 1}}),
    ):
        with pytest.raises(ForetokenError, match=words):
            continue_training(source, texts, wanted, **{"tokens": 8192, "choices": QUICK, **given})  # type: ignore[arg-type]
        assert not more.exists()


def test_a_folder_in_use_keeps_what_it_holds(texts: Path, tmp_path: Path) -> None:
    source, more = save_model(tmp_path / "mine", "llama", texts), tmp_path / "more"
    (more / "unfinished").mkdir(parents=True)
    (more / "unfinished" / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match="in use"):
        continue_training(source, texts, more, tokens=4096, choices=QUICK)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="not a folder"):
        continue_training(source, texts, tmp_path / "file", tokens=4096, choices=QUICK)
    assert [path.name for path in more.rglob("*")] == ["unfinished", "thesis.txt"]


def test_a_second_process_is_refused(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)

    def again(step: int, steps: int, loss: float) -> None:
        with pytest.raises(StoreError, match="another process"):
            continue_training(source, texts, tmp_path / "more", tokens=1024, choices=QUICK)

    continue_training(source, texts, tmp_path / "more", tokens=1024, choices=QUICK, report=again)


def test_a_fault_at_any_write_of_the_result_loses_nothing(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    whole = continue_training(source, texts, tmp_path / "whole", tokens=1024, choices=QUICK).folder
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
                continue_training(source, texts, tmp_path / "more", tokens=1024, choices=QUICK)
        assert not (tmp_path / "more" / "config.json").exists()
    seen: list[int] = []
    again = continue_training(
        source, texts, tmp_path / "more", tokens=1024, choices=QUICK, report=lambda step, *_: seen.append(step)
    )
    assert seen == []
    assert (again.folder / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_model_that_is_given_as_an_object_stays_as_it_is(texts: Path, tmp_path: Path) -> None:
    model = open_model(save_model(tmp_path / "mine", "llama", texts))
    before = evaluate(model, texts)
    found = continue_training(model, texts, tmp_path / "more", tokens=4096, choices=QUICK)
    assert found.after.loss < found.before.loss
    assert evaluate(model, texts) == before


def test_what_was_trained_here_keeps_its_facts(texts: Path, tmp_path: Path) -> None:
    """Kept weights of a run: their own tokenizer and special tokens, and the objective that they go on with."""
    corpus = prepare(CorpusSection(source="text", path=str(texts), validation_share=0.3), tmp_path / "corpora", 0)
    objective = Objective(kind="prefix")
    shape = ModelShape(layers=1, width=16, heads=2, context=32, vocabulary=256, **PRESETS["prefix"])
    spec = RunSpec(
        shape=shape, tokens=1024, batch_tokens=256, learning_rate=1e-2, warmup_tokens=256, schedule="wsd", cooldown=0.2,
        final_learning_rate=0.0, weight_decay=0.1, beta1=0.9, beta2=0.95, clip=1.0, precision="float32", threads=1,
        seed=0, objective=objective.kind, corpus="c", tokenizer="t", eval_set="v", eval_tokens=1024, software="s",
    )  # fmt: skip
    keep_weights(tmp_path / "kept", build(shape), spec, corpus)
    assert evaluate(tmp_path / "kept", texts).objective == "prefix"
    found = continue_training(
        tmp_path / "kept", texts, tmp_path / "more", tokens=4096, choices=QUICK, objective="causal"
    )
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
    found = continue_training(source, one, tmp_path / "more", tokens=2048, choices=QUICK)
    assert len(found.before.counts) > 10
    model = open_model(source)
    split = split_text(model, one, "text", QUICK.validation_share)
    tokens = [*split.tokens("train"), *split.tokens("validation")]
    assert tokens == whole_text(model, one, "text", 10**9).tokens("validation").tolist()
    assert model.decode([int(token) for token in tokens[-20:-1]]).endswith("foxes in wood 15.\n")


def test_weights_of_no_use_and_bare_encoders_are_named(texts: Path, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "nan", "llama", texts)
    network = from_pretrained(folder)
    with torch.no_grad():
        next(network.parameters()).fill_(math.nan)
    save_pretrained(network, folder)
    with pytest.raises(CheckpointError, match="no loss"):
        evaluate(folder, texts)
    bare = save_model(tmp_path / "bare", "bert", texts, head="linear", pooler=True)
    assert json.loads((bare / "config.json").read_text())["model_type"] == "bert"
    with pytest.raises(CheckpointError, match="bare encoder"):
        evaluate(bare, texts)
    with pytest.raises(CheckpointError, match="bare encoder"):
        fill_mask(bare, "7 bears met [MASK] foxes")


@pytest.mark.parametrize(
    "wrong",
    [{"learning_rate": 0.0}, {"learning_rate": math.nan}, {"cooldown": 1.5}, {"warmup_share": -1}, {"threads": -1},
     {"batch_tokens": 0}, {"validation_share": 0.5}, {"precision": "float8"}, {"weight_decay": -1.0},
     {"threads": 10**6}, {"threads": "2"}, {"seed": 2**70}, {"seed": 1.5}, {"learning_rate": "1e-4"}, {"repeat": 1}],
)  # fmt: skip
def test_choices_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DesignError, match=next(iter(wrong))):
        Choices(**wrong)  # type: ignore[arg-type]
