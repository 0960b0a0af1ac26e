"""A tokenised corpus on disk: all that training needs of it, without its sources; and whether it is undamaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.bounded import sha256_of
from foretoken.data.tokenizer import TOKENIZER
from foretoken.errors import StoreError
from foretoken.store.atomic import read_checksummed_json

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What was written for one split."""

    documents: int
    bytes: int | None
    """Bytes of text; None where they are not known or would mislead (`TokenizedCorpus.validation_bytes`)."""
    tokens: int
    lost_documents: int | None = None
    """Documents that do not come back from their tokens; None where nothing can be lost or nobody compared."""
    unknown_tokens: int | None = None
    sha256: str
    """Of the file of tokens."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was not counted is left out."""
        counted = asdict(self)
        return {name: value for name, value in counted.items() if value is not None or name == "bytes"}


@dataclass(frozen=True, kw_only=True)
class MadeText:
    """What was written of one task made by code, in one split."""

    task: str
    split: str
    documents: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What manifest.json says of a tokenised corpus."""

    tokenizer: str
    tokenizer_sha256: str
    vocabulary: int
    separator: int | None
    specials: dict[str, int]
    fixed_vocabulary: bool
    entropy_rate: float | None
    splits: dict[str, SplitCounts]
    settings_json: dict[str, Any]
    """All that the tokens depend on beside the content of the sources."""
    sources_json: list[dict[str, Any]]
    """Name, bytes and sha256 of each file; of a synthetic language its settings."""
    sources_sha256: str
    made: tuple[MadeText, ...] = ()
    """Of each task in the text."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values_json = {
            "tokenizer": self.tokenizer,
            "tokenizer_sha256": self.tokenizer_sha256,
            "vocabulary": self.vocabulary,
            "separator": self.separator,
            "specials": self.specials,
            "closed": self.fixed_vocabulary,
            "entropy_rate": self.entropy_rate,
            "splits": {split: counts.to_json() for split, counts in self.splits.items()},
            "settings": self.settings_json,
            "sources": self.sources_json,
            "sources_sha256": self.sources_sha256,
        }
        return values_json | ({"tasks": [asdict(one) for one in self.made]} if self.made else {})

    @classmethod
    def from_json(cls, values_json: dict[str, Any]) -> Manifest:
        """The inverse of `to_json`. Raises KeyError, TypeError or AttributeError for another object."""
        values = dict(values_json)
        return cls(
            fixed_vocabulary=values.pop("closed"),
            splits={split: SplitCounts(**counts) for split, counts in values.pop("splits").items()},
            settings_json=values.pop("settings"),
            sources_json=values.pop("sources"),
            made=tuple(MadeText(**one) for one in values.pop("tasks", ())),
            **values,
        )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a tokenised corpus. Raises StoreError when it is missing, damaged or of another format."""
    try:
        return Manifest.from_json(read_checksummed_json(folder / MANIFEST))
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{folder / MANIFEST} is not as this version writes it",
            expected="a manifest of a tokenised corpus",
            got=str(error),
            cure=f"delete {folder}, then run again",
        ) from error


@dataclass(frozen=True, kw_only=True)
class CorpusSummary:
    """What a study keeps of its corpus: address, counts and hash."""

    address: str
    tokenizer: str
    vocabulary: int
    tokens: int
    train_tokens: int
    validation_tokens: int
    bytes: int | None
    sha256: str
    """Of the names, sizes and hashes of the sources."""
    entropy_rate: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TokenizedCorpus:
    """A corpus as tokens on disk."""

    folder: Path
    address: str
    """Hash of the sources and of all settings that the tokens depend on."""
    tokenizer: str
    vocabulary: int
    """Number of tokens; each is below it."""
    train_tokens: int
    validation_tokens: int
    validation_bytes: int | None
    """Bytes of text that the validation tokens stand for. None for a synthetic language, which has no bytes, and for a
    tokenizer that loses some of them: bits per byte would be too good."""
    entropy_rate: float | None
    """Nats per token that no model can go below; None where it is not known."""
    sources_sha256: str
    """Hash of the names, sizes and hashes of the sources; the list itself is in manifest.json."""
    validation_sha256: str
    separator: int | None = None
    """The token that ends a document, if there is one."""
    specials: Mapping[str, int] = field(default_factory=dict)
    """Special tokens that the tokenizer itself has, by the names that it gives them."""
    fixed_vocabulary: bool = False
    """Whether no tokens may be added to the tokenizer: it is a user's own."""

    @property
    def eval_set(self) -> str:
        """Name and content address of the validation tokens."""
        return f"validation-{self.validation_sha256[:12]}"

    @property
    def bytes_per_token(self) -> float | None:
        """Bytes of text per validation token: nats per token / (this x log 2) are bits per byte."""
        return None if self.validation_bytes is None else self.validation_bytes / self.validation_tokens

    def summary(self) -> CorpusSummary:
        """What a study keeps of its corpus."""
        sizes = [counts.bytes for counts in read_manifest(self.folder).splits.values()]
        known = [size for size in sizes if size is not None]
        return CorpusSummary(
            address=self.address,
            tokenizer=self.tokenizer,
            vocabulary=self.vocabulary,
            tokens=self.train_tokens + self.validation_tokens,
            train_tokens=self.train_tokens,
            validation_tokens=self.validation_tokens,
            bytes=sum(known) if len(known) == len(sizes) else None,
            sha256=self.sources_sha256,
            entropy_rate=self.entropy_rate,
        )

    def tokens(self, split: str) -> NDArray[Any]:
        """The tokens of `train` or `validation`, memory-mapped."""
        return _mapped(self.folder / f"{split}.bin", token_dtype(self.vocabulary))


