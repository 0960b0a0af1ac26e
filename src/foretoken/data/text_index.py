"""TextIndex: how often any string, or sequence of tokens, stands in a corpus that is larger than memory.

    <folder>/
        text.bin        the texts one after another, each ended by a NUL byte, which no text holds; or the tokens
        suffixes.bin    shard by shard, where its suffixes begin in it, in the order of what follows (uint32)
        ends.bin        where each text ends (uint64)
        manifest.json   counts, sizes, sources

All that begins with a phrase stands together in the order, so that two binary searches count it (suffix arrays: Manber
and Myers 1993). A shard is sorted with the first bytes of the next one behind it, as many as the longest phrase has;
what begins there is left to the next one, so that nothing is lost at a border and nothing counts twice.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.arguments import named_arguments
from foretoken.bounded import opened
from foretoken.compute.hardware import available_memory
from foretoken.data.corpus import hash_files, source_files
from foretoken.data.formats import BLOCK_BYTES, read_texts
from foretoken.data.packing import renamed_when_whole
from foretoken.data.tokenized import TokenizedCorpus, token_dtype
from foretoken.errors import CorpusError, StoreError, needing
from foretoken.runs.corpus_section import CorpusSection
from foretoken.store import atomic

TEXT, SUFFIXES, ENDS, MANIFEST = "text.bin", "suffixes.bin", "ends.bin", "manifest.json"
LONGEST = 1024
"""Bytes of the longest phrase that an index answers for, unless another number is asked for."""
BYTES_PER_BYTE = 6
"""Memory that sorting a byte of a shard takes: the byte, its place (4), and what is written of it."""
LARGEST_SHARD, SMALLEST_SHARD = 2**30, 2**16
END = b"\0"
WORD = np.array([chr(byte).isalnum() or byte == ord("_") or byte > 127 for byte in range(256)])
"""Bytes that are part of a word: letters, digits, the underscore, and all of what is beyond ASCII [256]."""
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class IndexManifest:
    """What is in an index, beside its three large files."""

    bytes: int
    """Of text.bin."""
    shard: int
    """Bytes of a shard; the last one may have fewer."""
    longest: int
    """Bytes of the longest phrase."""
    width: int
    """Bytes of a unit: 1 of text, the bytes of a token of tokens."""
    documents: int
    suffixes: tuple[int, ...]
    """How many suffixes each shard has."""
    sources_json: list[dict[str, Any]]
    """Name, bytes and sha256 of each source."""

    @classmethod
    def from_json(cls, values_json: dict[str, Any]) -> IndexManifest:
        """What was written. Raises KeyError or TypeError for another object."""
        return cls(**{**values_json, "suffixes": tuple(values_json["suffixes"])})


@dataclass(frozen=True)
class TextIndex:
    """An index on disk, mapped into memory; see `index_text` and `index_tokens`."""

    folder: Path
    manifest: IndexManifest
    text: mmap.mmap | bytes
    suffixes: NDArray[np.uint32]
    ends: NDArray[np.uint64]

    @property
    def documents(self) -> int:
        """Number of texts; of tokens without a separator, 1."""
        return self.manifest.documents

    def count(self, phrase: str | bytes | Sequence[int], *, words: bool = False) -> int:
        """How often a phrase stands in the corpus; matches may overlap: "aa" is twice in "aaa".

        With `words` only where no letter or digit touches it. Raises CorpusError for a phrase that cannot be looked up.
        """
        key = self._key(phrase)
        if words:
            return sum(len(places) for places in self._places(key, words=True))
        return sum(last - first for first, last, _ in self._ranges(key))

    def document_mask(self, phrase: str | bytes | Sequence[int], *, words: bool = False) -> NDArray[np.bool_]:
        """Which texts hold a phrase [documents]; two of these, joined by `&`, tell which hold both."""
        mask = np.zeros(self.documents, dtype=bool)
        for places in self._places(self._key(phrase), words=words):
            mask[np.searchsorted(self.ends, places.astype(np.uint64), side="right")] = True
        return mask

    def _key(self, phrase: str | bytes | Sequence[int]) -> bytes:
        if isinstance(phrase, str | bytes):
            if self.manifest.width > 1:
                raise CorpusError("an index of tokens counts sequences of tokens", got="a text", cure="encode it")
            key = phrase_bytes(phrase)
        else:
            key = self._tokens_key(phrase)
        if len(key) > self.manifest.longest:
            raise CorpusError(
                "a phrase is longer than the index answers for",
                expected=f"at most {self.manifest.longest // self.manifest.width} bytes or tokens",
                got=f"{len(key) // self.manifest.width}",
                cure="index again with a larger `longest`, or count without an index",
            )
        return key

    def _tokens_key(self, tokens: Sequence[int]) -> bytes:
        width = self.manifest.width
        if not len(tokens) or min(tokens) < 0 or max(tokens) >= 256**width:
            expected = f"one or more tokens from 0 to {256**width - 1}"
            raise CorpusError("no sequence of tokens", expected=expected, got=repr(list(tokens)[:5]))
        return np.asarray(tokens, dtype=f">u{width}").tobytes()

    def _ranges(self, key: bytes) -> Iterator[tuple[int, int, int]]:
        """Of each shard the first suffix that begins with a key, the one behind the last, and the shard's begin."""
        done = 0
        for number, count in enumerate(self.manifest.suffixes):
            start, shard = number * self.manifest.shard, self.suffixes[done : done + count]

            def head(place: np.uint32, start: int = start) -> bytes:
                return bytes(self.text[start + int(place) : start + int(place) + len(key)])

            # Only what a search looks at is read from disk: some sixty places of a shard of a gigabyte.
            first = bisect_left(shard, key, key=head)
            yield done + first, done + bisect_right(shard, key, lo=first, key=head), start
            done += count

    def _places(self, key: bytes, *, words: bool) -> Iterator[Places]:
        """Where a key stands in the text, in parts."""
        for first, last, start in self._ranges(key):
            for begin in range(first, last, BLOCK_BYTES):
                places = self.suffixes[begin : min(last, begin + BLOCK_BYTES)].astype(np.int64) + start
                yield places[self._alone(places, len(key))] if words else places

    def _alone(self, places: Places, length: int) -> NDArray[np.bool_]:
        """Whether no byte of a word stands before or behind the phrases at some places."""
        # Beyond either end of the text there is nothing that could touch a phrase.
        text = np.frombuffer(self.text, np.uint8)
        before, behind = places - 1, places + length
        touched = np.where(before >= 0, WORD[text[np.maximum(before, 0)]], False)
        return ~(touched | np.where(behind < len(text), WORD[text[np.minimum(behind, len(text) - 1)]], False))


