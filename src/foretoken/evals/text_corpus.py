"""A text of the user's as tokens of a model's, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.data import TokenizedCorpus
from foretoken.data.corpus import FEW_DOCUMENTS, Document, documents
from foretoken.data.packing import CHUNK_BYTES, is_validation
from foretoken.data.tokenized import token_dtype
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import CorpusError
from foretoken.generation import Model
from foretoken.runs.schema import CorpusSection


@dataclass(frozen=True, kw_only=True)
class TextCorpus(TokenizedCorpus):
    """A tokenised text in memory."""

    held: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Tokens by split."""

    def tokens(self, split: str) -> NDArray[Any]:
        """The tokens of a split."""
        return self.held[split]


def whole_text(model: Model, path: str | Path, column: str, most: int) -> TextCorpus:
    """All of a text, or its first tokens, as the validation split. Raises CorpusError."""
    split = _Split(model.tokenizer)
    for text, ends in _texts(model, path, column):
        split.add(text, ends)
        if split.tokens >= most:
            break
    tokens = split.finish()[:most]
    return _corpus(model, path, {"train": tokens[:0], "validation": tokens}, split.bytes_of(len(tokens)))


def split_text(model: Model, path: str | Path, column: str, share: float) -> TextCorpus:
    """A text with a share of its documents held out, by their hash; of fewer than 50, its last tokens are.

    Raises CorpusError.
    """
    texts = list(_texts(model, path, column))
    few = sum(ends for _, ends in texts) < FEW_DOCUMENTS
    train, validation = _Split(model.tokenizer), _Split(model.tokenizer)
    for text, ends in texts:
        (validation if not few and is_validation(text, share) else train).add(text, ends)
    tokens = {"train": train.finish(), "validation": validation.finish()}
    if few:
        end = round(len(tokens["train"]) * (1 - share))
        tokens = {"train": tokens["train"][:end], "validation": tokens["train"][end:]}
    return _corpus(model, path, tokens, None)


def _texts(model: Model, path: str | Path, column: str) -> Iterator[tuple[bytes, bool]]:
    """The texts of the documents, long ones in parts, and whether a document ends with it.

    The words of studies are taken out of what is refused.
    """
    if isinstance(model.tokenizer, SymbolTokenizer):
        raise CorpusError(
            "this model was trained on a synthetic language, which has symbols and no text",
            expected="a model that was trained on text",
            got=model.name,
        )
    before: Document | None = None
    try:
        for part in documents(CorpusSection(source="text", path=str(path), column=column)):
            if before is not None:
                yield before.text, _home(before) != _home(part)
            before = part
    except CorpusError as error:
        got = f"{path}" if error.got is None else error.got
        raise CorpusError(error.message, expected=error.expected, got=got, cure="give another text") from None
    if before is not None:
        yield before.text, True


def _home(part: Document) -> str:
    """The document that a part is of: `documents` numbers the parts behind its name."""
    return part.name.rpartition("#")[0]


def _corpus(model: Model, path: str | Path, held: dict[str, NDArray[Any]], held_out_bytes: int | None) -> TextCorpus:
    digest = {split: hashlib.sha256(tokens.tobytes()).hexdigest() for split, tokens in held.items()}
    return TextCorpus(
        folder=Path(path),
        address=hashlib.sha256("".join(digest.values()).encode()).hexdigest()[:16],
        tokenizer=model.tokenizer.name,
        vocabulary=model.tokenizer.vocabulary,
        train_tokens=len(held["train"]),
        validation_tokens=len(held["validation"]),
        validation_bytes=held_out_bytes,
        entropy_rate=None,
        sources_sha256=digest["train"],
        validation_sha256=digest["validation"],
        separator=model.tokenizer.separator,
        specials=dict(model.specials),
        closed=True,
        held=held,
    )


class _Split:
    """Tokens of texts, a separator behind each document where the tokenizer has one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.dtype = tokenizer, token_dtype(tokenizer.vocabulary)
        self.end = np.array([] if tokenizer.separator is None else [tokenizer.separator], self.dtype)
        self.parts: list[NDArray[Any]] = []
        self.waiting: list[tuple[bytes, bool]] = []
        self.waiting_bytes = self.tokens = 0
        self.sizes: list[tuple[int, bool]] = []
        """Bytes of each text, and whether it comes back from its tokens."""

    def add(self, text: bytes, ends: bool) -> None:
        self.waiting.append((text, ends))
        self.waiting_bytes += len(text)
        if self.waiting_bytes >= CHUNK_BYTES:
            self._encode()

    def finish(self) -> NDArray[Any]:
        self._encode()
        return np.concatenate(self.parts) if self.parts else np.zeros(0, self.dtype)

    def bytes_of(self, tokens: int) -> int | None:
        """Bytes of text behind the first tokens; None where the tokenizer loses some."""
        found = 0
        for part, (size, lossless) in zip(self.parts, self.sizes, strict=True):
            if tokens <= 0:
                break
            if not lossless:
                return None
            found += size if tokens >= len(part) else len(self.tokenizer.decode(part[:tokens]))
            tokens -= len(part)
        return found

    def _encode(self) -> None:
        encoded = self.tokenizer.encode([text for text, _ in self.waiting])
        for (text, ends), tokens in zip(self.waiting, encoded, strict=True):
            lossless = not self.tokenizer.closed or self.tokenizer.decode(tokens) == text
            whole = np.concatenate([tokens.astype(self.dtype), self.end]) if ends else tokens.astype(self.dtype)
            self.parts.append(whole)
            self.sizes.append((len(text), lossless))
            self.tokens += len(whole)
        self.waiting, self.waiting_bytes = [], 0
