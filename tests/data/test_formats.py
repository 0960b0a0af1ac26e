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
    with pytest.raises(CorpusError, match=r"(?s)the keys messages.*messages\.content, messages\.role"):
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
        (b'["text"]', "(?s)line 3 has no text in 'text'.*a value of type list"),
        (b'{"text": 7}', "(?s)line 3 has no text in 'text'.*type int"),
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
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([None, None], pyarrow.string())}), path)
    with pytest.raises(CorpusError, match=r"(?s)row 1 has no text in 'text'.*null"):
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


MISSING = [{"text": "a"}, {"text": None}, {"body": "x"}, {"text": ""}, {"text": "b"}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.json.gz", "a.csv", "a.tsv", "a.parquet"])
def test_rows_without_a_text_are_counted_and_said(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"text": [row.get("text") for row in MISSING]}), path)
    elif name.endswith((".csv", ".tsv")):
        tab = "," if name.endswith(".csv") else "\t"
        write(
            path,
            "".join(
                f"{tab.join(row)}\n" for row in [("text", "n"), *((row.get("text") or "", "1") for row in MISSING)]
            ).encode(),
        )
    else:
        content = json.dumps(MISSING) if "json" in name and "l" not in name else "\n".join(map(json.dumps, MISSING))
        write(path, gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    for _ in range(2):
        assert [text for text in read(path) if text] == ["a", "b"]
    assert caplog.text.count("3 of 5 rows have no text in 'text'") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"body": "b"}\n{"body": "c"}\n', "(?s)line 1 has no text in 'text'.*the keys body"),
        (b'{"text": null}\n{"text": ""}\n', "(?s)line 1 has no text in 'text'.*null"),
    ],
)
def test_a_file_without_any_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(tmp_path / "a.jsonl", content))


def test_a_wrong_column_is_refused_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MOST_MISSING", 2)
    with pytest.raises(CorpusError, match="line 1 has no text"):
        read(write(tmp_path / "a.jsonl", b'{"b": 1}\n{"b": 1}\nno JSON'))


def test_a_turn_of_a_chat_without_a_text_leaves_the_others(tmp_path: Path) -> None:
    turns = [{"content": "What?"}, {"content": None, "tool_calls": []}, {"content": "That."}]
    path = write(tmp_path / "a.json", json.dumps([{"messages": turns}]).encode())
    assert read(path, "messages.content") == ["What?\nThat."]


def test_fields_of_a_csv_hold_line_breaks_quotes_and_long_texts(tmp_path: Path) -> None:
    long = "x" * 200_000
    content = f'id,text\r\n1,"He said ""no"",\nand left"\r\n2,{long}\r\n'
    assert read(write(tmp_path / "a.csv", content.encode("utf-8-sig"))) == ['He said "no",\nand left', long]
    assert read(write(tmp_path / "a.tsv", b'text\tn\n"open\t1\n')) == ['"open']
    with pytest.raises(CorpusError, match=r"(?s)row 2 has no text in 'body'.*the keys id, text"):
        read(tmp_path / "a.csv", "body")


CHINESE = "预训练语言模型。\n" * 3


@pytest.mark.parametrize("encoding", ["gb18030", "GBK", "utf-16", "shift_jis"])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.csv"])
def test_text_in_a_named_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    text = "プレ訓練。" * 3 if encoding == "shift_jis" else CHINESE
    rows = {"a.jsonl": json.dumps({"text": text}, ensure_ascii=False), "a.csv": f'text\n"{text}"\n'}
    content = rows.get(name, text).encode(encoding)
    path = write(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    assert [b"".join(blocks).decode() for blocks in read_texts(path, "text", encoding)] == [text]
    if encoding == "utf-16":  # its mark says so
        assert read(path) == [text]


def test_a_wrong_or_unknown_encoding_is_refused_with_its_cure(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", CHINESE.encode("gb18030"))
    with pytest.raises(CorpusError, match=r"corpus\.encoding"):
        read(path)
    with pytest.raises(CorpusError, match="not text"):
        list(map(list, read_texts(path, "text", "shift_jis")))
    for name in ("utf-99", "base64", "a\0"):
        with pytest.raises(CorpusError, match="no such encoding"):
            list(map(list, read_texts(path, "text", name)))


def test_a_way_down_into_parquet(tmp_path: Path) -> None:
    chat = [{"content": "What?", "role": "user"}, {"content": "That.", "role": "assistant"}]
    pyarrow.parquet.write_table(pyarrow.table({"messages": [chat]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "messages.content") == ["What?\nThat."]
    with pytest.raises(CorpusError, match=r"(?s)row 1 has no text.*messages\.content"):
        read(tmp_path / "a.parquet", "messages.text")


@pytest.mark.parametrize("nested", [False, True])
def test_one_text_for_all_rows_of_a_parquet_file_is_not_written_out(nested: bool, tmp_path: Path) -> None:
    texts = pyarrow.array(["x" * 20_000]).dictionary_encode().take(pyarrow.array([0] * 50_000))
    column = pyarrow.ListArray.from_arrays([0, 50_000], texts) if nested else texts
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet", store_schema=False)
    with pytest.raises(CorpusError, match="too large"):
        read(tmp_path / "a.parquet")


def test_the_columns_of_a_corpus_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="at most 10000 columns"):
        read(write(tmp_path / "a.csv", b"text" + b",x" * 12_000 + b"\na\n"))


def test_packed_texts_are_bounded_by_the_size_of_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretoken.bounded.LEAST_UNPACKED", 2**20)
    with pytest.raises(CorpusError, match="unpacked, is too large"):
        read(write(tmp_path / "a.txt.gz", gzip.compress(b"a" * 4_000_000)))
