"""A text of the user's as tokens of a model's, in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.data import TokenizedCorpus
from foretoken.data.corpus import FEW_DOCUMENTS, documents
from foretoken.data.packing import CHUNK_BYTES, is_validation
from foretoken.data.tokenized import token_dtype
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import CorpusError
from foretoken.generation import Model
from foretoken.runs.sections import CorpusSection


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
    for text in _texts(model, path, column):
        split.add(text)
        if split.tokens >= most:
            break
    tokens = split.finish()
    held = {"train": tokens[:0], "validation": tokens[:most]}
    return _corpus(model, path, held, split.bytes / split.tokens if split.tokens and not split.lost else None)


def split_text(model: Model, path: str | Path, column: str, share: float) -> TextCorpus:
    """A text with a share of its documents held out, by their hash; of fewer than 50, its last tokens are.

    Raises CorpusError.
    """
    texts = _texts(model, path, column)
    first = list(islice(texts, FEW_DOCUMENTS))
    few = len(first) < FEW_DOCUMENTS
    train, validation = _Split(model.tokenizer), _Split(model.tokenizer)
    for text in chain(first, texts):
        (validation if not few and is_validation(text, share) else train).add(text)
    tokens = {"train": train.finish(), "validation": validation.finish()}
    if few:
        end = round(len(tokens["train"]) * (1 - share))
        tokens = {"train": tokens["train"][:end], "validation": tokens["train"][end:]}
    return _corpus(model, path, tokens, None)


def _texts(model: Model, path: str | Path, column: str) -> Iterator[bytes]:
    """The documents of a text, the words of studies taken out of what is refused."""
    if isinstance(model.tokenizer, SymbolTokenizer):
        raise CorpusError(
            "this model was trained on a synthetic language, which has symbols and no text",
            expected="a model that was trained on text",
            got=model.name,
        )
    try:
        for document in documents(CorpusSection(source="text", path=str(path), column=column)):
            yield document.text
    except CorpusError as error:
        got = f"{path}" if error.got is None else error.got
        raise CorpusError(error.message, expected=error.expected, got=got, cure="give another text") from None


def _corpus(model: Model, path: str | Path, held: dict[str, NDArray[Any]], bytes_per_token: float | None) -> TextCorpus:
    digest = {split: hashlib.sha256(tokens.tobytes()).hexdigest() for split, tokens in held.items()}
    held_out = len(held["validation"])
    return TextCorpus(
        folder=Path(path),
        address=hashlib.sha256("".join(digest.values()).encode()).hexdigest()[:16],
        tokenizer=model.tokenizer.name,
        vocabulary=model.tokenizer.vocabulary,
        train_tokens=len(held["train"]),
        validation_tokens=held_out,
        validation_bytes=None if bytes_per_token is None else round(bytes_per_token * held_out),
        entropy_rate=None,
        sources_sha256=digest["train"],
        validation_sha256=digest["validation"],
        separator=model.tokenizer.separator,
        specials=dict(model.specials),
        closed=True,
        held=held,
    )


class _Split:
    """Tokens of documents, a separator behind each where the tokenizer has one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.dtype = tokenizer, token_dtype(tokenizer.vocabulary)
        self.end = np.array([] if tokenizer.separator is None else [tokenizer.separator], self.dtype)
        self.parts: list[NDArray[Any]] = []
        self.waiting: list[bytes] = []
        self.waiting_bytes = self.bytes = self.tokens = 0
        self.lost = False
        """Whether some text does not come back from its tokens."""

    def add(self, text: bytes) -> None:
        self.waiting.append(text)
        self.waiting_bytes += len(text)
        if self.waiting_bytes >= CHUNK_BYTES:
            self._encode()

    def finish(self) -> NDArray[Any]:
        self._encode()
        return np.concatenate(self.parts) if self.parts else np.zeros(0, self.dtype)

    def _encode(self) -> None:
        for text, tokens in zip(self.waiting, self.tokenizer.encode(self.waiting), strict=True):
            self.lost = self.lost or (self.tokenizer.closed and self.tokenizer.decode(tokens) != text)
            self.parts += [tokens.astype(self.dtype), self.end]
            self.tokens += len(tokens) + len(self.end)
        self.bytes += self.waiting_bytes
        self.waiting, self.waiting_bytes = [], 0
