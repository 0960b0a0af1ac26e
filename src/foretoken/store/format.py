"""The format of a study's folder: named in its files, checked wherever one is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretoken.errors import StoreError
from foretoken.store import atomic

FORMAT = "foretoken study 2"
"""Of the files and their layout. It changes when a version could not go on with the study of the one before."""
OLD_FORMAT = "old_format"
"""Code of the error for a folder of another format."""


def format_json(values_json: Mapping[str, Any]) -> bytes:
    """The content of one of the study's files: plain values, the format's name and a checksum."""
    return atomic.checksummed_json({"format": FORMAT, **values_json})


def read_format_json(path: Path) -> dict[str, Any]:
    """The plain values of one of the study's files, its format checked and taken off.

    Raises StoreError when it is damaged, and with the code `old_format` when it is of another format.
    """
    values = atomic.read_checksummed_json(path)
    # After the checksum: an edited format is damage, and not another format.
    found = values.pop("format", None)
    if found != FORMAT:
        raise StoreError(
            f"{path} is of another format of foretoken's study folders",
            expected=FORMAT,
            got="no format" if found is None else f"format {found}",
            cure="run the study anew in another folder (--folder), or go on with the version that wrote this one",
            code=OLD_FORMAT,
        )
    return values
