"""Tables that claim, or unpack to, more than they hold: refused before they are made, in every format."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from foretoken import read_table
from foretoken.errors import TableError

NAMES = [f"c{number}" for number in range(12_000)]
WIDE = dict.fromkeys(NAMES, 1)


def packed(table: pa.Table, suffix: str, **how: Any) -> bytes:
    """A table in a file of one of the two formats of Arrow."""
    file = io.BytesIO()
    if suffix == ".feather":
        pyarrow.feather.write_feather(table, file, compression="zstd")
    else:
        pq.write_table(table, file, compression="zstd", **how)
    return file.getvalue()


def one_text(rows: int, length: int) -> pa.Array:
    """One text for all rows, kept once."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["x" * length]))


def refusal(tmp_path: Path, name: str, content: bytes | str) -> str:
    """What is said of a file that is too large."""
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TableError, match=r"too large(.|\n)*FORETOKEN_LIMITS=") as refused:
        read_table(tmp_path / name)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("header.csv", ",".join(NAMES) + "\n1,2\n"),
        ("row.csv", "params,tokens,loss\n" + "1," * 12_000 + "\n"),
        ("tabs.tsv", "\t".join(NAMES) + "\n"),
        ("comment.csv", "# a comment\n" + ";".join(NAMES) + "\n1;2\n"),
        ("table.md", f"|{'|'.join(NAMES)}|\n|{'-|' * 12_000}\n"),
        ("one.json", json.dumps([WIDE])),
        ("lines.jsonl", json.dumps(WIDE)),
        ("nested.json", json.dumps([{"config": WIDE, "summary": {"loss": 3}}])),
        ("group.json", json.dumps([{"a": {"b": {name: {"d": 1} for name in NAMES}}}])),
        ("by_column.json", json.dumps({name: [1] for name in NAMES})),
        ("own.jsonl", "\n".join(json.dumps({f"k{n}_{k}": 1 for k in range(30)}) for n in range(500))),
        ("wide.parquet", packed(pa.table({name: [1.0] for name in NAMES}), ".parquet")),
    ],
)
def test_columns_are_counted_in_every_format(name: str, content: bytes | str, tmp_path: Path) -> None:
    assert "at most 10000 columns" in refusal(tmp_path, name, content)


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
@pytest.mark.parametrize("values", [{"text": one_text(200_000, 20_000)}, {"loss": np.zeros(11_000_000)}])
def test_a_table_of_arrow_is_bounded_by_what_it_unpacks_to(suffix: str, values: dict[str, Any], tmp_path: Path) -> None:
    content = packed(pa.table(values), suffix)
    assert len(content) < 200_000
    refusal(tmp_path, f"a{suffix}", content)


def test_texts_in_lists_and_texts_with_one_beginning_are_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foretoken.runs.files.LARGEST_FILE", 2**22)
    lists = pa.ListArray.from_arrays([0, 100_000], one_text(100_000, 20_000))
    refusal(tmp_path, "lists.parquet", packed(pa.table({"loss": [3.0], "l": lists}), ".parquet"))
    alike = pa.table({"a": pa.array(["y" * 20_000 + str(number) for number in range(1_000)])})
    how = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    refusal(tmp_path, "alike.parquet", packed(alike, ".parquet", **how))


def test_rows_times_columns_are_bounded_where_rows_are_short(tmp_path: Path) -> None:
    assert "cells" in refusal(tmp_path, "short.csv", ",".join(NAMES[:9000]) + "\n" + "1\n" * 2000)


def test_texts_that_are_kept_once_come_back_as_they_were(tmp_path: Path) -> None:
    runs = {"params": [1e7, 2e7], "tokens": [1e9, 2e9], "loss": [3.0, 2.9]}
    texts = pa.array(["a", "b"])
    table = pa.table({**runs, "run": texts.dictionary_encode(), "tags": pa.array([["x", "y"], []])})
    for suffix in (".parquet", ".feather"):
        (tmp_path / f"a{suffix}").write_bytes(packed(table, suffix))
        frame = read_table(tmp_path / f"a{suffix}").frame
        assert frame["run"].tolist() == ["a", "b"]
        assert [list(tags) for tags in frame["tags"]] == [["x", "y"], []]
