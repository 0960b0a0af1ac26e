"""Readers: the same texts from every format, and the place of every fault."""

from __future__ import annotations

import gzip
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from foretoken.data import formats
from foretoken.data.formats import BLOCK_BYTES, read_texts
from foretoken.errors import CorpusError, MissingExtraError

TEXTS = ["plain", "", "two\nlines", "line separator \u2028 and next line \x85 inside", "汉字 🙂" * 3]


def read(path: Path, column: str = "text") -> list[str]:
    return [b"".join(blocks).decode() for blocks in read_texts(path, column)]


def json_lines(texts: list[str], column: str = "text") -> bytes:
    return "".join(json.dumps({"id": 1, column: text}, ensure_ascii=False) + "\n" for text in texts).encode()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("column", ["text", "body"])
def test_every_format_gives_the_same_texts(tmp_path: Path, column: str) -> None:
    lines = json_lines(TEXTS, column)
    half = len(lines) // 2
    frames = zstandard.compress(lines[:half]) + zstandard.compress(lines[half:])
    assert read(write(tmp_path / "a.jsonl", lines), column) == TEXTS
    assert read(write(tmp_path / "a.jsonl.gz", gzip.compress(lines)), column) == TEXTS
    assert read(write(tmp_path / "a.jsonl.zst", frames), column) == TEXTS
    pyarrow.parquet.write_table(pyarrow.table({"id": [1] * len(TEXTS), column: TEXTS}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", column) == TEXTS


@pytest.mark.parametrize("name", ["a.json", "lines.json"])
def test_a_json_array_is_its_texts_and_not_its_brackets(tmp_path: Path, name: str) -> None:
    rows = [{"text": text} for text in TEXTS]
    content = json.dumps(rows).encode() if name == "a.json" else json_lines(TEXTS)
    assert read(write(tmp_path / name, content)) == TEXTS


def test_compressed_prose_is_prose(tmp_path: Path) -> None:
    text = "one\ntwo — three\n" * 5
    assert read(write(tmp_path / "a.txt.gz", gzip.compress(text.encode()))) == [text]
    assert read(write(tmp_path / "a.txt.zst", zstandard.compress(text.encode()))) == [text]


def test_a_way_down_to_the_text(tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]}
    nested = {"data": {"text": "deep"}, "a.b": "exact"}
    path = write(tmp_path / "a.jsonl", json.dumps(chat).encode())
    assert read(path, "messages.content") == ["What?\nThat."]
    assert read(write(tmp_path / "b.json", json.dumps([nested]).encode()), "data.text") == ["deep"]
    assert read(tmp_path / "b.json", "a.b") == ["exact"]
    with pytest.raises(CorpusError, match=r"(?s)the keys messages.*messages\.role, messages\.content"):
        read(path)
    chat["messages"][1]["content"] = 7  # type: ignore[assignment]
    with pytest.raises(CorpusError, match="type int"):
        read(write(tmp_path / "c.jsonl", json.dumps(chat).encode()), "messages.content")


def test_lines_longer_than_a_block_survive_compression(tmp_path: Path) -> None:
    long = ["x" * (3 * BLOCK_BYTES), "short", os.urandom(BLOCK_BYTES).hex()]
    assert read(write(tmp_path / "a.jsonl.zst", zstandard.compress(json_lines(long)))) == long


def test_a_missing_last_line_break_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.jsonl", b'{"text": "a"}\n\n{"text": "b"}')) == ["a", "b"]


def test_plain_text_is_one_text_as_it_is(tmp_path: Path) -> None:
    text = "é" * BLOCK_BYTES + "\r\nend"
    assert read(write(tmp_path / "notes.md", text.encode())) == [text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\xff", r"not UTF-8 at offset 4"),
        (b"a" * (BLOCK_BYTES - 1) + "é".encode() + b"\xe9x", rf"not UTF-8 at offset {BLOCK_BYTES + 1}"),
        (b"cut off \xe2\x82", r"not UTF-8 at offset 8"),
        (b"a" * BLOCK_BYTES + b"bin\0ary", rf"a NUL byte at offset {BLOCK_BYTES + 3}"),
    ],
    ids=["first-block", "second-block", "cut-off", "binary"],
)
def test_what_is_no_text_is_named_with_its_offset(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        read(write(tmp_path / "bad.txt", content))
    assert "bad.txt" in str(caught.value)
    assert "cure:" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "broken', "line 3 is not JSON"),
        (b'{"text": "\xff"}', "line 3 is not JSON"),
        (b'{"body": "b"}', "(?s)line 3 has no text in 'text'.*the keys body"),
        (b'["text"]', "(?s)line 3 has no text in 'text'.*a value of type list"),
        (b'{"text": 7}', "(?s)line 3 has no text in 'text'.*type int"),
        (b'{"text": null}', "(?s)line 3 has no text in 'text'.*null"),
        (b'{"text": "\\u0000"}', "line 3 is not text"),
        (b'{"text": "\\ud800"}', "line 3 holds half of a surrogate pair"),
        (b'{"text": ' + b"[" * 100_000, "line 3 is not JSON"),
    ],
)
def test_a_bad_json_line_is_named_by_its_number(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(tmp_path / "bad.jsonl", b'{"text": "a"}\n\n' + line + b"\n"))


def test_parquet_without_the_column_or_the_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["a"], "n": [1]}), path)
    with pytest.raises(CorpusError, match=r"(?s)no text in 'text'.*the columns body, n.*corpus\.column"):
        read(path)
    with pytest.raises(CorpusError, match=r"(?s)no text in 'n'.*a column of type int64"):
        read(path, "n")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", None]}), path)
    with pytest.raises(CorpusError, match=r"(?s)row 2 has no text in 'text'.*null"):
        read(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_damaged_container_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=f"cannot read .*{name}"):
        read(write(tmp_path / name, b"this is no such file"))


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)])
def test_a_cut_off_file_is_refused_instead_of_read_in_part(tmp_path: Path, name: str, pack: object) -> None:
    assert callable(pack)
    packed = pack(json_lines([os.urandom(500).hex() for _ in range(400)]))
    with pytest.raises(CorpusError, match="cannot read"):
        read(write(tmp_path / name, packed[: len(packed) * 2 // 3]))


def test_zst_without_its_package_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.jsonl.zst", zstandard.compress(json_lines(TEXTS)))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match="zstandard"):
        read(path)


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(formats, "LONGEST_LINE", 2 * BLOCK_BYTES)
    path = write(tmp_path / name, pack(bytes(64 * BLOCK_BYTES)))
    tracemalloc.start()
    with pytest.raises(CorpusError, match="a line of more than"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 48 * BLOCK_BYTES
