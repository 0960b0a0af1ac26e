"""A tokenised corpus on disk: all that training needs of it, without its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import StoreError
from foretoken.store.atomic import read_checksummed_json

MANIFEST = "manifest.json"


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
    """Bytes of text behind the validation tokens. None for a synthetic language, which has no bytes, and for a
    tokenizer that loses some of them: bits per byte would be too good."""
    entropy_rate: float | None
    """Nats per token that no model can go below; None where nobody knows."""
    sources_sha256: str
    """Hash of the names, sizes and hashes of the sources; the list itself is in manifest.json."""
    validation_sha256: str
    separator: int | None = None
    """The token that ends a document, if there is one."""
    specials: Mapping[str, int] = field(default_factory=dict)
    """Special tokens that the tokenizer itself has, by the names that it gives them."""
    closed: bool = False
    """Whether no tokens may be added to the tokenizer: it is a user's own."""

    @property
    def eval_set(self) -> str:
        """Name and content address of the validation tokens."""
        return f"validation-{self.validation_sha256[:12]}"

    @property
    def bytes_per_token(self) -> float | None:
        """Bytes of text per validation token: nats per token / (this x log 2) are bits per byte."""
        return None if self.validation_bytes is None else self.validation_bytes / self.validation_tokens

    def summary(self) -> dict[str, Any]:
        """What a study keeps of its corpus: address, counts and hash."""
        splits = read_checksummed_json(self.folder / MANIFEST)["splits"].values()
        return {
            "address": self.address,
            "tokenizer": self.tokenizer,
            "vocabulary": self.vocabulary,
            "tokens": self.train_tokens + self.validation_tokens,
            "train_tokens": self.train_tokens,
            "validation_tokens": self.validation_tokens,
            "bytes": None if self.validation_bytes is None else sum(split["bytes"] for split in splits),
            "sha256": self.sources_sha256,
            "entropy_rate": self.entropy_rate,
        }

    def tokens(self, split: str) -> NDArray[Any]:
        """The tokens of `train` or `validation`, memory-mapped."""
        return _mapped(self.folder / f"{split}.bin", token_dtype(self.vocabulary))


def open_corpus(folder: Path) -> TokenizedCorpus:
    """The tokenised corpus in `<folder>/<address>`; its sources are not needed any more.

    Raises StoreError when it is missing or damaged.
    """
    manifest = read_checksummed_json(folder / MANIFEST)
    splits = manifest["splits"]
    width = np.dtype(token_dtype(manifest["vocabulary"])).itemsize
    for split, counts in splits.items():
        path, expected = folder / f"{split}.bin", counts["tokens"] * width
        got = path.stat().st_size if path.is_file() else 0
        if got != expected:
            cure = f"delete {folder}, then run again"
            raise StoreError(f"{path} is damaged", expected=f"{expected} bytes", got=f"{got} bytes", cure=cure)
    return TokenizedCorpus(
        folder=folder,
        address=folder.name,
        tokenizer=manifest["tokenizer"],
        vocabulary=manifest["vocabulary"],
        train_tokens=splits["train"]["tokens"],
        validation_tokens=splits["validation"]["tokens"],
        validation_bytes=splits["validation"]["bytes"],
        entropy_rate=manifest["entropy_rate"],
        sources_sha256=manifest["sources_sha256"],
        validation_sha256=splits["validation"]["sha256"],
        separator=manifest.get("separator", None if manifest["tokenizer"].startswith("symbols") else 0),
        specials=manifest.get("specials", {}),
        closed=manifest.get("closed", False),
    )


def token_dtype(vocabulary: int) -> str:
    """The narrowest unsigned integer (little-endian) that holds the tokens of a vocabulary."""
    return "u1" if vocabulary <= 2**8 else "<u2" if vocabulary <= 2**16 else "<u4"


@lru_cache(maxsize=16)
def _mapped(path: Path, dtype: str) -> NDArray[Any]:
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
