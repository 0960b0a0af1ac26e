"""Packing: once, whole or not at all, and a document never changes its split."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretoken.data import TokenizedCorpus, find_corpus, open_corpus, packing, prepare_corpus
from foretoken.data.tokenizer import tokenizer_from_json
from foretoken.errors import CorpusError, StoreError
from foretoken.runs.corpus_section import CorpusSection, LanguageSection
from foretoken.store import atomic

STORIES = [f"Story {n}: the {n % 13} bears met {n * n} foxes in wood {n % 7}.\n" for n in range(600)]
LONG_AGO = 1_600_000_000


def write_stories(folder: Path, stories: list[str]) -> CorpusSection:
    folder.mkdir(exist_ok=True)
    path = folder / "stories.jsonl"
    path.write_text("".join(json.dumps({"text": story}) + "\n" for story in stories))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return CorpusSection(source="text", path=str(folder), validation_share=0.2)


def split_texts(corpus: TokenizedCorpus, split: str) -> set[bytes]:
    tokenizer = tokenizer_from_json(json.loads((corpus.folder / "tokenizer.json").read_text()))
    tokens = corpus.tokens(split)
    ends = np.flatnonzero(tokens == tokenizer.separator)
    starts = np.append(0, ends[:-1] + 1)
    return {tokenizer.decode(tokens[start:end]) for start, end in zip(starts, ends, strict=True)}


@pytest.mark.parametrize("changes", [{}, {"tokenizer": "bpe", "vocabulary": 300}], ids=["byte", "bpe"])
def test_every_document_is_in_one_split_and_all_is_counted(tmp_path: Path, changes: dict[str, Any]) -> None:
    section = write_stories(tmp_path / "text", STORIES).model_copy(update=changes)
    corpus = prepare_corpus(section, tmp_path / "corpora", seed=0)
    train, validation = split_texts(corpus, "train"), split_texts(corpus, "validation")
    assert train | validation == {story.encode() for story in STORIES}
    assert not train & validation
    assert 0.1 < len(validation) / len(STORIES) < 0.3
    assert corpus.validation_bytes == sum(map(len, validation))
    assert corpus.bytes_per_token == pytest.approx(corpus.validation_bytes / corpus.validation_tokens)
    assert (corpus.train_tokens, corpus.validation_tokens) == tuple(
        len(corpus.tokens(split)) for split in ("train", "validation")
    )
    assert corpus.vocabulary == changes.get("vocabulary", 256)
    assert corpus.entropy_rate is None


def test_the_manifest_tells_sources_and_hashes(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    corpus = prepare_corpus(section, tmp_path / "corpora", seed=0)
    manifest = json.loads((corpus.folder / "manifest.json").read_text())
    content = (tmp_path / "text" / "stories.jsonl").read_bytes()
    assert manifest["sources"] == [
        {"name": "stories.jsonl", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    ]
    for split in ("train", "validation"):
        tokens = (corpus.folder / f"{split}.bin").read_bytes()
        assert manifest["splits"][split]["sha256"] == hashlib.sha256(tokens).hexdigest()
    assert corpus.eval_set == f"validation-{manifest['splits']['validation']['sha256'][:12]}"
    assert corpus == open_corpus(corpus.folder)


def test_a_document_stays_in_its_split_when_others_come_and_go(tmp_path: Path) -> None:
    before = prepare_corpus(write_stories(tmp_path / "text", STORIES[:400]), tmp_path / "corpora", seed=0)
    after = prepare_corpus(write_stories(tmp_path / "text", STORIES[200:][::-1]), tmp_path / "corpora", seed=0)
    stay = {story.encode() for story in STORIES[200:400]}
    assert split_texts(before, "validation") & stay == split_texts(after, "validation") & stay != set()


def test_a_bpe_tokenizer_does_not_see_the_validation_split(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "a", STORIES).model_copy(update={"tokenizer": "bpe", "vocabulary": 300})
    corpus = prepare_corpus(section, tmp_path / "corpora", seed=0)
    train = [story for story in STORIES if story.encode() in split_texts(corpus, "train")]
    rest = [story for story in STORIES if story not in train][:5]
    section = write_stories(tmp_path / "b", train + rest).model_copy(update={"tokenizer": "bpe", "vocabulary": 300})
    again = prepare_corpus(section, tmp_path / "corpora", seed=0)
    assert again.address != corpus.address
    assert again.tokenizer == corpus.tokenizer


def test_settings_content_and_names_make_the_address_and_places_do_not(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "here", STORIES)
    here = prepare_corpus(section, tmp_path / "corpora", seed=0)
    there = prepare_corpus(write_stories(tmp_path / "there", STORIES), tmp_path / "corpora", seed=7)
    other_share = prepare_corpus(section.model_copy(update={"validation_share": 0.3}), tmp_path / "corpora", seed=0)
    other_text = prepare_corpus(write_stories(tmp_path / "here", STORIES[1:]), tmp_path / "corpora", seed=0)
    assert here.address == there.address
    assert len({here.address, other_share.address, other_text.address}) == 3


def test_a_second_call_reads_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    first = prepare_corpus(section, tmp_path / "corpora", seed=0)
    monkeypatch.setattr(packing, "hash_files", _not_wanted)
    monkeypatch.setattr(packing, "documents", _not_wanted)
    assert prepare_corpus(section, tmp_path / "corpora", seed=0) == first


def test_to_look_for_a_corpus_writes_nothing(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    assert find_corpus(section, tmp_path / "corpora", seed=0) is None
    assert not (tmp_path / "corpora").exists()
    made = prepare_corpus(section, tmp_path / "corpora", seed=0)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert find_corpus(section, tmp_path / "corpora", seed=0) == made
    assert find_corpus(section.model_copy(update={"validation_share": 0.3}), tmp_path / "corpora", seed=0) is None
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"address": "../../text"}', b'{"address": 3}'])
def test_a_damaged_stamp_is_made_anew(content: bytes, tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    made = prepare_corpus(section, tmp_path / "corpora", seed=0)
    (stamp,) = (tmp_path / "corpora" / "stamps").iterdir()
    stamp.write_bytes(content)
    assert find_corpus(section, tmp_path / "corpora", seed=0) is None
    assert prepare_corpus(section, tmp_path / "corpora", seed=0) == made
    assert find_corpus(section, tmp_path / "corpora", seed=0) == made


def test_touched_sources_are_hashed_but_not_tokenised_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    first = prepare_corpus(section, tmp_path / "corpora", seed=0)
    os.utime(tmp_path / "text" / "stories.jsonl")
    monkeypatch.setattr(packing, "documents", _not_wanted)
    assert prepare_corpus(section, tmp_path / "corpora", seed=0) == first


def test_a_source_that_changed_within_the_clock_is_noticed(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    path = tmp_path / "text" / "stories.jsonl"
    os.utime(path)
    changed_at = path.stat().st_mtime_ns
    first = prepare_corpus(section, tmp_path / "corpora", seed=0)
    path.write_text(path.read_text().replace("bears", "geese"))
    os.utime(path, ns=(changed_at, changed_at))
    assert prepare_corpus(section, tmp_path / "corpora", seed=0).address != first.address


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    read = packing.documents

    def meddled(*arguments: Any) -> Any:
        (tmp_path / "text" / "more.txt").write_text("more")
        return read(*arguments)

    monkeypatch.setattr(packing, "documents", meddled)
    with pytest.raises(CorpusError, match="changed while it was being read"):
        prepare_corpus(section, tmp_path / "corpora", seed=0)
    assert not list((tmp_path / "corpora").glob("*/manifest.json"))


def _not_wanted(*arguments: Any) -> Any:
    raise AssertionError("a source was read")


def test_a_language_is_its_symbols_and_knows_its_entropy(tmp_path: Path) -> None:
    section = CorpusSection(source="zipf_markov", language=LanguageSection(symbols=300, tokens=200_000))
    corpus = prepare_corpus(section, tmp_path, seed=3)
    assert (corpus.vocabulary, corpus.tokenizer) == (300, "symbols-300")
    assert corpus.tokens("train").dtype == np.uint16
    assert corpus.train_tokens + corpus.validation_tokens == 200_000
    harmonic = sum(1 / rank for rank in range(1, 301))
    nats = math.log(harmonic) + sum(math.log(rank) / rank for rank in range(1, 301)) / harmonic
    assert corpus.entropy_rate == pytest.approx(nats, abs=1e-9)
    assert corpus.validation_bytes is None
    assert corpus.bytes_per_token is None
    assert prepare_corpus(section, tmp_path, seed=3) == corpus
    assert prepare_corpus(section, tmp_path, seed=4).sources_sha256 != corpus.sources_sha256


def test_too_little_text_for_two_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.txt").write_text("just one line")
    section = CorpusSection(source="text", path=str(tmp_path / "tiny.txt"))
    with pytest.raises(CorpusError, match="split is empty"):
        prepare_corpus(section, tmp_path / "corpora", seed=0)


@pytest.mark.parametrize("call", ["append", "write", "rename", "flush_folder", "make_folder"])
def test_a_failed_write_leaves_nothing_that_looks_whole(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    corpora = tmp_path / "corpora"
    with monkeypatch.context() as broken:
        broken.setattr(atomic.system, call, _no_space)
        with pytest.raises(StoreError, match="disk full"):
            prepare_corpus(section, corpora, seed=0)
    assert not [path for path in corpora.rglob("*") if path.name.endswith((".tmp", ".unfinished"))]
    assert prepare_corpus(section, corpora, seed=0).train_tokens > 0


def _no_space(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_a_killed_process_left_is_cleared_and_not_taken(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    whole = prepare_corpus(section, tmp_path / "other", seed=0)
    left = tmp_path / "corpora" / f".unfinished-{whole.address}"
    left.mkdir(parents=True)
    (left / "train.bin").write_bytes(b"half")
    assert prepare_corpus(section, tmp_path / "corpora", seed=0).train_tokens == whole.train_tokens
    assert not left.exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    corpus = prepare_corpus(section, tmp_path / "corpora", seed=0)
    os.truncate(corpus.folder / "train.bin", 10)
    with pytest.raises(StoreError, match=r"(?s)train\.bin is damaged.*got: 10 bytes.*delete"):
        open_corpus(corpus.folder)


def test_processes_at_once_end_with_one_corpus(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    command = [sys.executable, "-c", PREPARE, section.model_dump_json(), str(tmp_path / "corpora")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    addresses = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    folders = {path.name for path in (tmp_path / "corpora").iterdir() if path.is_dir()}
    assert len(addresses) == 1
    assert folders == addresses | {"stamps"}


PREPARE = """
import pathlib, sys
from foretoken.data import prepare_corpus
from foretoken.runs.corpus_section import CorpusSection
print(prepare_corpus(CorpusSection.model_validate_json(sys.argv[1]), pathlib.Path(sys.argv[2]), seed=0).address)
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize("name", ["giant.txt", "giant.jsonl"])
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, name: str) -> None:
    content = _lines(name, 24 * 2**20)
    (tmp_path / name).write_bytes(content)
    section = CorpusSection(source="text", path=str(tmp_path / name))
    assert _peak_bytes(lambda: prepare_corpus(section, tmp_path / "corpora", seed=0)) < len(content) / 3


