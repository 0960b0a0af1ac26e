"""Files of a few KB that claim, or unpack to, more than any memory holds; and what is no file at all, for every reader.

Each goes through the verb that would read it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import zstandard
from hypothesis import strategies as st

from . import samples
from .model_inputs import tokenizer_values
from .mutations import json_text
from .verbs import foretoken

READERS: dict[str, tuple[str, ...]] = {
    "runs.csv": ("fit", "runs.csv"),
    "runs.json": ("diagnose", "runs.json"),
    "runs.jsonl": ("fit", "runs.jsonl"),
    "runs.parquet": ("fit", "runs.parquet"),
    "runs.feather": ("fit", "runs.feather"),
    "runs.md": ("fit", "runs.md"),
    "runs.csv.gz": ("fit", "runs.csv.gz"),
    "runs.csv.zst": ("fit", "runs.csv.zst"),
    "fit.json": ("predict", "fit.json", "--params", "7B", "--tokens", "140B"),
    "plan.json": ("plan", "--fit", "plan.json", "--compute", "1e22"),
    "next.json": ("next", "--fit", "next.json", "--spend", "1e19", "--compute", "1e20"),
    "frozen.json": ("ledger", "freeze", "frozen.json", "a", "--params", "7B", "--tokens", "140B"),
    "compared.json": ("compare", "--fit", "compared.json", "--compute", "1e22"),
    "own.toml": ("plan", "--compute", "1e22", "--law", "besiroglu_2024", "--accelerators", "own.toml"),
    "study.toml": ("design", "study.toml"),
    "tokenizer.json": ("tokenizer", "show", "tokenizer.json", "--text", "7 bears"),
    "texts.txt": ("tokenizer", "train", "texts.txt", "-o", "t.json"),
    "texts.jsonl": ("tokenizer", "train", "texts.jsonl", "-o", "t.json"),
    "texts.jsonl.gz": ("tokenizer", "train", "texts.jsonl.gz", "-o", "t.json"),
    "texts.parquet": ("tokenizer", "train", "texts.parquet", "-o", "t.json"),
}
"""What is read, by the verb that reads it."""
THINGS = ("pipe", "device", "endless device", "socket", "folder", "loop", "dangling link", "process", "terminal")


def _arrow(table: pyarrow.Table, feather: bool = False) -> bytes:
    file = io.BytesIO()
    if feather:
        pyarrow.feather.write_feather(table, file, compression="zstd")
    else:
        pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def _one_text(rows: int, length: int) -> pyarrow.Table:
    """One text, for every row."""
    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pyarrow.array(["x" * length]))
    return pyarrow.table({"params": np.full(rows, 1e9), "loss": np.full(rows, 3.0), "text": texts})


def _one_list(values: int, length: int) -> pyarrow.Table:
    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(values, np.int32), pyarrow.array(["x" * length]))
    return pyarrow.table({"loss": [3.0], "text": pyarrow.ListArray.from_arrays([0, values], texts)})


def _tokenizer(**changes: Any) -> bytes:
    return json.dumps({**tokenizer_values(), **changes}).encode()


def _replacing(text: str, times: int = 1) -> dict[str, Any]:
    part = {"type": "Replace", "pattern": {"String": "b"}, "content": text}
    return {"type": "Sequence", "normalizers": [part] * times, "decoders": [part] * times}


NAMES = ",".join(f"c{number}" for number in range(300_000))
DEEP = b"[" * 200_000 + b"]" * 200_000
DIGITS = b"[" + b"9" * 10_000 + b"]"


@cache
def _wide() -> dict[str, Any]:
    return dict.fromkeys(NAMES.split(","), 1) | {"params": 1e9, "tokens": 1e10, "loss": 3}


def _infinite_level() -> bytes:
    return json_text(samples.fit_json()).replace('"level": 0.9', '"level": 1e999').encode()


BOMBS_BY_NAME: list[tuple[str, Callable[[], bytes]]] = [
    ("runs.csv", lambda: f"{NAMES},params,tokens,loss\n{'1,' * 300_000}1e9,1e10,3\n".encode()),
    ("runs.csv", lambda: f"params,tokens,loss\n{'1,' * 300_000}1e9,1e10,3\n".encode()),
    ("runs.csv", lambda: ",".join(f"c{n}" for n in range(9_000)).encode() + b"\n1" * 100_000),
    ("runs.csv", lambda: b"params,tokens,loss\n" + b"9" * 10_000 + b",1e999,3\n" * 9),
    ("runs.md", lambda: f"|{NAMES.replace(',', '|')}|\n|{'-|' * 300_000}\n|{'1|' * 300_000}\n".encode()),
    ("runs.json", lambda: json.dumps(_wide()).encode()),
    ("runs.jsonl", lambda: json.dumps(_wide()).encode()),
    ("runs.json", lambda: json.dumps([{"config": _wide(), "summary": {"loss": 3}}] * 3).encode()),
    ("runs.json", lambda: json.dumps({name: [1] for name in _wide()}).encode()),
    ("runs.jsonl", lambda: "\n".join(json.dumps({f"k{n}_{k}": 1 for k in range(9)}) for n in range(3_000)).encode()),
    ("runs.json", lambda: b"[" + b"[]," * 9_000_000 + b"[]]"),
    ("runs.parquet", lambda: _arrow(_one_text(200_000, 20_000))),
    ("runs.parquet", lambda: _arrow(_one_list(200_000, 20_000))),
    ("runs.parquet", lambda: _arrow(pyarrow.table({"loss": np.zeros(20_000_000)}))),
    ("runs.feather", lambda: _arrow(_one_text(200_000, 20_000), feather=True)),
    ("runs.feather", lambda: _arrow(pyarrow.table({"loss": np.zeros(20_000_000)}), feather=True)),
    ("runs.feather", lambda: _arrow(pyarrow.table({"loss": pyarrow.nulls(10**9)}), feather=True)),
    ("runs.csv.gz", lambda: gzip.compress(b"params,tokens,loss\n" + bytes(400_000_000), 1)),
    ("runs.csv.zst", lambda: zstandard.ZstdCompressor().compress(b"params,tokens,loss\n" + bytes(400_000_000))),
    ("texts.jsonl.gz", lambda: gzip.compress(b'{"text": "' + b"a" * 200_000_000, 1)),
    ("texts.parquet", lambda: _arrow(_one_text(200_000, 2_000))),
    ("texts.parquet", lambda: _arrow(_one_list(200_000, 20_000))),
    ("texts.jsonl", lambda: b'{"text": ' + DEEP + b"}"),
    ("own.toml", lambda: b"a = " + DEEP),
    ("own.toml", lambda: b"a" + b".a" * 100_000 + b" = 1"),
    ("study.toml", lambda: b"name = " + DEEP),
    *((name, lambda: DEEP) for name in READERS if name.endswith((".json", ".jsonl"))),
    *((name, lambda: DIGITS) for name in READERS if name.endswith(".json")),
    *((name, _infinite_level) for name in ("fit.json", "plan.json")),
    ("tokenizer.json", lambda: _tokenizer(normalizer=_replacing("x" * 10_000_000))),
    ("tokenizer.json", lambda: _tokenizer(normalizer=_replacing("bb", 40))),
    ("tokenizer.json", lambda: _tokenizer(decoder=_replacing("bb", 40))),
]
"""The name of a file, and what makes what is in it."""


@cache
def content_of(place: int) -> bytes:
    """What is in one of them, made when it is first drawn."""
    return BOMBS_BY_NAME[place][1]()


def plant(thing: str, path: Path) -> None:
    """Something that is no file, under the name of one."""
    leads = {"device": "/dev/null", "endless device": "/dev/zero", "loop": path.name, "dangling link": "nowhere",
             "process": "/proc/self/mem", "terminal": "/dev/tty"}  # fmt: skip
    if thing == "pipe":
        os.mkfifo(path)
    elif thing == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    elif thing == "folder":
        path.mkdir()
    else:
        path.symlink_to(leads[thing])


BOMBS: st.SearchStrategy[tuple[str, int | str]] = st.one_of(
    st.integers(0, len(BOMBS_BY_NAME) - 1).map(lambda place: (BOMBS_BY_NAME[place][0], place)),
    st.tuples(st.sampled_from(sorted(READERS)), st.sampled_from(THINGS)),
)


def read_bomb(drawn: tuple[str, int | str], folder: Path) -> None:
    """A bomb, or what is no file, through the verb that reads files of that name."""
    name, content = drawn
    if isinstance(content, int):
        (folder / name).write_bytes(content_of(content))
    else:
        plant(content, folder / name)
    foretoken(*READERS[name])


@st.composite
def toml_files(draw: Callable[[Any], Any]) -> bytes:
    """A file of accelerators, edited or damaged."""
    from .mutations import damaged, edited, toml_text

    sound = {"accelerator": {"mine": {"peak_tflops": {"bf16": 900.0}, "memory_gb": 80.0, "bandwidth_gb_s": 3000.0,
                                      "price": 2.0, "also": ["m"]}},
             "mfu": [{"kinds": ["a100"], "value": 0.4}], "site": {"pue": 1.1}}  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged(toml_text(sound).encode()))
    value = draw(edited(sound))
    return toml_text(value if isinstance(value, dict) else {"a": value}).encode("utf-8", "surrogatepass")


def read_accelerators(content: bytes, folder: Path) -> None:
    """A user's own accelerators, through `foretoken plan`."""
    (folder / "own.toml").write_bytes(content)
    foretoken(*READERS["own.toml"])
