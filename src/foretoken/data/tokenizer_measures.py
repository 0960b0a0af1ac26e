"""What a tokenizer has learned, and how it cuts text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from foretoken.arguments import named_arguments
from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.results import Result

SHOWN_PIECES = 1000
"""Pieces of a text that are listed, at most."""


@dataclass(frozen=True)
class Merge:
    """Two neighbours that became one token."""

    left: str
    right: str
    token: str
    id: int | None


@dataclass(frozen=True)
class Piece:
    """A token of a text."""

    token: str
    id: int


@dataclass(frozen=True)
class ScoredPiece(Piece):
    """A token of a unigram tokenizer."""

    score: float
    """Log-probability, in nats."""


@dataclass(frozen=True)
class SizedPiece(Piece):
    """A token and its size."""

    bytes: int


@dataclass(frozen=True)
class TextMeasures:
    """How a tokenizer cuts some texts."""

    texts: int
    bytes: int
    words: int
    """What blanks separate."""
    tokens: int
    bytes_per_token: float | None
    fertility: float | None
    """Tokens per word."""
    unknown_share: float | None
    """Of the tokens."""
    unchanged_share: float
    """Of the texts, those that their tokens decode to."""


@dataclass(frozen=True, kw_only=True)
class TokenizerDescription(Result):
    """What a tokenizer has learned, and how it cuts some texts."""

    name: str
    vocabulary: int
    separator: int | None
    """The token that ends a document."""
    specials: dict[str, int]
    merges: list[Merge]
    """bpe: the first ones, in the order in which they were learned."""
    scores: list[ScoredPiece]
    """unigram: the most probable tokens, the best first."""
    longest: list[SizedPiece]
    """The longest tokens."""
    text: TextMeasures | None
    """None without texts."""
    pieces: list[Piece]
    """The tokens of the text, where one was given."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@named_arguments
def describe_tokenizer(
    tokenizer: Tokenizer, texts: Iterable[bytes] | str = (), first: int = 20
) -> TokenizerDescription:
    """What a tokenizer has learned, and how it cuts texts (a string is one text, whose tokens are listed).

    `first` is how many merges, scores and longest tokens are listed.

    >>> from foretoken.data.learning import learn
    >>> description = describe_tokenizer(learn("plain", [b"aaabdaaabac"], 7), "aaabdaaabac")
    >>> [merge.token for merge in description.merges], " ".join(piece.token for piece in description.pieces)
    (['aa', 'ab', 'aaab'], 'aaab d aaab a c')
    """
    encoded_texts = [texts.encode()] if isinstance(texts, str) else list(texts)
    measurable = bool(encoded_texts) and not isinstance(tokenizer, SymbolTokenizer)
    return TokenizerDescription(
        name=tokenizer.name,
        vocabulary=tokenizer.vocabulary,
        separator=tokenizer.separator,
        specials=dict(tokenizer.specials),
        merges=_merges(tokenizer, first),
        scores=_scores(tokenizer, first),
        longest=_longest(tokenizer, first),
        text=_measures(tokenizer, encoded_texts) if measurable else None,
        pieces=pieces(tokenizer, encoded_texts[0]) if isinstance(texts, str) else [],
    )


def pieces(tokenizer: Tokenizer, text: bytes) -> list[Piece]:
    """The tokens of a text, with their ids."""
    (tokens,) = tokenizer.encode([text])
    return [Piece(spelled(tokenizer, int(token)), int(token)) for token in tokens[:SHOWN_PIECES]]


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """A token as the tokenizer writes it; a byte tokenizer has no names for its bytes."""
    if isinstance(tokenizer, SubwordTokenizer):
        return str(tokenizer.names.get(token, ""))
    return bytes([token]).decode("ascii", "backslashreplace") if token < 256 else str(token)


def _merges(tokenizer: Tokenizer, first: int) -> list[Merge]:
    if not isinstance(tokenizer, SubwordTokenizer):
        return []
    learned = islice(tokenizer.model_json.get("merges") or [], first)
    # Each is a list of two or, as the package wrote it until 2024, one string.
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in learned]
    prefix = tokenizer.model_json.get("continuing_subword_prefix") or ""
    # Inside a word WordPiece's tokens begin with ##, which a merge keeps of its left part only.
    merged = [(left, right, left + right.removeprefix(prefix)) for left, right in pairs]
    return [Merge(left, right, token, tokenizer.ids.get(token)) for left, right, token in merged]


def _scores(tokenizer: Tokenizer, first: int) -> list[ScoredPiece]:
    if not isinstance(tokenizer, SubwordTokenizer) or tokenizer.model_json.get("type") != "Unigram":
        return []
    learned = [(score, piece) for piece, score in tokenizer.model_json["vocab"] if piece not in tokenizer.specials]
    best = sorted(learned, key=lambda scored: (-scored[0], scored[1]))[:first]
    return [ScoredPiece(piece, tokenizer.ids[piece], score) for score, piece in best]


def _longest(tokenizer: Tokenizer, first: int) -> list[SizedPiece]:
    if not isinstance(tokenizer, SubwordTokenizer):
        return []
    ids = sorted(set(tokenizer.ids.values()) - set(tokenizer.specials.values()))
    # Half a character decodes to the three bytes of U+FFFD, but is one byte or two.
    texts = (text.replace(b"\xef\xbf\xbd", b"?") for text in tokenizer.decode_each(ids))
    sizes = {token: len(text) for token, text in zip(ids, texts, strict=True)}
    longest = sorted(ids, key=lambda token: (-sizes[token], token))[:first]
    return [SizedPiece(spelled(tokenizer, token), token, sizes[token]) for token in longest]


def _measures(tokenizer: Tokenizer, texts: Sequence[bytes]) -> TextMeasures:
    encoded = tokenizer.encode(texts)
    tokens, size = sum(map(len, encoded)), sum(map(len, texts))
    words = sum(len(text.split()) for text in texts)
    unknown = 0
    if tokenizer.unknown is not None:
        unknown = sum(int(np.count_nonzero(text_tokens == tokenizer.unknown)) for text_tokens in encoded)
    unchanged = sum(tokenizer.decode(text_tokens) == text for text_tokens, text in zip(encoded, texts, strict=True))
    return TextMeasures(
        texts=len(texts),
        bytes=size,
        words=words,
        tokens=tokens,
        bytes_per_token=size / tokens if tokens else None,
        fertility=tokens / words if words else None,
        unknown_share=unknown / tokens if tokens else None,
        unchanged_share=unchanged / len(texts),
    )
