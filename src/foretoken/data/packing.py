"""Text -> tokens, once: memory-mapped files in a folder that is named by its content.

    <folder>/<address>/
        train.bin, validation.bin   tokens, one after another
        tokenizer.json
        manifest.json               settings, sources with their sha256, counts
    <folder>/stamps/                names, sizes and times of sources -> address, so that a second call reads no source
    <folder>/lock                   held while a corpus is made

A corpus is made under a temporary name and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from foretoken.data.corpus import SourceFile, documents, hash_files, source_files
from foretoken.data.corpus_tasks import write_mentions
from foretoken.data.formats import UTF8
from foretoken.data.learning import learn
from foretoken.data.mixing import Split
from foretoken.data.subword import read_tokenizer, tokenizer_bytes
from foretoken.data.synthetic import language
from foretoken.data.tokenized import (
    MANIFEST,
    MadeText,
    Manifest,
    SplitCounts,
    TokenizedCorpus,
    open_corpus,
    token_dtype,
)
from foretoken.data.tokenizer import TOKENIZER, ByteTokenizer, SymbolTokenizer, Tokenizer
from foretoken.errors import CorpusError, StoreError
from foretoken.runs.corpus_section import CorpusSection
from foretoken.store import atomic
from foretoken.tasks.maker import VERSION

LAYOUT = 2
"""Part of every address: to be increased when the same sources and settings come to give other tokens."""
CHUNK_BYTES = 2**20
"""Text that is tokenised at once."""
ADDRESS = re.compile("[0-9a-f]{16}")
LONGEST_WAIT = 600.0
"""Seconds that are waited for another process that makes a corpus."""
SETTLED_SECONDS = 2.0
"""A file that changed more recently may change again within the resolution of its time, so its stamp is not kept."""


def find_corpus(corpus: CorpusSection, folder: Path, seed: int) -> TokenizedCorpus | None:
    """The tokenised corpus where it has been made and its sources look unchanged; nothing is written."""
    stamp = _hash([_settings_json(corpus, seed), _stamps(source_files(corpus))])
    address = _address(folder / "stamps" / f"{stamp}.json")
    return open_corpus(folder / address) if address and (folder / address).is_dir() else None


def prepare_corpus(corpus: CorpusSection, folder: Path, seed: int) -> TokenizedCorpus:
    """Tokenise a corpus, or find it where it already is. `seed` makes a synthetic language; other text ignores it.

    Raises CorpusError for text that cannot be read or is too short, StoreError when the folder cannot be written.
    """
    if (existing := find_corpus(corpus, folder, seed)) is not None:
        return existing
    files, settings = source_files(corpus), _settings_json(corpus, seed)
    stamp = _hash([settings, _stamps(files)])
    # Whoever waited for the lock finds the corpus made: its address is looked up again below.
    with _lock(folder):
        _clear(folder)
        sources = [source.to_json() for source in hash_files(files)] or [settings]
        address = _hash([settings, sources])
        if not (folder / address).is_dir():
            with renamed_when_whole(folder / address) as unfinished:
                manifest = _tokenize(corpus, seed, unfinished, settings, sources)
                write_mentions(unfinished, manifest)
                atomic.write_file(unfinished / MANIFEST, atomic.checksummed_json(manifest.to_json()))
                # The address is that of the sources before they were tokenised: it must still be that of what was read.
                if stamp != _hash([_settings_json(corpus, seed), _stamps(source_files(corpus))]):
                    raise CorpusError("the corpus changed while it was being read", cure="run again")
        if all(time.time() - changed / 1e9 > SETTLED_SECONDS for _, _, changed in _stamps(files)):
            atomic.write_json(folder / "stamps" / f"{stamp}.json", {"address": address})
    return open_corpus(folder / address)


def _address(stamp: Path) -> str | None:
    """The address that a stamp leads to; None when there is none that can be read."""
    try:
        address = atomic.read_json(stamp)["address"]
    except (StoreError, KeyError, TypeError):
        return None
    return address if isinstance(address, str) and ADDRESS.fullmatch(address) else None


def _settings_json(corpus: CorpusSection, seed: int) -> dict[str, Any]:
    """All that the tokens depend on beside the content of the sources."""
    settings: dict[str, Any] = {"layout": LAYOUT, "source": corpus.source, "validation_share": corpus.validation_share}
    if corpus.source == "zipf_markov":
        return settings | {"language": corpus.language.model_dump(), "seed": seed}
    if corpus.tasks:
        made = [
            dict(task.options) | {"share": share} for task, share in zip(corpus.tasks, corpus.task_shares, strict=True)
        ]
        settings |= {"tasks": made, "tasks_version": VERSION, "seed": seed}
    if corpus.source == "tasks":
        settings["tokens"] = int(corpus.tokens)
    # corpus.path is left out: the same files in another place give the same corpus.
    settings |= {"column": corpus.column, "tokenizer": corpus.tokenizer}
    if corpus.encoding != UTF8:
        settings["encoding"] = corpus.encoding
    if corpus.tokenizer == "file":
        content = tokenizer_bytes(str(corpus.tokenizer_file))
        return settings | {"tokenizer_sha256": hashlib.sha256(content).hexdigest(), "separator": corpus.separator}
    if corpus.tokenizer != "byte":
        settings["vocabulary"] = corpus.vocabulary
    return settings


def _stamps(files: list[SourceFile]) -> list[tuple[str, int, int]]:
    """Path, size and time of change (ns) of each file."""
    statuses = [(str(file.path.absolute()), file.path.stat()) for file in files]
    return [(path, status.st_size, status.st_mtime_ns) for path, status in statuses]


def _tokenizer(corpus: CorpusSection, seed: int) -> Tokenizer:
    if corpus.source == "zipf_markov":
        return SymbolTokenizer(corpus.language.symbols)
    if corpus.tokenizer == "byte":
        return ByteTokenizer()
    if corpus.tokenizer == "file":
        return read_tokenizer(str(corpus.tokenizer_file), corpus.separator)
    return learn(corpus.tokenizer, training_texts(corpus, seed), corpus.vocabulary)


def training_texts(corpus: CorpusSection, seed: int) -> Iterator[bytes]:
    """The documents of the training split: all that a tokenizer may learn from."""
    share = corpus.validation_share
    return (document.text for document in documents(corpus, seed) if document.split_at(share) == "train")


def _tokenize(
    corpus: CorpusSection, seed: int, folder: Path, settings_json: dict[str, Any], sources_json: list[dict[str, Any]]
) -> Manifest:
    """Write the tokens and the tokenizer."""
    synthetic = corpus.source == "zipf_markov"
    tokenizer = _tokenizer(corpus, seed)
    definition = json.dumps(tokenizer.to_json()).encode()
    atomic.write_file(folder / TOKENIZER, definition)
    documents_of_task, tokens_of_task = Counter[tuple[str, Split]](), Counter[tuple[str, Split]]()
    with atomic.new_file(folder / "train.bin") as train, atomic.new_file(folder / "validation.bin") as validation:
        writers: dict[Split, _SplitWriter] = {
            "train": _SplitWriter(train, tokenizer),
            # Only a user's own tokenizer can lose text: those that are learned here are of bytes.
            "validation": _SplitWriter(validation, tokenizer, compare=tokenizer.fixed_vocabulary),
        }
        for document in documents(corpus, seed, lambda text: _count(tokenizer, text)):
            split = document.split_at(corpus.validation_share)
            writers[split].add(document.text)
            if document.task:
                documents_of_task[document.task, split] += 1
                tokens_of_task[document.task, split] += document.tokens
        splits: dict[str, SplitCounts] = {split: writer.finish() for split, writer in writers.items()}
    _check_not_empty(splits)
    if synthetic or splits["validation"].lost_documents:
        splits = {split: replace(counts, bytes=None) for split, counts in splits.items()}
    return Manifest(
        tokenizer=tokenizer.name,
        tokenizer_sha256=hashlib.sha256(definition).hexdigest(),
        vocabulary=tokenizer.vocabulary,
        separator=tokenizer.separator,
        specials=dict(tokenizer.specials),
        fixed_vocabulary=tokenizer.fixed_vocabulary,
        entropy_rate=language(corpus.language, seed).entropy_rate if synthetic else None,
        splits=splits,
        settings_json=settings_json,
        sources_json=sources_json,
        sources_sha256=_sha256(sources_json),
        made=tuple(
            MadeText(task=task, split=split, documents=number, tokens=tokens_of_task[task, split])
            for (task, split), number in documents_of_task.items()
        ),
    )


def _count(tokenizer: Tokenizer, text: bytes) -> int:
    """Tokens of a document, with the one that ends it."""
    return len(tokenizer.encode([text])[0]) + (tokenizer.separator is not None)


def _check_not_empty(splits: dict[str, SplitCounts]) -> None:
    for split, counts in splits.items():
        if not counts.tokens:
            raise CorpusError(
                f"the {split} split is empty: the corpus has too few different documents",
                expected="documents in both splits",
                got=", ".join(f"{name} {splits[name].documents}" for name in splits),
                cure="give more text, or change corpus.validation_share",
            )


class _SplitWriter:
    """Collects documents and writes their tokens chunk by chunk; `compare` counts those that do not come back."""

    def __init__(self, file: IO[bytes], tokenizer: Tokenizer, compare: bool = False) -> None:
        self.file, self.tokenizer = file, tokenizer
        self.dtype = token_dtype(tokenizer.vocabulary)
        self.pending: list[bytes] = []
        self.pending_bytes = self.documents = self.bytes = self.tokens = self.lost = self.unknown = 0
        self.compare = compare
        self.sha256 = hashlib.sha256()

    def add(self, text: bytes) -> None:
        self.pending.append(text)
        self.pending_bytes += len(text)
        if self.pending_bytes >= CHUNK_BYTES:
            self._write()

    def finish(self) -> SplitCounts:
        """Write the rest; counts of the split."""
        self._write()
        return SplitCounts(
            documents=self.documents,
            bytes=self.bytes,
            tokens=self.tokens,
            lost_documents=self.lost if self.compare else None,
            unknown_tokens=self.unknown if self.compare else None,
            sha256=self.sha256.hexdigest(),
        )

    def _write(self) -> None:
        separator = self.tokenizer.separator
        end = np.array([] if separator is None else [separator], self.dtype)
        for text, tokens in zip(self.pending, self.tokenizer.encode(self.pending), strict=True):
            if self.compare:
                self.lost += self.tokenizer.decode(tokens) != text
                self.unknown += int(np.count_nonzero(tokens == self.tokenizer.unknown))
            content = np.concatenate([tokens.astype(self.dtype), end]).tobytes()
            atomic.system.append(self.file, content)
            self.sha256.update(content)
            self.tokens += len(tokens) + len(end)
        self.documents += len(self.pending)
        self.bytes += self.pending_bytes
        self.pending, self.pending_bytes = [], 0


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Wait until no other process makes a corpus here, but not for ever. The lock ends with its process, however."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")  # the system releases it when the process dies, so no lock goes stale
    with atomic.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=LONGEST_WAIT)
        except Timeout:
            raise StoreError(
                f"another process has been making a corpus in {folder} for {LONGEST_WAIT / 60:.0f} minutes",
                got=f"a lock on {folder / 'lock'}",
                cure="wait until it has ended, or end it if it stands still; then run again",
            ) from None
    try:
        yield
    finally:
        lock.release()


def _clear(folder: Path) -> None:
    """Delete what dead processes left behind; the holder of the lock is the only one that writes."""
    for leftover in [*folder.glob(".unfinished-*"), *folder.rglob(f".*{atomic.TEMPORARY}")]:
        if leftover.is_dir():
            atomic.delete_folder(leftover)
        else:
            atomic.delete_file(leftover)


@contextmanager
def renamed_when_whole(final: Path) -> Iterator[Path]:
    """A folder to write in, renamed to `final` at the end."""
    unfinished = final.with_name(f".unfinished-{final.name}")
    with atomic.writing(unfinished):
        atomic.system.make_folder(unfinished)
    try:
        yield unfinished
        with atomic.writing(final):
            atomic.system.rename(unfinished, final)
            atomic.system.flush_folder(final.parent)
    finally:
        with contextlib.suppress(StoreError):
            atomic.delete_folder(unfinished)


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _hash(value: object) -> str:
    return _sha256(value)[:16]
