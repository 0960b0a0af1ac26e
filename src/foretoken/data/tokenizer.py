"""Tokenizers: text of a document -> numbers.

`byte`     256 tokens: the bytes. Byte 0 cannot occur in text, so it separates documents.
`bpe`      byte-level byte-pair encoding, learned on the training split; token 0 separates documents.
`symbols`  the numbers of a synthetic language, as they are, without a separator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import CorpusError, MissingExtraError

Tokens = NDArray[Any]
END_OF_TEXT = "<|endoftext|>"
LEARNING_BYTES = 256 * 2**20
"""Text that a bpe tokenizer is learned on, at most: the beginning of the training split."""


class Tokenizer(Protocol):
    """What packing needs of a tokenizer."""

    @property
    def name(self) -> str:
        """Names the tokenizer and, where it was learned, its content."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens; each is below it."""

    @property
    def separator(self) -> int | None:
        """The token that ends a document, or None."""

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""


@dataclass(frozen=True)
class ByteTokenizer:
    """The bytes themselves."""

    name: str = "byte"
    vocabulary: int = 256
    separator: int | None = 0

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""
        return [np.frombuffer(text, np.uint8) for text in texts]

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""
        return tokens.astype(np.uint8).tobytes()

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""
        return {"kind": "byte"}


@dataclass(frozen=True)
class SymbolTokenizer:
    """The symbols of a synthetic language, which a document holds as little-endian 16-bit numbers."""

    vocabulary: int
    separator: int | None = None

    @property
    def name(self) -> str:
        """Names the tokenizer."""
        return f"symbols-{self.vocabulary}"

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""
        return [np.frombuffer(text, "<u2") for text in texts]

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""
        return tokens.astype("<u2").tobytes()

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""
        return {"kind": "symbols", "vocabulary": self.vocabulary}


class BpeTokenizer:
    """Byte-level byte-pair encoding, any text in and the same text out."""

    separator: int | None = 0

    def __init__(self, definition: str) -> None:
        """`definition` is the JSON text of the package `tokenizers`."""
        self._definition = definition
        self._tokenizer = _tokenizers().Tokenizer.from_str(definition)
        self._tokenizer.encode_special_tokens = True
        self.vocabulary: int = self._tokenizer.get_vocab_size()
        self.name = f"bpe-{self.vocabulary}-{hashlib.sha256(definition.encode()).hexdigest()[:12]}"

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""
        encoded = self._tokenizer.encode_batch_fast([text.decode() for text in texts], add_special_tokens=False)
        return [np.array(one.ids, np.uint32) for one in encoded]

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""
        return str(self._tokenizer.decode(tokens.tolist(), skip_special_tokens=False)).encode()

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""
        return {"kind": "bpe", "definition": json.loads(self._definition)}


def learn_bpe(texts: Iterable[bytes], vocabulary: int) -> BpeTokenizer:
    """Learn a tokenizer of exactly that many tokens. The same texts give the same tokenizer.

    Raises CorpusError when the texts have too few different pairs for it.
    """
    parts = _tokenizers()
    tokenizer = parts.Tokenizer(parts.models.BPE())
    tokenizer.pre_tokenizer = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = parts.decoders.ByteLevel()
    trainer = parts.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(parts.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text.decode() for text in _beginning(texts)), trainer)
    if tokenizer.get_vocab_size() < vocabulary:
        raise CorpusError(
            "the vocabulary is larger than the text can give",
            expected=f"{vocabulary} tokens",
            got=f"{tokenizer.get_vocab_size()} tokens, then no pair of tokens was left to merge",
            cure=f"set corpus.vocabulary to at most {tokenizer.get_vocab_size()}, or give more text",
        )
    return BpeTokenizer(json.dumps(json.loads(tokenizer.to_str()), sort_keys=True, ensure_ascii=True))


def tokenizer_from_json(values: dict[str, Any]) -> Tokenizer:
    """The inverse of `to_json`."""
    if values["kind"] == "bpe":
        return BpeTokenizer(json.dumps(values["definition"], sort_keys=True, ensure_ascii=True))
    return ByteTokenizer() if values["kind"] == "byte" else SymbolTokenizer(values["vocabulary"])


def _beginning(texts: Iterable[bytes]) -> Iterator[bytes]:
    read = 0
    for text in texts:
        yield text
        read += len(text)
        if read >= LEARNING_BYTES:
            return


def _tokenizers() -> Any:
    try:
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, trainers  # noqa: F401
    except ImportError:
        raise MissingExtraError("tokenizers", "train", "a bpe tokenizer") from None
    return tokenizers
