"""A tokenised corpus is hashed as a whole: any changed byte is found and named with both hashes; its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from foretoken.data import TokenizedCorpus, check_corpus, open_corpus, prepare_corpus
from foretoken.data.tokenized import Manifest, damaged_files, read_manifest, token_dtype
from foretoken.errors import StoreError
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.store.atomic import checksummed_json


@pytest.fixture
def corpus(tmp_path: Path) -> TokenizedCorpus:
    section = CorpusSection(
        source="zipf_markov", validation_share=0.3, language=LanguageSection(symbols=16, tokens=100_000)
    )
    return prepare_corpus(section, tmp_path / "corpora", 0)


def test_a_sound_corpus_is_sound(corpus: TokenizedCorpus) -> None:
    assert list(damaged_files(corpus.folder)) == []
    check_corpus(corpus.folder)


@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "tokenizer.json"])
@pytest.mark.parametrize("how", ["flip", "truncate", "longer", "zero the tail", "remove"])
def test_each_damage_is_told_with_both_hashes(name: str, how: str, corpus: TokenizedCorpus) -> None:
    path = corpus.folder / name
    content = path.read_bytes()
    new = {
        "flip": content[:9] + bytes([content[9] ^ 1]) + content[10:],
        "truncate": content[:-1],
        "longer": content + b"1",
        "zero the tail": content[:-9] + bytes(9),
    }
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(new[how])
    found = "none" if how == "remove" else hashlib.sha256(new[how]).hexdigest()
    assert list(damaged_files(corpus.folder)) == [(path, hashlib.sha256(content).hexdigest(), found)]
    with pytest.raises(StoreError, match=rf"(?s){name} is not what was tokenised.*got: {found}.*cure: delete"):
        check_corpus(corpus.folder)


def test_a_damaged_manifest_is_not_trusted(corpus: TokenizedCorpus) -> None:
    path = corpus.folder / "manifest.json"
    path.write_text(path.read_text().replace("tokens", "tokenz", 1))
    for read in (check_corpus, open_corpus):
        with pytest.raises(StoreError, match="does not match its sha256"):
            read(corpus.folder)


def test_a_manifest_comes_back_from_its_file(corpus: TokenizedCorpus) -> None:
    manifest = read_manifest(corpus.folder)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert (manifest.splits["train"].tokens, manifest.splits["validation"].tokens) == (
        corpus.train_tokens,
        corpus.validation_tokens,
    )
    assert "lost_documents" not in manifest.splits["train"].to_json(), "nothing was compared"
    assert manifest.splits["train"].to_json()["bytes"] is None, "a synthetic language has no bytes"


@pytest.mark.parametrize("change", [{"vocabulary": None}, {"splits": None}, {"words": 3}])
def test_a_manifest_of_another_format_is_named(change: dict[str, object], corpus: TokenizedCorpus) -> None:
    """Sealed, so not damaged: something else wrote it. A value of None here stands for a key that is missing."""
    values = {**read_manifest(corpus.folder).to_json(), **change}
    values = {name: value for name, value in values.items() if value is not None}
    (corpus.folder / "manifest.json").write_bytes(checksummed_json(values))
    for read in (check_corpus, open_corpus):
        with pytest.raises(StoreError, match=r"(?s)not as this version writes it.*cure: delete"):
            read(corpus.folder)


def test_the_summary_is_what_a_study_keeps(corpus: TokenizedCorpus) -> None:
    summary = corpus.summary()
    assert summary.tokens == corpus.train_tokens + corpus.validation_tokens == summary.to_json()["tokens"]
    assert (summary.bytes, summary.sha256) == (None, corpus.sources_sha256)


@pytest.mark.parametrize(
    ("vocabulary", "dtype"), [(2, "u1"), (256, "u1"), (257, "<u2"), (65_536, "<u2"), (65_537, "<u4")]
)
def test_the_narrowest_type_that_holds_every_token(vocabulary: int, dtype: str) -> None:
    assert token_dtype(vocabulary) == dtype
    assert np.array([vocabulary - 1]).astype(dtype)[0] == vocabulary - 1
