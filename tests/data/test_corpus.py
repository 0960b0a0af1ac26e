"""Documents: which files are read, in which order, and where long texts are cut."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data.corpus import (
    FEW_DOCUMENTS,
    LONGEST_PART_BYTES,
    PART_BYTES,
    documents,
    hash_files,
    source_files,
)
from foretoken.data.formats import BLOCK_BYTES
from foretoken.errors import CorpusError
from foretoken.runs.corpus_section import CorpusSection


def text_corpus(path: Path) -> CorpusSection:
    return CorpusSection(source="text", path=str(path))


def texts(path: Path) -> list[bytes]:
    return [document.text for document in documents(text_corpus(path))]


def test_a_folder_is_read_in_the_order_of_names_without_hidden_and_empty_files(tmp_path: Path) -> None:
    contents = {"b.txt": "two", "a/z.md": "one", "empty.txt": "", ".hidden": "no", ".git/x.txt": "no", "c": "three"}
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert texts(tmp_path) == [b"one", b"two", b"three"]
    assert [file.name for file in source_files(text_corpus(tmp_path))] == ["a/z.md", "b.txt", "c", "empty.txt"]


def test_formats_mix_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (tmp_path / "b.txt").write_text("three")
    assert texts(tmp_path) == [b"one", b"two", b"three"]


def test_one_giant_file_becomes_parts_that_end_at_blank_lines(tmp_path: Path) -> None:
    text = b"".join(b"Paragraph %d.\n%s\n\n" % (n, b"word " * (n % 300)) for n in range(3000))
    (tmp_path / "giant.txt").write_bytes(text)
    parts = texts(tmp_path / "giant.txt")
    assert b"".join(parts) == text
    assert len(text) > 2 * BLOCK_BYTES
    assert all(part.endswith(b"\n\n") and part.startswith(b"Paragraph") for part in parts)
    assert all(PART_BYTES <= len(part) < PART_BYTES + 2000 for part in parts[:-1])


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.sampled_from(["a", "é\n", "line\n", " \r\n\r\n", "\n\n", "汉"]), st.integers(0, 60_000)),
        max_size=8,
    )
)
def test_parts_add_up_and_are_text_whatever_the_text_is(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[str, int]]
) -> None:
    file = tmp_path_factory.mktemp("cut") / "any.txt"
    text = "x" + "".join(piece * times for piece, times in pieces)
    file.write_bytes(text.encode())
    parts = texts(file)
    assert b"".join(parts) == text.encode()
    assert all(part.decode() and len(part) <= LONGEST_PART_BYTES for part in parts)


def test_many_documents_stay_whole(tmp_path: Path) -> None:
    long = "paragraph\n\n" * 10_000
    for number in range(FEW_DOCUMENTS):
        (tmp_path / f"{number:03}.txt").write_text(f"{number} {long}")
    assert len(texts(tmp_path)) == FEW_DOCUMENTS
    (tmp_path / "000.txt").unlink()
    assert len(texts(tmp_path)) > 5 * FEW_DOCUMENTS


def test_a_document_beyond_a_block_is_cut_among_many(tmp_path: Path) -> None:
    for number in range(FEW_DOCUMENTS):
        (tmp_path / f"{number:03}.txt").write_text(f"{number}")
    (tmp_path / "long.txt").write_text("paragraph\n\n" * 100_000)
    assert len(texts(tmp_path)) > FEW_DOCUMENTS + 50


def test_python_stdlib_is_the_library_without_tests_and_copies() -> None:
    corpus = CorpusSection()
    manifest = hash_files(source_files(corpus))
    names = [entry.name for entry in manifest]
    read = [document.text for document in documents(corpus)]
    assert names == sorted(names)
    assert {"ast.py", "json/decoder.py"} <= set(names)
    assert not any(folder in f"/{name}" for name in names for folder in ("/test/", "/tests/", "/site-packages/"))
    assert len(read) == len(set(read)) == len({entry.sha256 for entry in manifest if entry.bytes})
    assert 5e6 < sum(map(len, read)) < 30e6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "the corpus is missing"),
        (lambda folder: folder, "is empty"),
        (lambda folder: _empty_file(folder), "is empty"),
    ],
    ids=["missing", "folder", "file"],
)
def test_nothing_to_read_is_refused(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(CorpusError, match=message) as caught:
        source_files(text_corpus(make(tmp_path)))
    assert "expected:" in str(caught.value)
    assert "got:" in str(caught.value)
    assert "cure:" in str(caught.value)


def _empty_file(folder: Path) -> Path:
    (folder / "empty.txt").touch()
    return folder / "empty.txt"


def test_an_interpreter_without_library_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    with pytest.raises(CorpusError, match="cannot be read"):
        source_files(CorpusSection())


def test_a_pipe_or_a_device_is_no_corpus(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CorpusError, match="neither a file nor a folder"):
            source_files(text_corpus(path))
    (tmp_path / "a.txt").write_text("text")
    assert [file.name for file in source_files(text_corpus(tmp_path))] == ["a.txt"]
