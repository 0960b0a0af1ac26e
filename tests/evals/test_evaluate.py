"""A model's loss on a text of the user's."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from foretoken.compute.objective import Objective
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.errors import CheckpointError, CorpusError, DesignError, ForetokenError
from foretoken.evals import evaluate
from foretoken.evals.text_corpus import split_text, whole_text
from foretoken.generation import fill_mask, open_model
from foretoken.models import from_pretrained, save_pretrained

from .small import save_model


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
    assert [row[:2] for row in found.by_position][-1] == (9, 16)
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
    monkeypatch.setattr(import_module("foretoken.evals.evaluate"), "available_memory", lambda: 1e6)
    with pytest.raises(DesignError, match="memory"):
        evaluate(folder, texts)


def test_a_synthetic_language_has_no_text(texts: Path, tmp_path: Path) -> None:
    model = open_model(save_model(tmp_path / "mine", "llama", texts))
    with pytest.raises(CorpusError, match="synthetic"):
        evaluate(replace(model, tokenizer=SymbolTokenizer(300)), texts)


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


def test_text_in_another_encoding_is_evaluated_as_the_same_text(texts: Path, tmp_path: Path) -> None:
    source, text = save_model(tmp_path / "mine", "llama", texts), "Où il était une fois.\n" * 200
    (tmp_path / "utf8.txt").write_text(text)
    (tmp_path / "latin.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorpusError, match="encoding="):
        evaluate(source, tmp_path / "latin.txt", tokens=500)
    losses = [
        evaluate(source, tmp_path / name, tokens=500, encoding=encoding).loss
        for name, encoding in (("utf8.txt", "utf-8"), ("latin.txt", "latin-1"))
    ]
    assert losses[0] == losses[1]