def _lines(name: str, size: int) -> bytes:
    texts = [f"{number} " + "a paragraph that says little, " * 300 for number in range(size // 9000)]
    lines = [json.dumps({"text": text}) + "\n" if name.endswith("jsonl") else text + "\n\n" for text in texts]
    return "".join(lines).encode()


def _peak_bytes(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_same_text_in_another_encoding_gives_the_same_tokens(tmp_path: Path) -> None:
    section = write_stories(tmp_path / "text", STORIES)
    path = tmp_path / "text" / "stories.jsonl"
    plain = prepare_corpus(section, tmp_path / "plain", 0)
    path.write_bytes(path.read_text().encode("utf-16"))
    os.utime(path, (LONG_AGO, LONG_AGO))
    named = section.model_copy(update={"encoding": "utf-16"})
    for other in (section, named):
        coded = prepare_corpus(other, tmp_path / f"coded-{other.encoding}", 0)
        assert np.array_equal(coded.tokens("train"), plain.tokens("train"))
    with pytest.raises(ValueError, match="no such encoding"):
        CorpusSection(encoding="utf-99")


def test_another_process_that_makes_a_corpus_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LONGEST_WAIT", 0.05)
    with packing._lock(tmp_path / "corpora"), pytest.raises(StoreError, match=r"(?s)another process has been.*cure"):
        packing._lock(tmp_path / "corpora").__enter__()
