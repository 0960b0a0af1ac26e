"""Corpora in every format, through `prepare_corpus`."""

from __future__ import annotations

import gzip
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import zstandard
from hypothesis import strategies as st

from . import samples
from .mutations import HOSTILE, damaged, edited, json_text, sometimes_damaged
from .planting import PLANTS, plant


def _parquet(values: list[Any], kind: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array(values, kind)}), file)
    return file.getvalue()


def _packed(content: bytes, ending: str) -> bytes:
    if ending.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    if ending.endswith(".zst"):
        return zstandard.ZstdCompressor().compress(content)
    if ending.endswith(".parquet"):
        return _parquet([content.decode("utf-8", "replace")], pyarrow.string())
    return content


ENDINGS = st.sampled_from([".txt", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
LINES = st.one_of(
    damaged(samples.corpus_lines()),
    edited([{"text": "a"}, {"text": "b"}]).map(
        lambda rows: "\n".join(map(json_text, rows if isinstance(rows, list) else [rows])).encode(
            "utf-8", "surrogatepass"
        )
    ),
    st.just(samples.corpus_lines()),
    st.binary(max_size=200),
)


UNPACKED = 2_000_000
"""Bytes that a bomb becomes, a thousand times its own; a corpus may have two of them. The package `tokenizers` learns
from, and cuts, two to six million bytes a second of any text: more would take longer than a hang is told by."""


@cache
def _specials() -> list[tuple[bytes, str]]:
    bomb = json.dumps({"text": "a" * UNPACKED}).encode() + b"\n"
    columns: list[tuple[list[Any], Any]] = [
        ([b"\xff\xfe"], pyarrow.binary()), ([["a"]], pyarrow.list_(pyarrow.string())), ([1], pyarrow.int64()),
        (["a", None], pyarrow.string()), (["a", "b"], pyarrow.large_string()), ([], pyarrow.string()),
        ([2**40], pyarrow.timestamp("s")), (["x" * 1_000_000] * (UNPACKED // 1_000_000), pyarrow.string()),
    ]  # fmt: skip
    return [
        (b'{"text": ' + b"[" * 200_000, ".jsonl"),
        (b'{"text": "\\ud800"}\n', ".jsonl"),
        (b'{"text": "a\\u0000b"}\n', ".jsonl"),
        (b"\xef\xbb\xbf" + samples.corpus_lines(), ".jsonl"),
        (samples.corpus_lines().replace(b"\n", b"\r\n"), ".jsonl"),
        (b'{"text": ' + b"9" * 5000 + b"}", ".jsonl"),
        (b'{"' + b"k" * 1_000_000 + b'": 1}', ".jsonl"),
        (gzip.compress(bomb, mtime=0), ".jsonl.gz"),
        (zstandard.ZstdCompressor().compress(bomb), ".jsonl.zst"),
        (gzip.compress(b"\n" * 10_000_000, 1, mtime=0), ".jsonl.gz"),
        (gzip.compress(gzip.compress(samples.corpus_lines(), mtime=0), mtime=0), ".jsonl.gz"),
        (b"a" * 1_000_000, ".txt"),
        (b"\xff\xfe" + "text".encode("utf-16-le"), ".txt"),
        *((_parquet(values, kind), ".parquet") for values, kind in columns),
    ]


CORPUS_FILES = st.one_of(
    st.tuples(LINES, ENDINGS).flatmap(lambda pair: st.tuples(sometimes_damaged(_packed(*pair)), st.just(pair[1]))),
    ENDINGS.flatmap(lambda ending: st.tuples(damaged(_packed(samples.corpus_lines(), ending)), st.just(ending))),
    st.builds(_specials).flatmap(st.sampled_from),
)
CORPORA = st.tuples(
    st.dictionaries(st.sampled_from(["a", "b", "sub/c", ".hidden"]), CORPUS_FILES, min_size=1, max_size=2),
    st.sampled_from(["", "", "", *PLANTS]),
    st.sampled_from(["byte", "byte", "bpe"]),
    st.sampled_from(["text", "text", "text", "", "id", *HOSTILE[:12]]),
)


def read_corpus(drawn: tuple[dict[str, tuple[bytes, str]], str, str, str], folder: Path) -> None:
    """A folder of text, tokenised."""
    from foretoken.data import prepare_corpus
    from foretoken.runs.corpus_section import CorpusSection

    contents, planted, tokenizer, column = drawn
    files: dict[str, bytes | str] = {f"{name}{ending}": content for name, (content, ending) in contents.items()}
    plant(folder / "text", files | ({"planted.txt": planted} if planted else {}))
    section = CorpusSection.model_validate(
        {"source": "text", "path": "text", "tokenizer": tokenizer, "vocabulary": 300, "column": column,
         "validation_share": 0.3}
    )  # fmt: skip
    corpus = prepare_corpus(section, folder / "corpora", 0)
    assert corpus.train_tokens == len(corpus.tokens("train"))