def phrase_bytes(phrase: str | bytes) -> bytes:
    r"""A phrase as it is looked for: UTF-8, as it stands. Raises CorpusError for what no text can hold.

    >>> phrase_bytes("né")
    b'n\xc3\xa9'
    """
    try:
        key = phrase.encode() if isinstance(phrase, str) else phrase
    except UnicodeEncodeError as error:
        raise CorpusError("a phrase is no text", got=str(error), cure="correct it") from None
    if not key or END in key:
        raise CorpusError("a phrase is empty" if not key else "a phrase holds a NUL byte, which no text holds")
    return key


def texts_of(source: str | Path, column: str, encoding: str) -> Iterator[Iterable[bytes]]:
    """The whole texts of a file or folder, each as blocks that must be read before the next: files, lines, or rows."""
    for file in source_files(CorpusSection(source="text", path=str(source))):
        yield from read_texts(file.path, column, encoding)


@named_arguments
def index_text(
    source: str | Path,
    folder: str | Path,
    *,
    column: str = "text",
    encoding: str = "utf-8",
    longest: int = LONGEST,
    memory: float = 0.0,
) -> TextIndex:
    """Index the texts of a file or folder, or open the index where these sources have been indexed.

    The index takes five bytes of disk for each byte of text. A shard is as large as the memory allows that may be used.

    Args:
        source: a file or folder of text, as a corpus is read.
        folder: where the index is kept.
        column: the column or key that holds the text, in files that have some.
        encoding: what the files are encoded in.
        longest: bytes of the longest phrase that will be asked for.
        memory: bytes that sorting may take; a quarter of the machine's unless given.

    Raises CorpusError for text that cannot be read, StoreError where the folder cannot be written or holds another
    index, MissingExtraError without the package that sorts.

    """
    folder, files = Path(folder), source_files(CorpusSection(source="text", path=str(source)))
    sources = [one.to_json() for one in hash_files(files)] + [{"column": column, "encoding": encoding}]
    if (folder / MANIFEST).exists():
        return _same(open_index(folder), sources, longest)
    return _built(folder, _framed(texts_of(source, column, encoding)), sources, 1, longest, memory)


@named_arguments
def index_tokens(
    corpus: TokenizedCorpus, folder: str | Path, split: str = "train", *, longest: int = 256, memory: float = 0.0
) -> TextIndex:
    """Index the tokens of a tokenised corpus; `longest` is in tokens here, all else as for `index_text`.

    Tokens are one stream, as training reads them: a sequence may reach over the end of a document only where the
    corpus has no separator.
    """
    folder, width = Path(folder), np.dtype(token_dtype(corpus.vocabulary)).itemsize
    sources = [{"address": corpus.address, "split": split}]
    if (folder / MANIFEST).exists():
        return _same(open_index(folder), sources, longest * width)
    return _built(folder, _token_blocks(corpus, split, width), sources, width, longest * width, memory)


def open_index(folder: str | Path) -> TextIndex:
    """The index in a folder; its sources are not needed any more. Raises StoreError when it is missing or damaged."""
    folder = Path(folder)
    values = atomic.read_checksummed_json(folder / MANIFEST)
    try:
        manifest = IndexManifest.from_json(values)
        sizes = {TEXT: manifest.bytes, SUFFIXES: 4 * sum(manifest.suffixes), ENDS: 8 * manifest.documents}
    except (KeyError, TypeError) as error:
        raise StoreError(f"{folder / MANIFEST} is of no index", got=str(error), cure="index again") from error
    text, suffixes, ends = (_mapped(folder / name, size) for name, size in sizes.items())
    return TextIndex(folder, manifest, text, np.frombuffer(suffixes, np.uint32), np.frombuffer(ends, np.uint64))


