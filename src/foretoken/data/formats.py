"""The formats that text comes in: each reader streams the texts of one file, a text as blocks of bytes.

Every text that leaves here is UTF-8 without NUL bytes.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from io import BufferedIOBase
from itertools import chain
from pathlib import Path

from foretoken.arrow_files import parquet_values
from foretoken.bounded import LARGEST_JSON, limit, opened, parse_json, require_size, to_raise, too_large, within_packed
from foretoken.encodings import likely_encodings
from foretoken.errors import CorpusError, needing, shown
from foretoken.runs.section import is_encoding

logger = logging.getLogger(__name__)

BLOCK_BYTES = 2**20
LONGEST_LINE = 2**26
"""Bytes of the longest line or text; a compressed file may hold one without end."""
ZST_BYTES = 2**10
"""Compressed bytes that are unpacked at once; zstd makes up to 128 KiB of four of them."""
LATIN_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")
"""What latin-1 makes of the quotes and dashes of cp1252; no text holds these (but for 0x85, an end of line)."""
SAMPLE = 2**16
"""Bytes from which an encoding is guessed."""
MOST_MISSING = 1000
"""Rows from the first on that may lack a text; then the column is taken to be the wrong one."""
UTF8 = "utf-8"
USUAL = ("content", "text", "value", "body", "document", "completion")
"""What keys of texts are called."""
STRINGS = ("string", "large_string", "string_view")
"""What Arrow calls columns of text."""
Rows = Iterator[tuple[str, object]]
"""Where a row stands, and the row."""
Texts = Iterator[Iterable[bytes]]
"""The texts of a file; each is an iterable of blocks, which must be read before the next text."""


def read_texts(path: Path, column: str, encoding: str = UTF8) -> Texts:
    """The texts of a file, by its name: .json, .jsonl, .csv, .tsv, .parquet; all else is one text; also .gz and .zst.

    `column` is the column or key that holds the text; in JSON also a way down to it, `data.text`, and where it leads
    through a list, `messages.content`, the texts of its entries, a line each. A row without a text is an empty text,
    and how many there are is told. Raises CorpusError with the where of what cannot be read.
    """
    kind, blocks = _kind_of(path.name), _unpacked_blocks(path)
    with reading(path):
        if kind == ".parquet":
            yield from _texts_of(path, _parquet_rows(path, column), column)
        elif kind in ROWS:
            yield from _texts_of(path, ROWS[kind](path, _as_utf8(path, blocks, encoding)), column)
        else:
            yield _read_by_others(path, _plain_blocks(path, _as_utf8(path, blocks, encoding)))


def _kind_of(name: str) -> str:
    """The ending that says what is in a file, without .gz or .zst; those that pack .parquet files are none."""
    stem, dot, ending = name.lower().rpartition(".")
    packed = dot + ending in (".gz", ".zst")
    kind = Path(stem).suffix if packed else dot + ending
    return "" if packed and kind == ".parquet" else kind


def check_encoding(name: str) -> str:
    """The name of an encoding of text. Raises CorpusError for another.

    >>> check_encoding("gb18030")
    'gb18030'
    """
    if not is_encoding(name):
        expected = "a name that Python knows: utf-8, gb18030, shift_jis, cp1251, latin-1, ..."
        raise CorpusError("no such encoding", expected=expected, got=shown(name), code="text_encoding")
    return name


def _as_utf8(path: Path, blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Blocks in another encoding as UTF-8; UTF-16 is told by its mark. UTF-8 itself goes through as it is."""
    first = next(blocks, b"")
    if encoding == UTF8 and first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    blocks = chain([first], blocks)
    if codecs.lookup(check_encoding(encoding)).name == UTF8:
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    for number, block in enumerate(chain(blocks, [b""])):
        try:
            text = decoder.decode(block, final=not block)
            if LATIN_CONTROLS.search(text):
                raise UnicodeError("control characters, as of cp1252 that is read as latin-1")
            yield text.encode()
        except UnicodeError as error:
            raise _not_text(path, f"{error} (MiB {number + 1})", encoding) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors into CorpusError."""
    try:
        yield
    except OSError as error:
        cure = "check that it exists, is whole and may be read"
        raise CorpusError(f"cannot read {path}", got=str(error), cure=cure) from error


def _read_by_others(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks that are read after their generator has been left, with the system's errors as CorpusError."""
    with reading(path):
        yield from blocks


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


