"""A model's loss on a text of the user's, and training that goes on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.data.tokenizer import SymbolTokenizer
from foretoken.data.tokenizer_files import load_tokenizer, train_tokenizer
from foretoken.errors import CorpusError, DesignError, ForetokenError, StoreError, TaskError
from foretoken.evals import Choices, continue_training, evaluate
from foretoken.generation import open_model
from foretoken.models import build, from_pretrained, save_pretrained

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
    shape = ModelShape(
        **{"layers": 1, "width": 16, "heads": 2, "context": 32, "vocabulary": words.get_vocab_size(),
           **PRESETS[preset], **choices}  # type: ignore[arg-type]
    )  # fmt: skip
    if shape.family == "encoder_decoder":
        shape = replace(shape, decoder_context=32)
    save_pretrained(build(shape), folder, token_ids={"eos_token_id": 2})
    words.save(str(folder / "tokenizer.json"))
    return folder


def test_loss_is_that_of_windows_side_by_side(texts: Path, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "mine", "llama", texts)
    found = evaluate(folder, texts / "7.txt", context=16)
    network, tokenizer = from_pretrained(folder), load_tokenizer(folder / "tokenizer.json")
    (tokens,) = tokenizer.encode([(texts / "7.txt").read_bytes()])
    end = [] if tokenizer.separator is None else [tokenizer.separator]
    stream = torch.tensor(np.concatenate([tokens, end]).astype(np.int64))
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
        ("bert", {"objective": Objective()}, "family"),
        ("llama", {"run": "ab"}, "no study"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    preset: str, given: dict[str, object], words: str, texts: Path, tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "mine", preset, texts)
    with pytest.raises(ForetokenError, match=words):
        evaluate(folder, texts, **given)  # type: ignore[arg-type]


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
    assert {path.name for path in (tmp_path / "more").iterdir()} == {*before, "commit.json"}
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


def test_training_that_cannot_go_on_is_refused(texts: Path, tmp_path: Path) -> None:
    source = save_model(tmp_path / "mine", "llama", texts)
    with pytest.raises(StoreError, match="holds a model already"):
        continue_training(source, texts, source, tokens=4096, choices=QUICK)
    with pytest.raises(DesignError, match="two steps"):
        continue_training(source, texts, tmp_path / "more", tokens=256, choices=QUICK)
    with pytest.raises(CorpusError, match="too small"):
        continue_training(source, texts, tmp_path / "more", tokens=1e9, choices=QUICK)
    wild = replace(QUICK, learning_rate=1e3)
    with pytest.raises(TaskError, match="ran away"):
        continue_training(source, texts, tmp_path / "more", tokens=8192, choices=wild)
    assert not (tmp_path / "more" / "config.json").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"learning_rate": 0.0}, {"learning_rate": math.nan}, {"cooldown": 1.5}, {"warmup_share": -1}, {"threads": -1},
     {"batch_tokens": 0}, {"validation_share": 0.5}, {"precision": "float8"}, {"weight_decay": -1.0}],
)  # fmt: skip
def test_choices_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DesignError, match=next(iter(wrong))):
        Choices(**wrong)  # type: ignore[arg-type]