def _mapped(path: Path, size: int) -> mmap.mmap | bytes:
    with opened(path, StoreError, inside=True) as file:
        there = file.seek(0, 2)
        if there != size:
            cure = f"delete {path.parent}, then index again"
            raise StoreError(f"{path} is damaged", expected=f"{size} bytes", got=str(there), cure=cure)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""


def _same(index: TextIndex, sources_json: list[dict[str, Any]], longest: int) -> TextIndex:
    """An index that is there. Raises StoreError where it is of other sources, or of shorter phrases."""
    if index.manifest.sources_json != sources_json or index.manifest.longest < longest:
        differs = "of other sources" if index.manifest.sources_json != sources_json else "for shorter phrases"
        raise StoreError(
            f"{index.folder} holds an index {differs}",
            cure=f"give another folder, or delete {index.folder}",
        )
    return index


@dataclass(frozen=True)
class _Part:
    """Bytes for text.bin, and where texts end in them."""

    content: bytes
    ends: tuple[int, ...]


def _framed(texts: Iterable[Iterable[bytes]]) -> Iterator[_Part]:
    """Texts with a NUL behind each."""
    for blocks in texts:
        for block in blocks:
            yield _Part(block, ())
        yield _Part(END, (1,))


def _token_blocks(corpus: TokenizedCorpus, split: str, width: int) -> Iterator[_Part]:
    """Tokens, their first byte the most significant, so that bytes are ordered as tokens are."""
    tokens = corpus.tokens(split)
    for start in range(0, len(tokens), BLOCK_BYTES):
        block = np.asarray(tokens[start : start + BLOCK_BYTES])
        ends = width * (np.flatnonzero(block == corpus.separator) + 1) if corpus.separator is not None else ()
        yield _Part(block.astype(f">u{width}").tobytes(), tuple(map(int, ends)))


def _built(
    folder: Path, parts: Iterable[_Part], sources_json: list[dict[str, Any]], width: int, longest: int, memory: float
) -> TextIndex:
    """Write the text, then sort it shard by shard; the folder gets its name when all is there."""
    if longest < width:
        raise CorpusError("the longest phrase of an index", expected="1 or more", got=str(longest // width))
    with needing("an index of a text", "tail"):
        import pydivsufsort  # noqa: F401 (before an hour of writing)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        there = "is not empty, and holds no index" if folder.is_dir() else "is not a folder"
        raise StoreError(f"{folder} {there}", cure="give another folder")
    most = int((memory or available_memory() / 4) / BYTES_PER_BYTE)
    # A shard is a whole number of units, so that tokens begin where its bytes do.
    shard = min(max(most, SMALLEST_SHARD), LARGEST_SHARD) // width * width
    with atomic.writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with renamed_when_whole(folder) as unfinished:
        size, documents = _write_text(unfinished, parts)
        with opened(unfinished / TEXT, StoreError) as text, atomic.new_file(unfinished / SUFFIXES) as file:
            counts = []
            for start in range(0, size, shard):
                text.seek(start)
                own = min(shard, size - start)
                counts.append(_write_suffixes(file, text.read(own + longest - 1), own, width))
        manifest = IndexManifest(
            bytes=size,
            shard=shard,
            longest=longest,
            width=width,
            documents=documents,
            suffixes=tuple(counts),
            sources_json=sources_json,
        )
        atomic.write_file(unfinished / MANIFEST, atomic.checksummed_json(asdict(manifest)))
    return open_index(folder)


def _write_text(folder: Path, parts: Iterable[_Part]) -> tuple[int, int]:
    """Write text.bin and ends.bin; the bytes of the one, and how many texts there are."""
    size = documents = last = 0
    with atomic.new_file(folder / TEXT) as text, atomic.new_file(folder / ENDS) as ends:
        for part in parts:
            atomic.system.append(text, part.content)
            if part.ends:
                atomic.system.append(ends, (np.asarray(part.ends, np.uint64) + np.uint64(size)).tobytes())
                documents, last = documents + len(part.ends), size + part.ends[-1]
            size += len(part.content)
        if last < size:  # tokens behind the last separator
            atomic.system.append(ends, np.uint64(size).tobytes())
            documents += 1
    return size, documents


def _write_suffixes(file: Any, content: bytes, own: int, width: int) -> int:
    """Sort the suffixes of a shard, and write those that begin among its own bytes, and at a unit; how many."""
    from pydivsufsort import divsufsort

    # As a bytearray: the sorter refuses memory that may not be written to.
    # Suffixes are ordered rightly as far as the longest phrase reaches; no answer depends on what follows.
    order = divsufsort(np.frombuffer(bytearray(content), np.uint8))
    count = 0
    for start in range(0, len(order), 4 * BLOCK_BYTES):
        places = order[start : start + 4 * BLOCK_BYTES]
        kept = places[(places < own) & (places % width == 0)].astype(np.uint32)
        atomic.system.append(file, kept.tobytes())
        count += len(kept)
    return count