def _not_text(path: Path, got: str, encoding: str = "UTF-8") -> CorpusError:
    begin = next(_unpacked_blocks(path), b"")[:SAMPLE]
    likely = [name for name in likely_encodings(begin) if name != encoding]
    cure = (
        f"say what it is encoded in (corpus.encoding, or --encoding): {' or '.join(likely[:2])}, or leave the file out"
    )
    expected = f"{encoding} text without NUL bytes"
    return CorpusError(f"{path} is not text", expected=expected, got=got, cure=cure, code="text_encoding")


def _json_rows(path: Path, blocks: Iterator[bytes]) -> Rows:
    """One array of objects, one object, or JSON lines under that name."""
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > limit(LARGEST_JSON):
            raise too_large(f"{path}, one JSON text,", LARGEST_JSON, "bytes", CorpusError)
    try:
        value = parse_json(bytes(content))
    except ValueError:  # several lines of JSON, or none
        yield from _json_line_rows(path, iter([bytes(content)]))
        return
    for number, row in enumerate(value if isinstance(value, list) else [value], 1):
        yield f"{path}, entry {number}", row


def _table_rows(path: Path, blocks: Iterator[bytes]) -> Rows:
    """The rows of a .csv or .tsv file; a tab cannot stand in a field, so quotes of .tsv are letters of the text."""
    csv.field_size_limit(limit(LONGEST_LINE))
    try:
        lines = (line.decode("utf-8-sig" if not number else UTF8) + "\n" for number, line in enumerate(_lines(blocks)))
        tabs = _kind_of(path.name) == ".tsv"
        table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.DictReader(lines)
        require_size(0, len(table.fieldnames or ()), path, CorpusError)
        for number, row in enumerate(table, 2):  # row 1 holds the names of the columns
            yield f"{path}, row {number}", row
    except UnicodeDecodeError as error:
        raise _not_text(path, str(error)) from None
    except csv.Error as error:
        raise OSError(str(error)) from error


def _unpacked_blocks(path: Path) -> Iterator[bytes]:
    ending = path.suffix.lower()
    return _gz_blocks(path) if ending == ".gz" else _zst_blocks(path) if ending == ".zst" else _file_blocks(path)


def _file_blocks(path: Path) -> Iterator[bytes]:
    with opened(path, CorpusError) as file:
        yield from _blocks(file, BLOCK_BYTES)


def _gz_blocks(path: Path) -> Iterator[bytes]:
    try:
        with opened(path, CorpusError) as packed, gzip.GzipFile(fileobj=packed) as file:
            yield from within_packed(_blocks(file, BLOCK_BYTES), path.stat().st_size, path, CorpusError)
    except (EOFError, zlib.error) as error:  # a truncated or damaged file; `reading` names it
        raise OSError(str(error)) from error


def _zst_blocks(path: Path) -> Iterator[bytes]:
    with opened(path, CorpusError) as file:
        unpacked = _unpacked(_blocks(file, ZST_BYTES))
        yield from within_packed(unpacked, path.stat().st_size, path, CorpusError)


def _blocks(file: BufferedIOBase, size: int) -> Iterator[bytes]:
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
        if length > limit(LONGEST_LINE):
            raise OSError(f"a line of more than {limit(LONGEST_LINE)} bytes; {to_raise(LONGEST_LINE)}")
    yield b"".join(rest)


