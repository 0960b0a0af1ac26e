"""Tokenizers: text of a document -> numbers.

`byte`     256 tokens: the bytes. Byte 0 cannot occur in text, so it separates documents.
`symbols`  the numbers of a synthetic language, as they are, without a separator.
`bpe`, `wordpiece`, `unigram`, `plain`   learned (learning.py)
`file`     from a user's file (subword.py)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretoken.data.learning import byte_definition_json
from foretoken.data.subword import SubwordTokenizer, canonical
from foretoken.store.atomic import json_bytes, write_output

Tokens = NDArray[Any]
TOKENIZER = "tokenizer.json"
"""The tokenizer's file in the folder of a model or of a tokenised corpus."""


class Tokenizer(Protocol):
    """Text to tokens and back."""

    @property
    def name(self) -> str:
        """Names the tokenizer and, where it was learned, its content."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens; each is below it."""

    @property
    def separator(self) -> int | None:
        """The token that ends a document, or None."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Its special tokens, by the names that it gives them."""

    @property
    def unknown(self) -> int | None:
        """The token of what it has no token for, if it has one."""

    @property
    def fixed_vocabulary(self) -> bool:
        """Whether no tokens may be added to it."""

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""


SYMBOLS = "symbols"
"""Kind of the tokenizer of a synthetic language."""


@dataclass(frozen=True)
class ByteTokenizer:
    """The bytes themselves."""

    name: str = "byte"
    vocabulary: int = 256
    separator: int | None = 0
    specials: Mapping[str, int] = field(default_factory=dict)
    unknown: int | None = None
    fixed_vocabulary: bool = False

    def encode(self, texts: Sequence[bytes]) -> list[Tokens]:
        """The tokens of each text, without separators."""
        return [np.frombuffer(text, np.uint8) for text in texts]

    def decode(self, tokens: Tokens) -> bytes:
        """The inverse of `encode` for one text."""
        return tokens.astype(np.uint8).tobytes()

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""
        return {"kind": "byte"}

    def save(self, path: str | Path) -> None:
        """Write it as a file of the package `tokenizers`: byte-pair encoding without any merges.

        Raises StoreError when it cannot be written.
        """
        write_output(Path(path), json_bytes(byte_definition_json()))


@dataclass(frozen=True)
class SymbolTokenizer:
    """The symbols of a synthetic language, which a document holds as little-endian 16-bit numbers."""

    vocabulary: int
    separator: int | None = None
    specials: Mapping[str, int] = field(default_factory=dict)
    unknown: int | None = None
    fixed_vocabulary: bool = False

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
        return {"kind": SYMBOLS, "vocabulary": self.vocabulary}


def tokenizer_from_json(values: dict[str, Any]) -> Tokenizer:
    """The inverse of `to_json`. Raises KeyError or CorpusError for values of something else."""
    if values["kind"] == ByteTokenizer.name:
        return ByteTokenizer()
    if values["kind"] == SYMBOLS:
        return SymbolTokenizer(values["vocabulary"])
    return SubwordTokenizer(values["kind"], canonical(values["definition"]), values.get("separator"))
