"""What is read: the files of a corpus and, as a stream, their documents.

A document is what a text file, a JSON line or a row holds. Only whole documents are held out for validation, so a
corpus of few documents is cut into parts of about 16 KB at blank lines, and so is any document beyond 1 MiB.
"""

from __future__ import annotations

import hashlib
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from foretoken.bounded import opened
from foretoken.data.formats import BLOCK_BYTES, read_texts, reading
from foretoken.data.mixing import Document, Size, bytes_and_end, with_tasks
from foretoken.data.synthetic import language
from foretoken.errors import CorpusError
from foretoken.runs.corpus_section import CorpusSection

FEW_DOCUMENTS = 50
"""A corpus of fewer is cut into parts: held out whole, one of them would be too large or too small a share."""
PART_BYTES = 16 * 1024
"""A part ends at the first blank line after so many bytes: about what 4,000 tokens stand for."""
LONGEST_PART_BYTES = 64 * 1024
NOT_SOURCE = {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test"}
"""Folders of the standard library that are not its source, or are its tests."""
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


@dataclass(frozen=True)
class SourceFile:
    """A file of the corpus."""

    path: Path
    name: str
    """Its path inside the corpus, with slashes."""


def source_files(corpus: CorpusSection) -> list[SourceFile]:
    """The files of a corpus, ordered by name; none for a synthetic language or tasks alone.

    Raises CorpusError when there is nothing to read.
    """
    if corpus.source in ("zipf_markov", "tasks"):
        return []
    if corpus.source == "python-stdlib":
        root = Path(sysconfig.get_path("stdlib"))
        files = [file for file in _walk(root, NOT_SOURCE) if _is_library_source(file.path.name)]
    else:
        root = Path(os.path.expanduser(str(corpus.path)))
        if not root.exists():
            cure = "correct corpus.path"
            raise CorpusError("the corpus is missing", expected="a file or folder", got=str(root), cure=cure)
        if not (root.is_dir() or root.is_file()):  # a pipe or a device has no end
            raise CorpusError("the corpus is neither a file nor a folder", got=str(root), cure="correct corpus.path")
        files = _walk(root, set()) if root.is_dir() else [SourceFile(root, root.name)]
    with reading(root):
        if not any(file.path.stat().st_size for file in files):
            got = f"{len(files)} files with 0 bytes"
            raise CorpusError(
                f"the corpus at {root} is empty", expected="text", got=got, cure="give another corpus.path"
            )
    return files


@dataclass(frozen=True)
class SourceHash:
    """A file of the corpus as it was read."""

    name: str
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def hash_files(files: Iterable[SourceFile]) -> list[SourceHash]:
    """Name, bytes and sha256 of each file."""
    hashes = []
    for file in files:
        with reading(file.path), opened(file.path, CorpusError) as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            hashes.append(SourceHash(file.name, content.tell(), digest))
    return hashes


def documents(corpus: CorpusSection, seed: int = 0, size: Size = bytes_and_end) -> Iterator[Document]:
    """The documents of a corpus, one after another; empty ones are left out.

    `seed` makes a synthetic language and the text of tasks, whose shares are of tokens as `size` counts them; other
    text does not depend on either. Of equal files of `python-stdlib` the first is given.
    Raises CorpusError with the place of what is not text.
    """
    if corpus.source == "zipf_markov":
        tokens = int(corpus.language.tokens)
        for number, symbols in enumerate(language(corpus.language, seed).documents(tokens, seed)):
            yield Document(str(number), symbols.astype("<u2").tobytes())
        return
    texts = iter(()) if corpus.source == "tasks" else _parts(corpus)
    yield from with_tasks(texts, corpus, seed, size) if corpus.tasks else texts


def _parts(corpus: CorpusSection) -> Iterator[Document]:
    # Texts are streams: counting to FEW_DOCUMENTS reads no more of the corpus than that takes.
    few = len(list(islice(_texts(corpus), FEW_DOCUMENTS))) < FEW_DOCUMENTS
    parts = (
        Document(f"{name}#{number}", text)
        for name, blocks in _texts(corpus)
        for number, text in enumerate(_cut(iter(blocks), always=few))
        if text
    )
    yield from _without_copies(parts) if corpus.source == "python-stdlib" else parts


def _without_copies(all_documents: Iterable[Document]) -> Iterator[Document]:
    digests = set()
    for document in all_documents:
        digest = hashlib.sha256(document.text).digest()
        if digest not in digests:
            yield document
        digests.add(digest)


def _texts(corpus: CorpusSection) -> Iterator[tuple[str, Iterable[bytes]]]:
    for file in source_files(corpus):
        for number, blocks in enumerate(read_texts(file.path, corpus.column, corpus.encoding)):
            yield f"{file.name}#{number}", blocks


def _cut(blocks: Iterator[bytes], always: bool) -> Iterator[bytes]:
    """The text itself, or its parts: where they end depends on the text alone."""
    start, size = list[bytes](), 0
    for block in blocks:
        start.append(block)
        size += len(block)
        if size > BLOCK_BYTES:
            break
    if not always and size <= BLOCK_BYTES:
        yield b"".join(start)
        return
    rest = b""
    for block in chain(start, blocks):
        rest += block
        while len(rest) > LONGEST_PART_BYTES:
            end = _part_end(rest)
            yield rest[:end]
            rest = rest[end:]
    while rest:
        end = _part_end(rest)
        yield rest[:end]
        rest = rest[end:]


def _part_end(text: bytes) -> int:
    """After a blank line; where none is near, after a line; where none is near either, between two characters."""
    blank = _BLANK_LINE.search(text, PART_BYTES, LONGEST_PART_BYTES)
    if blank:
        return blank.end()
    if len(text) <= LONGEST_PART_BYTES:
        return len(text)
    line = text.rfind(b"\n", 0, LONGEST_PART_BYTES)
    if line >= 0:
        return line + 1
    end = LONGEST_PART_BYTES
    # In UTF-8 the bytes of a character after its first are 10xxxxxx (RFC 3629).
    while text[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _walk(root: Path, skipped: set[str]) -> list[SourceFile]:
    """All files below a folder, hidden ones left out."""
    files = []
    for folder, folders, names in os.walk(root, onerror=_unreadable):
        folders[:] = [name for name in folders if name not in skipped and not name.startswith(".")]
        paths = [Path(folder) / name for name in names if not name.startswith(".")]
        files += [SourceFile(path, path.relative_to(root).as_posix()) for path in paths if path.is_file()]
    return sorted(files, key=lambda file: file.name)


def _unreadable(error: OSError) -> None:
    raise CorpusError("a folder of the corpus cannot be read", got=str(error), cure="allow reading it, or move it away")


def _is_library_source(name: str) -> bool:
    return name.endswith(".py") and not name.startswith("_sysconfigdata")
