"""Tokenizers of the package `tokenizers`: learned here, or read from a user's file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.bounded import LARGEST_JSON, limit, parse_json, read_file, to_raise, too_large
from foretoken.errors import CorpusError, legible, needing, shown
from foretoken.store import atomic

END_OF_TEXT, PAD, UNK, CLS, SEP, MASK = "<|endoftext|>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SEPARATORS = {"bpe": END_OF_TEXT, "wordpiece": SEP, "unigram": SEP}
"""The token that ends a document, by kind; characters (`plain`) have none."""
LARGEST_VOCABULARY = 1_000_000
MOST_GROWTH, MOST_PARTS = 100, 100
"""How many times longer a tokenizer of a user's may make a text, and in how many parts it may work on it."""
LONGEST_TEMPLATE, LONGEST_TEXT = 2**20, 2**28
"""Characters of what describes the special tokens around a text, and of a text that is made of tokens."""
FILE = "file"
"""Kind of a tokenizer that a user brings in a file."""


class SubwordTokenizer:
    """Pieces of words. What is learned here is of bytes, so any text goes in and the same text comes out."""

    def __init__(self, kind: str, definition: str, separator: str | None = None) -> None:
        """`definition` is the JSON text of the package `tokenizers`; `separator` ends a document, by its name.

        Raises CorpusError when the package cannot read it.
        """
        self.kind, self.definition = kind, definition
        if kind == FILE:
            _require_bounded(json.loads(definition))
        package = the_package()
        with refusing("the tokenizer cannot be read"):
            self._tokenizer = package.Tokenizer.from_str(definition)
            # A file may ask for both; a corpus must be neither cut nor filled up.
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._tokenizer.encode_special_tokens = True  # the name of a special token in a text is text
            self.ids: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
            added = self._tokenizer.get_added_tokens_decoder()
        self.vocabulary = max(self.ids.values(), default=-1) + 1
        self.specials = {token.content: number for number, token in sorted(added.items()) if token.special}
        self.end_documents_with(separator or SEPARATORS.get(kind))
        self.fixed_vocabulary = kind == FILE
        self.name = f"{kind}-{self.vocabulary}-{hashlib.sha256(definition.encode()).hexdigest()[:12]}"

    def end_documents_with(self, separator: str | None) -> None:
        """Name the token that ends a document."""
        self._separator = separator
        self.separator: int | None = None if separator is None else self.ids.get(separator)

    @cached_property
    def model_json(self) -> Mapping[str, Any]:
        """What was learned: `vocab`, and `merges` where there are some."""
        model: dict[str, Any] = json.loads(self.definition)["model"]
        return model

    @cached_property
    def names(self) -> dict[int, str]:
        """Each token as the tokenizer writes it."""
        return {number: name for name, number in self.ids.items()}

    @cached_property
    def unknown(self) -> int | None:
        """The token of what the tokenizer has no token for."""
        model = self.model_json
        return self.ids.get(model["unk_token"]) if model.get("unk_token") else model.get("unk_id")

    def encode(self, texts: Sequence[bytes]) -> list[NDArray[Any]]:
        """The tokens of each text, without separators."""
        with refusing(f"the tokenizer {self.name} cannot encode this text"):
            encoded = self._tokenizer.encode_batch_fast([text.decode() for text in texts], add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encoded]

    @cached_property
    def _lengths(self) -> NDArray[Any]:
        """Characters of each token."""
        lengths = np.zeros(self.vocabulary, np.int64)
        lengths[list(self.ids.values())] = list(map(len, self.ids))
        return lengths

    def decode(self, tokens: NDArray[Any]) -> bytes:
        """The inverse of `encode` for one text. Raises CorpusError for one that is longer than any."""
        known = tokens[tokens < self.vocabulary]
        if int(self._lengths[known].sum()) > limit(LONGEST_TEXT):
            raise too_large(f"the text of {len(tokens)} tokens", LONGEST_TEXT, "characters", CorpusError)
        with refusing(f"the tokenizer {self.name} cannot decode"):
            return str(self._tokenizer.decode(tokens.tolist(), skip_special_tokens=False)).encode()

    def decode_each(self, tokens: Sequence[int]) -> list[bytes]:
        """The text of each token, as if it stood alone."""
        with refusing(f"the tokenizer {self.name} cannot decode"):
            alone = self._tokenizer.decode_batch([[token] for token in tokens], skip_special_tokens=False)
        return [str(text).encode() for text in alone]

    def to_json(self) -> dict[str, Any]:
        """Plain values from which `tokenizer_from_json` makes it again."""
        separator = {"separator": self._separator} if self.fixed_vocabulary else {}
        return {"kind": self.kind, "definition": json.loads(self.definition), **separator}

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as a file of the package `tokenizers`, which transformers reads too.

        Raises StoreError when it cannot be written.
        """
        atomic.write_output(Path(path), atomic.json_bytes(json.loads(self.definition)))


KNOWN_SEPARATORS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", SEP)
"""Names of the token that ends a document, as GPT-2, Llama 3, T5 and Llama, Gemma, and BERT spell it."""


def read_tokenizer(path: str | Path, separator: str | None = None) -> SubwordTokenizer:
    """A tokenizer from a user's file, as the package `tokenizers` writes it (tokenizer.json); nothing is added to it.

    `separator` names the token that ends a document; it is needed where the file does not have exactly one of
    `KNOWN_SEPARATORS`. Dropout of merges is left out, so that the same text gives the same tokens.
    Raises CorpusError when the file is missing, is no such file, has too many tokens, or the separator is in doubt.
    """
    tokenizer = foreign_tokenizer(read_tokenizer_json(path), str(path))
    tokenizer.end_documents_with(_found_separator(tokenizer, separator))
    return tokenizer


def tokenizer_bytes(path: str | Path) -> bytes:
    """The content of a tokenizer's file. Raises CorpusError when it cannot be read."""
    path = Path(os.path.expanduser(path))
    if not os.path.lexists(path) and "\0" not in str(path):
        cure = "name a tokenizer.json of the package `tokenizers`, as transformers keeps it beside a model"
        raise CorpusError("the tokenizer is missing", expected="a file", got=str(path), cure=cure)
    return read_file(path, CorpusError, LARGEST_JSON)


