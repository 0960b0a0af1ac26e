"""The file `seals`: the sha256 of files that never change, beside them. One that was edited, its checksum too, shows.

A file's own checksum says that it is whole, and not that it is the one that was written. A seal is set after its file
and goes before it, so no death in between leaves a seal on another file: at worst a file without one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.bounded import sha256_of as sha256_of_file
from foretoken.errors import StoreError
from foretoken.store.atomic import write_file
from foretoken.store.finished import SEALS, VOUCHED, read_mark, unmark
from foretoken.store.format import format_json, read_format_json

OF_A_RUN = re.compile(r"runs/[^/]+/(record\.json|scores/[^/]+)")
"""What is written once for each run: its record and its scores."""
EDITED = "edited"
"""Code of the error for a file that is whole and not the one that was sealed."""


def read_seals(folder: Path) -> dict[str, str]:
    """sha256 by path; empty before anything is sealed. Raises StoreError when the file is damaged."""
    path = folder / SEALS
    if not path.is_file():
        return {}
    values = read_format_json(path)
    files = values.get("files")
    if (
        set(values) != {"files"}
        or not isinstance(files, dict)
        or not all(isinstance(mark, str) for mark in files.values())
    ):
        raise StoreError(f"{path} holds no seals", cure="restore it")
    return files


def write_seals(folder: Path, seals: Mapping[str, str]) -> None:
    """Write the seals of a folder, where they differ from those that are there."""
    path, content = folder / SEALS, format_json({"files": dict(seals)})
    none = format_json({"files": {}})
    there = read_file(path, StoreError, LARGEST_JSON, inside=True) if path.is_file() else none
    if there != content:
        write_file(path, content)


def sha256_of(path: Path) -> str:
    """Of the bytes of a file."""
    return sha256_of_file(path, StoreError)


def sealed(folder: Path) -> dict[str, str]:
    """What vouches for the records of a study: its seals, and the mark of its end; sha256 by path.

    Where the two contradict each other the sha256 is empty, and so no file's.
    """
    try:
        seals = read_seals(folder)
    except StoreError:
        seals = {}
    mark = read_mark(folder)
    marked = {name: hash_ for name, hash_ in (mark.files if mark else {}).items() if OF_A_RUN.fullmatch(name)}
    both = {name: hash_ for name, hash_ in {**seals, **marked}.items() if VOUCHED.fullmatch(name)}
    return {name: hash_ if seals.get(name, hash_) == hash_ else "" for name, hash_ in both.items()}


def check_fit(path: Path) -> None:
    """Raise StoreError, with the code `edited`, for a fit that the seals beside it contradict."""
    try:
        real = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError for a link that leads back to itself
        seal = read_seals(real.parent).get(real.name)
    except StoreError:  # another's file of this name, or damaged seals, which say nothing of the fit
        return
    check_seal(path, seal, "let foretoken run make the fit anew, or fit the table: foretoken fit TABLE -o FIT")


def check_seal(path: Path, seal: str | None, cure: str = "") -> None:
    """Raise StoreError, with the code `edited`, when a file is not the one that was sealed."""
    if seal is not None and sha256_of(path) != seal:
        raise StoreError(
            f"{path} is not the file that was written here: it was edited and sealed anew",
            expected=f"sha256 {seal}" if seal else "one sha256 in the study's seals and in its mark",
            got=f"sha256 {sha256_of(path)}",
            cure=cure or "restore it; or let foretoken run set it aside and train the run again",
            code=EDITED,
        )


def unseal(folder: Path, names: Iterable[str]) -> None:
    """Take the seals off files, and the mark that vouches for them, before they are changed or set aside."""
    gone, mark = set(names), read_mark(folder)
    try:
        seals = read_seals(folder)
    except StoreError:  # it is set aside itself
        seals = {}
    if gone & set(seals):
        write_seals(folder, {name: hash_ for name, hash_ in seals.items() if name not in gone})
    if mark and gone & set(mark.files):
        unmark(folder)
