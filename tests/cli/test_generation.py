"""`sample`, `fill-mask` and `infill` on the command line: what people read, what programs get, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.errors import ForetokenError
from foretoken.models import build, save_pretrained
from foretoken.store.atomic import write_json
from foretoken.store.weights import METADATA_FILE, ModelMetadata, commit_weights

from ..fuzz.verbs import foretoken, strict_json

KINDS = {"decoder": "causal", "encoder": "masked", "encoder_decoder": "span_corruption"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Kept weights of a network of bytes, one per family, not trained."""
    for family, kind in KINDS.items():
        shape = ModelShape(layers=1, width=16, heads=2, context=40, vocabulary=264, family=family)
        names = Objective(kind=kind).specials(shape)
        specials = {name: 256 + number for number, name in enumerate(names)}
        metadata = ModelMetadata(
            run="0" * 16, objective=Objective(kind=kind), tokenizer_json={"kind": "byte"}, specials=specials
        )

        def write(place: Path, shape: ModelShape = shape, metadata: ModelMetadata = metadata) -> None:
            save_pretrained(build(shape), place)
            write_json(place / METADATA_FILE, metadata.to_json())

        commit_weights(tmp_path / family, write)
    return tmp_path


def told(*words: Any) -> dict[str, Any]:
    found: dict[str, Any] = strict_json(foretoken(*words, "--json"))
    return found


def test_sample(home: Path) -> None:
    words = ("sample", home / "decoder", "--prompt", "bears", "--tokens", 7, "--samples", 2, "--seed", 3)
    found = told(*words)
    assert list(found) == [
        "model", "prompt", "continues", "prompt_tokens", "prompt_perplexity", "prompt_perplexity_reason", "forgotten",
        "samples", "seed", "temperature", "top_k", "top_p",
    ]  # fmt: skip
    assert found["prompt_tokens"] == list(b"bears")
    for one in found["samples"]:
        assert list(one) == ["text", "tokens", "logprobs", "ended"]
        assert 1 <= len(one["tokens"]) == len(one["logprobs"]) <= 7
        assert max(one["logprobs"]) <= 0
    assert told(*words) == found
    assert foretoken(*words).count("bears") == 2
    assert told("sample", home / "encoder_decoder", "--prompt", "b", "--tokens", 5)["prompt_perplexity"] is None


def test_what_a_network_writes_steers_no_terminal(home: Path) -> None:
    printed = foretoken("sample", home / "decoder", "--prompt", "\x1b[2Ja", "--tokens", 30, "--top-k", 0)
    assert all(c.isprintable() or c in "\n\t" for c in printed)


def test_fill_mask(home: Path) -> None:
    words = ("fill-mask", home / "encoder", "be[MASK]rs m[MASK]t", "--top", 3)
    found = told(*words)
    assert list(found) == ["model", "prompt", "text", "masks"]
    assert [len(candidates) for candidates in found["masks"]] == [3, 3]
    assert list(found["masks"][0][0]) == ["text", "token", "probability"]
    printed = foretoken(*words)
    assert printed.count("%") == 6
    assert "mask 2" in printed


def test_infill(home: Path) -> None:
    words = ("infill", home / "encoder_decoder", "bears <X> foxes", "--tokens", 3, "--beams", 2)
    found = told(*words)
    assert list(found) == ["model", "prompt", "text", "blanks", "logprob"]
    assert list(found["blanks"][0]) == ["name", "text", "tokens", "logprobs"]
    assert 1 <= len(found["blanks"][0]["tokens"]) <= 3
    assert found["text"] == f"bears {found['blanks'][0]['text']} foxes"
    assert told("infill", home / "encoder_decoder", "a<X>", "--temperature", 1)["blanks"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("sample", "encoder", "--prompt", "a"), "family 'encoder' cannot write text"),
        (("sample", "decoder", "--prompt", "a", "--temperature", "-1"), "invalid value of temperature"),
        (("sample", "decoder", "--run", "abc"), "so it has no runs"),
        (("sample", "nothing", "--prompt", "a"), "no checkpoint in nothing"),
        (("sample", "nothing.toml", "--prompt", "a"), "no study file at nothing.toml"),
        (("fill-mask", "decoder", "[MASK]"), "only an encoder fills masks"),
        (("fill-mask", "encoder", "abc"), "the text has no mask"),
        (("infill", "decoder", "<X>"), "not trained to fill spans"),
        (("infill", "encoder_decoder", "<X><Y><Z><extra_id_0>"), "more blanks than the model has sentinels"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], error: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(ForetokenError, match=error):
        foretoken(*words)
