"""Whether a tokenised corpus is what was once made: every byte is read and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from foretoken.data.tokenized import MANIFEST
from foretoken.errors import StoreError
from foretoken.store.atomic import read_checksummed_json


def damaged_files(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """File, expected and found sha256 of each that is not as its manifest says; `none` for one that is missing.

    Raises StoreError when the manifest itself cannot be trusted.
    """
    manifest = read_checksummed_json(folder / MANIFEST)
    marks = {f"{split}.bin": counts["sha256"] for split, counts in manifest["splits"].items()}
    for name, expected in {**marks, "tokenizer.json": manifest["tokenizer_sha256"]}.items():
        found = _sha256(folder / name)
        if found != expected:
            yield folder / name, expected, found


def check_corpus(folder: Path) -> None:
    """Raise StoreError, with both hashes, when a corpus is not what was once made."""
    for path, expected, found in damaged_files(folder):
        raise StoreError(
            f"{path} is not what was tokenised",
            expected=f"sha256 {expected}",
            got=found,
            cure=f"delete the folder {folder}, then run again: it will be made anew",
        )


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "none"
