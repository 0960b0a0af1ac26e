"""What a tokenizer has learned, and how it cuts text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer

SHOWN_PIECES = 1000
"""Pieces of a text that are listed, at most."""


def describe_tokenizer(tokenizer: Tokenizer, texts: Iterable[bytes] | str = (), first: int = 20) -> dict[str, Any]:
    """What a tokenizer has learned, and how it cuts texts (a string is one text).

    `merges` in the order in which they were learned (bpe), `scores` (log-probabilities, nats) from the best (unigram),
    `longest` tokens: `first` of each. `text` has bytes per token, fertility (tokens per word, a word being what blanks
    separate), the share of unknown tokens and of texts that come back unchanged; `pieces` the text with ids. Without
    texts, `text` is None.

    >>> from foretoken.data.learning import learn
    >>> found = describe_tokenizer(learn("plain", [b"aaabdaaabac"], 7), "aaabdaaabac")
    >>> [merge["token"] for merge in found["merges"]], " ".join(piece["token"] for piece in found["pieces"])
    (['aa', 'ab', 'aaab'], 'aaab d aaab a c')
    """
    given = [texts.encode()] if isinstance(texts, str) else list(texts)
    return {
        "name": tokenizer.name,
        "vocabulary": tokenizer.vocabulary,
        "separator": tokenizer.separator,
        "specials": dict(tokenizer.specials),
        "merges": _merges(tokenizer, first),
        "scores": _scores(tokenizer, first),
        "longest": _longest(tokenizer, first),
        "text": _measures(tokenizer, given) if given and not isinstance(tokenizer, SymbolTokenizer) else None,
        "pieces": pieces(tokenizer, given[0]) if isinstance(texts, str) else [],
    }


def pieces(tokenizer: Tokenizer, text: bytes) -> list[dict[str, Any]]:
    """The tokens of a text, with their ids."""
    (tokens,) = tokenizer.encode([text])
    return [{"token": spelled(tokenizer, int(one)), "id": int(one)} for one in tokens[:SHOWN_PIECES]]


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """A token as the tokenizer writes it; a byte tokenizer has no names for its bytes."""
    if isinstance(tokenizer, SubwordTokenizer):
        return str(tokenizer.names.get(token, ""))
    return bytes([token]).decode("ascii", "backslashreplace") if token < 256 else str(token)


def _merges(tokenizer: Tokenizer, first: int) -> list[dict[str, Any]]:
    if not isinstance(tokenizer, SubwordTokenizer):
        return []
    learned = islice(tokenizer.model.get("merges") or [], first)
    # each is a list of two or, as it was until 2024, one string
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in learned]
    prefix = tokenizer.model.get("continuing_subword_prefix") or ""
    found = [(left, right, left + right.removeprefix(prefix)) for left, right in pairs]
    return [{"left": left, "right": right, "token": made, "id": tokenizer.ids.get(made)} for left, right, made in found]


def _scores(tokenizer: Tokenizer, first: int) -> list[dict[str, Any]]:
    if not isinstance(tokenizer, SubwordTokenizer) or tokenizer.model.get("type") != "Unigram":
        return []
    learned = [(score, piece) for piece, score in tokenizer.model["vocab"] if piece not in tokenizer.specials]
    best = sorted(learned, key=lambda one: (-one[0], one[1]))[:first]
    return [{"token": piece, "id": tokenizer.ids[piece], "score": score} for score, piece in best]


def _longest(tokenizer: Tokenizer, first: int) -> list[dict[str, Any]]:
    if not isinstance(tokenizer, SubwordTokenizer):
        return []
    ids = sorted(set(tokenizer.ids.values()) - set(tokenizer.specials.values()))
    # half a character is written as the three bytes of U+FFFD
    texts = (text.replace(b"\xef\xbf\xbd", b"?") for text in tokenizer.decode_each(ids))
    sizes = {number: len(text) for number, text in zip(ids, texts, strict=True)}
    longest = sorted(ids, key=lambda number: (-sizes[number], number))[:first]
    return [{"token": spelled(tokenizer, number), "id": number, "bytes": sizes[number]} for number in longest]


def _measures(tokenizer: Tokenizer, texts: Sequence[bytes]) -> dict[str, Any]:
    encoded = tokenizer.encode(texts)
    tokens, size = sum(map(len, encoded)), sum(map(len, texts))
    words = sum(len(text.split()) for text in texts)
    unknown = (
        0 if tokenizer.unknown is None else sum(int(np.count_nonzero(one == tokenizer.unknown)) for one in encoded)
    )
    same = sum(tokenizer.decode(one) == text for one, text in zip(encoded, texts, strict=True))
    return {
        "texts": len(texts),
        "bytes": size,
        "words": words,
        "tokens": tokens,
        "bytes_per_token": size / tokens if tokens else None,
        "fertility": tokens / words if words else None,
        "unknown_share": unknown / tokens if tokens else None,
        "unchanged_share": same / len(texts),
    }
