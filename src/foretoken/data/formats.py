"""The formats that text comes in: each reader streams the texts of one file, a text as blocks of bytes.

Every text that leaves here is UTF-8 without NUL bytes.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO

from foretoken.errors import CorpusError, needing

BLOCK_BYTES = 2**20
LONGEST_LINE = 2**28
"""Bytes of the longest JSON line; a compressed file of a few bytes may hold one without end."""
ZST_BYTES = 2**10
"""Compressed bytes that are unpacked at once; zstd makes up to 128 KiB of four of them."""
Texts = Iterator[Iterable[bytes]]
"""The texts of a file; each is an iterable of blocks, which must be read before the next text."""


def read_texts(path: Path, column: str) -> Texts:
    """The texts of a file, by its name: .json, .jsonl, .parquet; all else is one plain text; also .gz and .zst.

    `column` is the column or key that holds the text; in JSON also a way down to it, `data.text`, and where it leads
    through a list, `messages.content`, the texts of its entries, a line each. Raises CorpusError with the where of what
    cannot be read.
    """
    reader = next((reader for ending, reader in READERS.items() if path.name.lower().endswith(ending)), _plain)
    with reading(path):
        yield from reader(path, column)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors into CorpusError."""
    try:
        yield
    except OSError as error:
        cure = "check that it exists, is whole and may be read"
        raise CorpusError(f"cannot read {path}", got=str(error), cure=cure) from error


def _plain(path: Path, column: str) -> Texts:
    yield _plain_blocks(path, _file_blocks(path))


def _plain_gz(path: Path, column: str) -> Texts:
    yield _plain_blocks(path, _gz_blocks(path))


def _plain_zst(path: Path, column: str) -> Texts:
    yield _plain_blocks(path, _zst_blocks(path))


def _plain_blocks(path: Path, blocks: Iterable[bytes]) -> Iterator[bytes]:
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0
    for block in chain(blocks, [b""]):
        pending = len(decoder.getstate()[0])  # bytes of a character that the block before cut in two
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise _not_text(path, f"a byte that is not UTF-8 at offset {offset - pending + error.start}") from None
        if b"\0" in block:
            raise _not_text(path, f"a NUL byte at offset {offset + block.index(0)}")
        offset += len(block)
        yield block


def _not_text(path: Path, got: str) -> CorpusError:
    cure = "leave the file out, or convert it, for example: iconv -f latin1 -t utf-8"
    return CorpusError(f"{path} is not text", expected="UTF-8 text without NUL bytes", got=got, cure=cure)


def _jsonl(path: Path, column: str) -> Texts:
    yield from _json_texts(path, _lines(_file_blocks(path)), column)


def _jsonl_gz(path: Path, column: str) -> Texts:
    yield from _json_texts(path, _lines(_gz_blocks(path)), column)


def _jsonl_zst(path: Path, column: str) -> Texts:
    yield from _json_texts(path, _lines(_zst_blocks(path)), column)


def _json(path: Path, column: str) -> Texts:
    """One array of objects, one object, or JSON lines under that name."""
    if path.stat().st_size > LONGEST_LINE:
        raise OSError(f"one JSON text of more than {LONGEST_LINE} bytes; write it as JSON lines")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # several lines of JSON, or none
        yield from _jsonl(path, column)
        return
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows, 1):
        yield _text_of(row, f"{path}, entry {number}", column)


def _file_blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from _blocks(file, BLOCK_BYTES)


