"""Opening models: our kept folders and those of others, with what tells them apart; what cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.data.tokenizer_files import train_tokenizer
from foretoken.errors import CheckpointError, CorpusError, ForetokenError, StoreError
from foretoken.generation import fill_mask, infill, open_model, sample
from foretoken.models import build, save_pretrained
from foretoken.store.atomic import write_json
from foretoken.store.weights import METADATA_FILE, ModelMetadata, commit_weights

TEXT = "".join(f"{number} bears met {number * number} foxes.\n" for number in range(500))
SENTINELS = ["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]


def tokenizer(kind: str = "wordpiece", specials: list[str] | None = None, around: tuple[str, str] | None = None) -> Any:
    """A tokenizer of the package `tokenizers`, with special tokens, and some that stand around a text."""
    from tokenizers import AddedToken, Tokenizer, processors

    found = Tokenizer.from_str(train_tokenizer(text=TEXT, kind=kind, vocabulary=520).definition)
    found.add_special_tokens([AddedToken(name, special=True) for name in specials or []])
    if around:
        before, after = around
        single = [part for part in (before, "$A", after) if part]
        pairs = [(name, found.token_to_id(name)) for name in around if name]
        found.post_processor = processors.TemplateProcessing(single=" ".join(single), special_tokens=pairs)
    return found


def written(folder: Path, given: Any, **shape: Any) -> Path:
    """A folder as transformers writes it, with random weights."""
    values = {"layers": 1, "width": 16, "heads": 2, "context": 48, "vocabulary": given.get_vocab_size() + 5}
    save_pretrained(build(ModelShape(**values | shape)), folder)
    given.save(str(folder / "tokenizer.json"))
    return folder


def test_a_decoder_of_somebody_else(tmp_path: Path) -> None:
    """Its tokenizer says what begins a text; tokens beyond it are never written."""
    given = tokenizer("bpe", ["<s>"], around=("<s>", ""))
    model = open_model(written(tmp_path, given))
    assert model.before == (given.token_to_id("<s>"),)
    assert model.objective.kind == "causal"
    found = sample(model, "7 bears met", tokens=30, temperature=2.0, top_k=0, top_p=1.0)
    assert found.prompt_tokens == given.encode("7 bears met", add_special_tokens=False).ids
    assert max(found.samples[0].tokens) < given.get_vocab_size()
    with torch.no_grad():
        logits = model.network(torch.tensor([[*model.before, *found.prompt_tokens]]))[0, -1]
    expected = logits.log_softmax(-1)[found.samples[0].tokens[0]].item()
    assert found.samples[0].logprobs[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("around", [None, ("[CLS]", "[SEP]")])
def test_an_encoder_of_somebody_else(around: tuple[str, str] | None, tmp_path: Path) -> None:
    bert = {"family": "encoder", "head": "masked", "embedding_norm": True, "final_norm": False,
            "activation": "gelu_exact"}  # fmt: skip
    given = tokenizer(around=around)
    model = open_model(written(tmp_path, given, **bert))
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "bert"
    found = fill_mask(model, "7 bears met [MASK] foxes.", top=4)
    whole = [given.token_to_id("[CLS]"), *given.encode("7 bears met", add_special_tokens=False).ids]
    whole += [given.token_to_id("[MASK]"), *given.encode(" foxes.", add_special_tokens=False).ids]
    with torch.no_grad():
        logits = model.network(torch.tensor([[*whole, given.token_to_id("[SEP]")]]))
    shares = logits[0, whole.index(given.token_to_id("[MASK]"))].softmax(-1)
    for one in found.masks[0]:
        assert one.probability == pytest.approx(shares[one.token].item(), abs=1e-5)
        assert one.token not in [given.token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]


def test_an_encoder_decoder_of_somebody_else(tmp_path: Path) -> None:
    given = tokenizer("unigram", [*SENTINELS, "</s>"], around=("", "</s>"))
    shape = {"family": "encoder_decoder", "norm": "rms", "positions": "relative", "bias": False, "activation": "relu"}
    model = open_model(written(tmp_path, given, **shape))
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "t5"
    assert model.after == (given.token_to_id("</s>"),)
    found = infill(model, "7 bears <X> 49 <Y>.", tokens=4)
    assert [blank.name for blank in found.blanks] == ["<X>", "<Y>"]
    assert found.text.startswith("7 bears")
    assert found.text.endswith(".")
    assert "<" not in found.text
    with pytest.raises(CorpusError, match=r"(?s)more blanks.*at most 2"):
        infill(model, "<X> <Y> <Z>")


def test_a_folder_without_what_is_needed_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        open_model(tmp_path / "nothing")
    with pytest.raises(StoreError, match="so it has no runs"):
        open_model(tmp_path, "abc")
    written(tmp_path, tokenizer("bpe"))
    (tmp_path / "tokenizer.json").rename(tmp_path / "kept.json")
    with pytest.raises(CorpusError, match=r"(?s)no tokenizer beside them.*copy the model's tokenizer.json"):
        open_model(tmp_path)
    tokenizer("unigram", [f"<{n}>" for n in range(20)]).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"(?s)not the network's.*at most 525 tokens"):
        open_model(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorpusError, match="no tokenizer"):
        open_model(tmp_path)


def ours(folder: Path, **changes: Any) -> Path:
    """A folder of kept weights, with changed metadata."""
    shape = ModelShape(layers=1, width=16, heads=2, context=16, vocabulary=260, family="encoder", head="masked")
    specials = {"[PAD]": 256, "[CLS]": 257, "[SEP]": 258, "[MASK]": 259}
    metadata = ModelMetadata(
        run="0" * 16, objective=Objective(kind="masked"), tokenizer_json={"kind": "byte"}, specials=specials
    )

    def write(place: Path) -> None:
        save_pretrained(build(shape), place)
        write_json(place / METADATA_FILE, metadata.to_json() | changes)

    commit_weights(folder, write)
    return folder


def test_our_own_folder_says_what_it_is(tmp_path: Path) -> None:
    model = open_model(ours(tmp_path))
    assert (model.name, model.objective, model.before, model.after) == (
        "run 0000000000000000", Objective(kind="masked"), (257,), (258,),
    )  # fmt: skip
    assert model.decode([*b"ab", 259, *b"c"]) == "ab[MASK]c"
    assert fill_mask(tmp_path, "ab[MASK]c").masks[0][0].token < 256


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    ours(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    with pytest.raises(StoreError, match=r"(?s)model.safetensors is damaged.*sha256"):
        open_model(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": 1, "extra": 2},
        {"objective": {"kind": "nothing"}},
        {"objective": 3},
        {"tokenizer": {"kind": "bpe", "definition": {"model": 3}}},
        {"tokenizer": {}},
        {"tokenizer": 7},
        {"specials": {"[MASK]": -1}},
        {"specials": {"[MASK]": 10**9}},
        {"specials": [1]},
    ],
    ids=str,
)
def test_facts_that_are_none_are_told(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ForetokenError, match=r"not as this version writes it|cannot be read|not the network's"):
        open_model(ours(tmp_path, **changes))