def read_tokenizer_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a tokenizer's file. Raises CorpusError."""
    try:
        values = parse_json(tokenizer_bytes(path))
    except ValueError as error:
        raise CorpusError(f"{path} is no tokenizer", expected="JSON", got=str(error), cure=CURE) from None
    if not isinstance(values, dict):
        raise CorpusError(f"{path} is no tokenizer", expected="a JSON object", got=shown(values), cure=CURE)
    return values


CURE = "give a file that the package `tokenizers` wrote (Tokenizer.save), not the vocabulary or the merges alone"


def foreign_tokenizer(definition_json: dict[str, Any], where: str) -> SubwordTokenizer:
    """A tokenizer of somebody else, without a separator yet."""
    model = definition_json.get("model")
    if not isinstance(model, dict):
        got = f"the keys {', '.join(legible(key, 40) for key in list(definition_json)[:10])}"
        raise CorpusError(f"{where} is no tokenizer", expected="a JSON object with `model`", got=got, cure=CURE)
    # Dropout of merges (Provilkov et al. 2020) would cut the same text differently each time.
    changes = {"model": model | {"dropout": None}} if "dropout" in model else {}
    tokenizer = SubwordTokenizer(FILE, canonical(definition_json | changes))
    if not 2 <= tokenizer.vocabulary <= LARGEST_VOCABULARY:
        expected, got = f"2 to {LARGEST_VOCABULARY} tokens", f"{tokenizer.vocabulary} (one above the largest id)"
        raise CorpusError(f"{where} cannot be used", expected=expected, got=got, cure="give another tokenizer")
    return tokenizer