def _gz_blocks(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from _blocks(file, BLOCK_BYTES)
    except (EOFError, zlib.error) as error:  # a truncated or damaged file; `reading` names it
        raise OSError(str(error)) from error


def _zst_blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from _unpacked(_blocks(file, ZST_BYTES))


def _blocks(file: IO[bytes] | gzip.GzipFile, size: int) -> Iterator[bytes]:
    return iter(partial(file.read, size), b"")


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress zstd frames one after another; a truncated one is an OSError."""
    with needing("reading .zst"):
        import zstandard
    unpacker = None
    # A file may hold several frames (as `cat a.zst b.zst` does): what follows the end of one begins the next.
    for block in blocks:
        while block:
            unpacker = unpacker or zstandard.ZstdDecompressor().decompressobj()
            try:
                yield unpacker.decompress(block)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from error
            block = unpacker.unused_data
            unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:
        raise OSError("the compressed file ends too early")


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    length = 0
    for block in blocks:
        *ended, last = block.split(b"\n")
        if ended:
            yield b"".join([*rest, ended[0]])
            yield from ended[1:]
            rest, length = [], 0
        rest.append(last)
        length += len(last)
        if length > LONGEST_LINE:
            raise OSError(f"a line of more than {LONGEST_LINE} bytes")
    yield b"".join(rest)


def _json_texts(path: Path, lines: Iterable[bytes], column: str) -> Texts:
    """Lines end at the byte 10 only: other line breaks may stand inside a JSON text."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # thousands of opening brackets exhaust the stack
            raise CorpusError(f"{where} is not JSON", got=str(error), cure="correct or delete the line") from None
        yield _text_of(value, where, column)


def _text_of(value: object, where: str, column: str) -> Iterable[bytes]:
    """The text of a JSON object as blocks of UTF-8."""
    texts = list(_down(value, column))
    if not texts:
        if not isinstance(value, dict):
            raise _no_column(where, column, f"a value of type {type(value).__name__}")
        nested = [f"{key}.{name}" for key, inner in value.items() for name in _names(inner)]
        raise _no_column(where, column, f"the keys {', '.join(value)}", nested)
    if len(texts) == 1:
        return _utf8_blocks(texts[0], where, column)
    lines = (chain([b"\n"] if number else [], _utf8_blocks(text, where, column)) for number, text in enumerate(texts))
    return chain.from_iterable(lines)


def _down(value: object, column: str) -> Iterator[object]:
    """What a key leads to, or keys with points between them; through every entry of a list on the way."""
    if isinstance(value, list):
        for entry in value:
            yield from _down(entry, column)
    elif isinstance(value, dict) and column in value:
        yield value[column]
    elif isinstance(value, dict):
        for cut in (at for at, letter in enumerate(column) if letter == "."):
            if column[:cut] in value:
                yield from _down(value[column[:cut]], column[cut + 1 :])
                return


def _names(value: object) -> list[str]:
    """Keys of an object, or of the first entry of a list of them."""
    first = value[0] if isinstance(value, list) and value else value
    return list(first) if isinstance(first, dict) else []


def _parquet(path: Path, column: str) -> Texts:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names, kinds = table.schema_arrow.names, table.schema_arrow.types
            if column not in names:
                raise _no_column(str(path), column, f"the columns {', '.join(names)}")
            kind = kinds[names.index(column)]
            if str(getattr(kind, "value_type", kind)) not in ("string", "large_string", "string_view"):
                raise _no_column(str(path), column, f"a column of type {kind}")
            rows = table.iter_batches(batch_size=256, columns=[column])
            values = chain.from_iterable(batch.column(0).to_pylist() for batch in rows)
            for number, value in enumerate(values, 1):
                yield _utf8_blocks(value, f"{path}, row {number}", column)
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error


def _no_column(where: str, column: str, got: str, nested: Sequence[str] = ()) -> CorpusError:
    near = f" (it may be {', '.join(nested[:4])})" if nested else ""
    cure = f"set corpus.column, or --column{near}, or correct the file"
    return CorpusError(f"{where} has no text in {column!r}", expected=f"a string in {column!r}", got=got, cure=cure)


def _utf8_blocks(value: object, where: str, column: str) -> Iterable[bytes]:
    """A string as blocks of UTF-8."""
    if not isinstance(value, str):
        raise _no_column(where, column, "null" if value is None else f"a value of type {type(value).__name__}")
    try:
        text = value.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"{where} holds half of a surrogate pair", cure="correct or delete the text") from None
    if b"\0" in text:
        cure = "correct or delete the text"
        raise CorpusError(f"{where} is not text", expected="no NUL characters", got="a NUL character", cure=cure)
    return [text[start : start + BLOCK_BYTES] for start in range(0, len(text), BLOCK_BYTES)]


READERS: dict[str, Callable[[Path, str], Texts]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl_gz,
    ".jsonl.zst": _jsonl_zst,
    ".parquet": _parquet,
    ".gz": _plain_gz,
    ".zst": _plain_zst,
}
