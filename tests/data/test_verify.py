"""A tokenised corpus is hashed as a whole: any changed byte is found and told with both hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from foretoken.data import TokenizedCorpus, check_corpus, open_corpus, prepare
from foretoken.data.verify import damaged_files
from foretoken.errors import StoreError
from foretoken.runs.schema import CorpusSection, LanguageSection


@pytest.fixture
def corpus(tmp_path: Path) -> TokenizedCorpus:
    section = CorpusSection(
        source="zipf_markov", validation_share=0.3, language=LanguageSection(symbols=16, tokens=100_000)
    )
    return prepare(section, tmp_path / "corpora", 0)


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