def _found_separator(tokenizer: SubwordTokenizer, named: str | None) -> str:
    """The token that ends a document: the one that is named, or the only one that is known to."""
    candidates = [name for name in KNOWN_SEPARATORS if name in tokenizer.ids] if named is None else [named]
    if len(candidates) == 1 and candidates[0] in tokenizer.ids:
        return candidates[0]
    some = ", ".join(legible(name, 40) for name in [*tokenizer.specials, *tokenizer.ids][:20])
    raise CorpusError(
        "which token ends a document?" if named is None else "the tokenizer has no such separator",
        expected=f"one of its tokens: {some}",
        got=f"{', '.join(candidates)}" if candidates else f"none of {', '.join(KNOWN_SEPARATORS)}",
        cure='set corpus.separator = "..." to the token that ends a document',
    )


def canonical(values: object) -> str:
    """The same text for the same tokenizer."""
    return json.dumps(values, sort_keys=True, ensure_ascii=True)


def _require_bounded(definition_json: Mapping[str, Any]) -> None:
    """Raise CorpusError for a tokenizer that may turn a text into one of any length."""
    for name, inner in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers"), ("decoder", "decoders")):
        parts = list(_parts(definition_json.get(name), inner))
        growth = math.prod(map(_growth, parts))
        if growth > limit(MOST_GROWTH) or len(parts) > MOST_PARTS:
            got = f"{growth:.3g} times in {len(parts)} parts"
            expected = f"at most {limit(MOST_GROWTH)} times longer, in at most {MOST_PARTS} parts"
            cure = to_raise(MOST_GROWTH, growth)
            raise CorpusError(f"the {name} of the tokenizer multiplies texts", expected=expected, got=got, cure=cure)
    post = definition_json.get("post_processor")
    if isinstance(post, dict) and len(json.dumps(post)) > LONGEST_TEMPLATE:
        raise too_large("the post_processor of the tokenizer", LONGEST_TEMPLATE, "characters", CorpusError)


def _parts(part: object, inner: str) -> Iterator[Mapping[str, Any]]:
    """The parts of a sequence, of sequences in it, too; of anything else that alone."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and isinstance(part.get(inner), list):
            waiting += part[inner]
        elif isinstance(part, dict):
            yield part


def _growth(part: Mapping[str, Any]) -> float:
    """How many times longer one part can make a text, in bytes."""
    pattern = part.get("pattern")
    if "content" in part and isinstance(pattern, dict):
        # An expression may match between any two characters, and a text where it is.
        matched = len(str(pattern["String"]).encode()) if "String" in pattern else 0
        new = len(str(part["content"]).encode("utf-8", "replace"))
        return max(1.0, new / matched) if matched else 1.0 + new
    if "precompiled_charsmap" in part:
        # The longest of a real one, in 33 bytes, stands for a character of 3.
        return max(1.0, _longest_replacement(str(part["precompiled_charsmap"])) / 3)
    if part.get("type") == "ByteLevel":
        return 2.0
    return 1.0 + len(str(part.get("prepend", ""))) / 100


def _longest_replacement(charsmap: str) -> int:
    """Bytes of the longest text in a map of SentencePiece: the size of its index, the index, texts that end in NUL."""
    try:
        content = base64.b64decode(charsmap)
        start = 4 + int.from_bytes(content[:4], "little")
    except ValueError:  # the package itself refuses it
        return 0
    return max(map(len, content[start:].split(b"\0")), default=0)


@contextmanager
def refusing(message: str) -> Iterator[None]:
    """Turn what the package raises into CorpusError; its panics are not even Exceptions."""
    try:
        yield
    except CorpusError:
        raise
    except BaseException as error:
        # A panic of Rust code arrives as pyo3's PanicException, which cannot be imported by name.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CorpusError(message, got=str(error), cure="give another tokenizer or another text") from None


def the_package() -> Any:
    """The package `tokenizers`. Raises MissingExtraError."""
    with needing("a learned tokenizer"):
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, trainers  # noqa: F401
    return tokenizers
