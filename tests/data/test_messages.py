"""Conversations as a corpus: every turn of each is read, whatever form its content has."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from foretoken.data.corpus import documents
from foretoken.errors import CorpusError
from foretoken.runs.corpus_section import CorpusSection

TURNS = ["You are helpful.", "bbbb bbbb", "cdcd", "e"]


def texts(path: Path, column: str = "messages.content") -> list[bytes]:
    return [document.text for document in documents(CorpusSection(source="text", path=str(path), column=column))]


@pytest.mark.parametrize("conversations", [1, 49, 60])
@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_all_turns_of_each_conversation_are_read(form: str, conversations: int, tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": turn} for turn in [*TURNS, f"n {n}"]]} for n in range(conversations)
    ]
    path = tmp_path / f"chat.{form}"
    if form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if form == "json" else "".join(f"{json.dumps(row)}\n" for row in rows))
    whole = "\n".join(TURNS)
    assert b"".join(texts(path)).decode() == "".join(f"{whole}\nn {n}" for n in range(conversations))


def test_parts_of_a_message_are_texts_and_pictures_are_none(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "x"}}]
    row = {"messages": [{"content": parts}, {"content": None}, {"content": "a fox"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert texts(tmp_path / "a.jsonl") == [b"what is\na fox"]
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": ["one", "two"]}))
    assert texts(tmp_path / "b.jsonl", "text") == [b"one\ntwo"]


def test_cp1252_that_is_read_as_latin_1_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("„gut“ – 5 €".encode("cp1252"))
    with pytest.raises(CorpusError, match="cp1252"):
        list(documents(CorpusSection(source="text", path=str(tmp_path / "a.txt"), encoding="latin-1")))
    section = CorpusSection(source="text", path=str(tmp_path / "a.txt"), encoding="cp1252")
    assert [document.text.decode() for document in documents(section)] == ["„gut“ – 5 €"]


def test_a_parquet_file_whose_texts_are_not_utf8_is_refused(tmp_path: Path) -> None:
    broken = pyarrow.Array.from_buffers(
        pyarrow.string(), 1, [None, pyarrow.py_buffer(b"\0\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"a\xff")]
    )
    pyarrow.parquet.write_table(pyarrow.table({"text": broken}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match="not UTF-8"):
        texts(tmp_path / "a.parquet", "text")