def open_corpus(folder: Path) -> TokenizedCorpus:
    """The tokenised corpus in `<folder>/<address>`; its sources are not needed any more.

    Raises StoreError when it is missing or damaged. Only sizes are compared; `check_corpus` reads every byte.
    """
    manifest = read_manifest(folder)
    width = np.dtype(token_dtype(manifest.vocabulary)).itemsize
    for split, counts in manifest.splits.items():
        path, expected = folder / f"{split}.bin", counts.tokens * width
        got = path.stat().st_size if path.is_file() else 0
        if got != expected:
            cure = f"delete {folder}, then run again"
            raise StoreError(f"{path} is damaged", expected=f"{expected} bytes", got=f"{got} bytes", cure=cure)
    train, validation = manifest.splits["train"], manifest.splits["validation"]
    return TokenizedCorpus(
        folder=folder,
        address=folder.name,
        tokenizer=manifest.tokenizer,
        vocabulary=manifest.vocabulary,
        train_tokens=train.tokens,
        validation_tokens=validation.tokens,
        validation_bytes=validation.bytes,
        entropy_rate=manifest.entropy_rate,
        sources_sha256=manifest.sources_sha256,
        validation_sha256=validation.sha256,
        separator=manifest.separator,
        specials=manifest.specials,
        fixed_vocabulary=manifest.fixed_vocabulary,
    )


def damaged_files(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """File, expected sha256 and actual one of each that is not as its manifest says; `none` for one that is missing.

    Every byte is read. Raises StoreError when the manifest itself cannot be trusted.
    """
    manifest = read_manifest(folder)
    hashes = {f"{split}.bin": counts.sha256 for split, counts in manifest.splits.items()}
    for name, expected in {**hashes, TOKENIZER: manifest.tokenizer_sha256}.items():
        actual = _file_sha256(folder / name)
        if actual != expected:
            yield folder / name, expected, actual


def check_corpus(folder: Path) -> None:
    """Raise StoreError, with both hashes, when a corpus is not what was once made."""
    for path, expected, actual in damaged_files(folder):
        raise StoreError(
            f"{path} is not what was tokenised",
            expected=f"sha256 {expected}",
            got=actual,
            cure=f"delete the folder {folder}, then run again: it will be made anew",
        )


def _file_sha256(path: Path) -> str:
    with suppress(StoreError):
        return sha256_of(path, StoreError)
    return "none"


def token_dtype(vocabulary: int) -> str:
    """The narrowest unsigned integer (little-endian) that holds the tokens of a vocabulary."""
    return "u1" if vocabulary <= 2**8 else "<u2" if vocabulary <= 2**16 else "<u4"


@lru_cache(maxsize=16)
def _mapped(path: Path, dtype: str) -> NDArray[Any]:
    # Cached, so that a step does not map the file anew; a corpus is never changed in place, so no entry goes stale.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
