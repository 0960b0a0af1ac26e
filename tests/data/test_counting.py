"""Counts of phrases: a pass and an index say what a naive count says, whatever the borders of blocks and shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data import formats, open_corpus, prepare_corpus, text_index
from foretoken.data.counting import PhraseCounts, count_phrases
from foretoken.data.text_index import WORD, index_text, index_tokens, open_index
from foretoken.errors import CorpusError, StoreError
from foretoken.runs.corpus_section import CorpusSection

pytest.importorskip("ahocorasick_rs")
pytest.importorskip("pydivsufsort")
LETTERS = "ab 7é汉"


def naive(texts: list[str], phrase: str, *, words: bool = False) -> tuple[int, int]:
    """Occurrences, and texts that hold the phrase."""
    counts = []
    for text in texts:
        data, key = text.encode(), phrase.encode()
        places = [k for k in range(len(data)) if data[k : k + len(key)] == key]
        ends = [(k - 1, k + len(key)) for k in places]
        alone = [not any(0 <= place < len(data) and WORD[data[place]] for place in pair) for pair in ends]
        counts.append(sum(alone) if words else len(places))
    return sum(counts), sum(count > 0 for count in counts)


def told(found: PhraseCounts) -> list[tuple[str, int, int]]:
    return [(one.phrase, one.count, one.documents) for one in found.phrases]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Blocks and shards of a few bytes, so that phrases cross their borders."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(formats, "BLOCK_BYTES", 5)
        patched.setattr(text_index, "SMALLEST_SHARD", 7)
        yield tmp_path_factory.mktemp("counting")


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(LETTERS, min_size=1, max_size=30), min_size=1, max_size=4),
    phrases=st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=2, max_size=5, unique=True),
    words=st.booleans(),
)
def test_a_pass_and_an_index_count_what_there_is(
    folder: Path, texts: list[str], phrases: list[str], words: bool
) -> None:
    home = folder / str(len(list(folder.iterdir())))
    (home / "texts").mkdir(parents=True)
    (home / "texts" / "plain.txt").write_text(texts[0], newline="")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts[1:])
    (home / "texts" / "rows.jsonl").write_text(lines)
    pair = (phrases[0], phrases[1])
    right = [(phrase, *naive(texts, phrase, words=words)) for phrase in phrases]
    by_pass = count_phrases(home / "texts", phrases, [pair], words=words)
    assert told(by_pass) == right
    assert by_pass.documents == len(texts)
    both = sum(all(naive([text], one, words=words)[0] for one in pair) for text in texts)
    assert by_pass.pairs[0].documents == both
    index = index_text(home / "texts", home / "index", longest=40, memory=1)
    assert len(index.manifest.suffixes) >= index.manifest.bytes // 7
    by_index = count_phrases(home / "index", phrases, [pair], words=words)
    assert (by_index.phrases, by_index.pairs, by_index.documents) == (by_pass.phrases, by_pass.pairs, len(texts))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("aaa")
    (tmp_path / "texts" / "two.txt").write_text("a party of 17, and 7 artists of art")
    return tmp_path / "texts"


def test_matches_overlap_and_none_reaches_into_the_next_text(texts: Path, tmp_path: Path) -> None:
    asked = ["aa", "aaa", "aaaa", "a", "absent"]
    right = [("aa", 2, 1), ("aaa", 1, 1), ("aaaa", 0, 0), ("a", 8, 2), ("absent", 0, 0)]
    assert told(count_phrases(texts, asked)) == right
    assert told(count_phrases(index_text(texts, tmp_path / "index"), asked)) == right


def test_whole_words_alone(texts: Path) -> None:
    assert told(count_phrases(texts, ["7", "art"])) == [("7", 2, 1), ("art", 3, 1)]
    assert told(count_phrases(texts, ["7", "art"], words=True)) == [("7", 1, 1), ("art", 1, 1)]


def test_sequences_of_tokens(tmp_path: Path) -> None:
    language = {"symbols": 300, "tokens": 60_000}
    corpus = prepare_corpus(
        CorpusSection(source="zipf_markov", validation_share=0.3, language=language), tmp_path / "corpora", 0
    )
    tokens = np.asarray(open_corpus(corpus.folder).tokens("train")).astype(int)
    index = index_tokens(corpus, tmp_path / "index", longest=4, memory=1)
    assert index.manifest.width == 2
    for sequence in ([1], [0], [256], [5], [0, 0], tokens[100:103].tolist(), tokens[7:11].tolist(), [299, 299, 299]):
        windows = np.lib.stride_tricks.sliding_window_view(tokens, len(sequence))
        assert index.count(sequence) == (windows == sequence).all(axis=1).sum()
    with pytest.raises(CorpusError, match="longer than the index"):
        index.count([1] * 5)
    with pytest.raises(CorpusError, match="counts sequences"):
        index.count("a")


@pytest.mark.parametrize("phrase", ["", "a\0b", "\ud800"])
def test_what_no_text_holds_is_refused(texts: Path, phrase: str) -> None:
    with pytest.raises(CorpusError, match="phrase"):
        count_phrases(texts, [phrase])


def test_no_phrase_and_no_text_are_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no phrase"):
        count_phrases(texts, [])
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(CorpusError, match="empty"):
        index_text(tmp_path / "empty.txt", tmp_path / "index")


def test_an_index_is_opened_again_and_of_nothing_else(texts: Path, tmp_path: Path) -> None:
    made = index_text(texts, tmp_path / "index")
    assert index_text(texts, tmp_path / "index").manifest == made.manifest
    with pytest.raises(StoreError, match="for shorter phrases"):
        index_text(texts, tmp_path / "index", longest=5000)
    with pytest.raises(CorpusError, match="longer than the index"):
        made.count("a" * 2000)
    (texts / "three.txt").write_text("more")
    with pytest.raises(StoreError, match="other sources"):
        index_text(texts, tmp_path / "index")
    with pytest.raises(StoreError, match="not empty"):
        index_text(texts, texts)


def test_damage_is_found(texts: Path, tmp_path: Path) -> None:
    index_text(texts, tmp_path / "index")
    with (tmp_path / "index" / "suffixes.bin").open("ab") as file:
        file.write(b"0")
    with pytest.raises(StoreError, match="damaged"):
        open_index(tmp_path / "index")
