"""The files that an own trainer's runs depend on: their hash, and whether it has changed since the study was run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from foretoken.bounded import sha256_of
from foretoken.designs import Design
from foretoken.errors import StudyFileError
from foretoken.runs.study_file import Study


def code_digest(home: Path, patterns: Sequence[str]) -> str:
    """A hash of the names and contents of the files that patterns name, below a folder; empty without patterns.

    Raises StudyFileError for a pattern that names nothing, or leads out of the folder.
    """
    if not patterns:
        return ""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in _files(home, pattern)}):
        digest.update(f"{path.relative_to(home).as_posix()}\0{sha256_of(path, StudyFileError)}\0".encode())
    return digest.hexdigest()[:16]


def _files(home: Path, pattern: str) -> Iterator[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern.strip("/."):
        raise StudyFileError(f"trainer.code: {pattern!r}", expected="a path below the study file's folder")
    found = sorted(home.glob(pattern.rstrip("/")))
    if not found:
        raise StudyFileError(
            f"trainer.code names what is not there: {pattern!r}",
            expected=f"files or folders below {home}",
            cure="the paths are relative to the study file",
        )
    for path in found:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in below if file.is_file() and "__pycache__" not in file.parts)


def code_changes(study: Study, planned: Design, recorded: int) -> list[str]:
    """A sentence where the code is another than that of the planned runs, of which so many have a record."""
    theirs = planned.target.trainer
    if study.trainer is None or theirs is None:
        return []
    try:
        mine = code_digest(study.home, study.trainer.code)
    except StudyFileError as error:
        return [error.message]
    if mine == theirs.code:
        return []
    return [
        f"the files of trainer.code have changed since the study was run: `foretoken run` trains new runs with other"
        f" keys, and the {recorded} that have a record stay in the folder and do not count among them"
    ]