def _json_line_rows(path: Path, blocks: Iterator[bytes]) -> Rows:
    """Lines end at the byte 10 only: other line breaks may stand inside a JSON text."""
    for number, line in enumerate(_lines(blocks), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            yield where, parse_json(line)
        except ValueError as error:
            raise CorpusError(f"{where} is not JSON", got=str(error), cure="correct or delete the line") from None


def _texts_of(path: Path, rows: Rows, column: str) -> Texts:
    """The text of each row, empty where it has none. Raises CorpusError where no row has one."""
    missing, refusal, total = 0, None, 0
    for total, (where, row) in enumerate(rows, 1):
        texts = [text for value in values_at(row, column) for text in _parts(value) if text not in (None, "")]
        yield _joined(texts, where, column)
        if not texts:
            missing += 1
            refusal = refusal or _no_text(where, row, column)
        if refusal and (missing == total == MOST_MISSING or not isinstance(row, dict)):
            raise refusal
    if refusal and missing == total:
        raise refusal
    if missing:
        _tell_missing(path, missing, total, column)


@lru_cache(maxsize=64)
def _tell_missing(path: Path, missing: int, total: int, column: str) -> None:
    """Once, though a corpus is read several times."""
    logger.warning("%s: %d of %d rows have no text in %r and are left out", path, missing, total, column)


def _joined(texts: Sequence[object], where: str, column: str) -> Iterable[bytes]:
    """Texts as blocks of UTF-8, a line each."""
    if len(texts) == 1:
        return _utf8_blocks(texts[0], where, column)
    lines = (chain([b"\n"] if number else [], _utf8_blocks(text, where, column)) for number, text in enumerate(texts))
    return chain.from_iterable(lines)


def _no_text(where: str, row: object, column: str) -> CorpusError:
    if not isinstance(row, dict):
        return _no_column(where, column, f"a value of type {type(row).__name__}")
    if held := list(values_at(row, column)):
        return _no_column(where, column, "null" if held[0] is None else "an empty text")
    nested = [f"{key}.{name}" for key, inner in row.items() for name in inner_names(inner)]
    # Of plain keys, the longest text of the row is likely what is meant.
    lengths = {str(key): len(value) for key, value in row.items() if isinstance(value, str) and value}
    texts = sorted(lengths, key=lambda key: -lengths[key])
    nested += texts[:1]
    nested.sort(key=lambda name: name.rpartition(".")[2] not in USUAL)  # the likely ones first
    return _no_column(where, column, f"the keys {', '.join(map(str, row))}", nested)


def values_at(value: object, column: str) -> Iterator[object]:
    """What a key leads to, or keys with points between them; through every entry of a list on the way."""
    if isinstance(value, list):
        for entry in value:
            yield from values_at(entry, column)
    elif isinstance(value, dict) and column in value:
        yield value[column]
    elif isinstance(value, dict):
        for cut in (at for at, letter in enumerate(column) if letter == "."):
            if column[:cut] in value:
                yield from values_at(value[column[:cut]], column[cut + 1 :])
                return


def _parts(value: object) -> list[object]:
    """A text alone; of a list of texts, or of parts of a message that each have a type and a `text`, all of them."""
    if not isinstance(value, list):
        return [value]
    parts = [part.get("text") if isinstance(part, dict) and "type" in part else part for part in value]
    return parts if all(part is None or isinstance(part, str) for part in parts) else [value]


def inner_names(value: object) -> list[str]:
    """Keys of an object, or of the first entry of a list of them."""
    first = value[0] if isinstance(value, list) and value else value
    return list(first) if isinstance(first, dict) else []


def _parquet_rows(path: Path, column: str) -> Rows:
    import pyarrow
    import pyarrow.parquet

    try:
        with opened(path, CorpusError) as file:
            schema = pyarrow.parquet.read_schema(file)
            # The way down of JSON leads into structs and lists of them, too.
            whole = column if column in schema.names else column.partition(".")[0]
            if whole not in schema.names:
                raise _no_column(str(path), column, f"the columns {', '.join(schema.names)}")
            kind = schema.field(whole).type
            if whole == column and str(getattr(kind, "value_type", kind)) not in STRINGS:
                raise _no_column(str(path), column, f"a column of type {kind}")
            file.seek(0)
            for number, value in enumerate(parquet_values(file, path, CorpusError, whole, LONGEST_LINE), 1):
                yield f"{path}, row {number}", {whole: value}
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} holds a text that is not UTF-8", got=str(error), cure="write it again") from None
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error


def _no_column(where: str, column: str, got: str, nested: Sequence[str] = ()) -> CorpusError:
    near = f" (it may be {', '.join(nested[:4])})" if nested else ""
    cure = f"set corpus.column, or --column{near}, or correct the file"
    expected = f"a string in {column!r}"
    return CorpusError(f"{where} has no text in {column!r}", expected=expected, got=got, cure=cure, code="text_column")


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


ROWS: dict[str, Callable[[Path, Iterator[bytes]], Rows]] = {
    ".json": _json_rows,
    ".jsonl": _json_line_rows,
    ".ndjson": _json_line_rows,
    ".csv": _table_rows,
    ".tsv": _table_rows,
}
"""By the ending of a file, which .gz or .zst may follow; .parquet is read without unpacking it first."""
