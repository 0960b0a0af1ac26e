"""Tokenizers of the package `tokenizers`: learned here, or read from a user's file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import CorpusError, legible, needing, shown
from foretoken.store import atomic

END_OF_TEXT, PAD, UNK, CLS, SEP, MASK = "<|endoftext|>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SEPARATORS = {"bpe": END_OF_TEXT, "wordpiece": SEP, "unigram": SEP}
"""The token that ends a document, by kind; characters (`plain`) have none."""
LARGEST_VOCABULARY = 1_000_000
FILE = "file"
"""Kind of a tokenizer that a user brings in a file."""


class SubwordTokenizer:
    """Pieces of words. What is learned here is of bytes, so any text goes in and the same text comes out."""

    def __init__(self, kind: str, definition: str, separator: str | None = None) -> None:
        """`definition` is the JSON text of the package `tokenizers`; `separator` ends a document, by its name.

        Raises CorpusError when the package cannot read it.
        """
        self.kind, self.definition = kind, definition
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

    def decode(self, tokens: NDArray[Any]) -> bytes:
        """The inverse of `encode` for one text."""
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
    try:
        path = Path(path).expanduser()
        if not path.is_file():  # a pipe or a device has no end
            cure = "name a tokenizer.json of the package `tokenizers`, as transformers keeps it beside a model"
            raise CorpusError("the tokenizer is missing", expected="a file", got=str(path), cure=cure)
        if path.stat().st_size > atomic.LARGEST_JSON:
            raise CorpusError(f"{path} is too large", expected=f"at most {atomic.LARGEST_JSON} bytes")
        return path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a name with a NUL; a home that is nobody's
        raise CorpusError(f"cannot read {path}", got=str(error), cure="give another file") from error


def read_tokenizer_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in a tokenizer's file. Raises CorpusError."""
    try:
        values = json.loads(tokenizer_bytes(path))
    except (ValueError, RecursionError) as error:
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
