"""finished.json: the commit mark of a whole study. While it holds, a second run has nothing to do."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from foretoken.bounded import LARGEST_JSON, read_file, sha256_of
from foretoken.errors import RefusedError, StoreError
from foretoken.runs.spec import read_as
from foretoken.store.atomic import delete_file, write_file
from foretoken.store.format import format_json, read_format_json
from foretoken.store.weights import digest

MARK = "finished.json"
SEALS = "seals"
"""Of records and of the ledger, see seals.py; it grows with what is written later, so the mark leaves it out."""
KINDS = ("*.json", "*.begun")
"""Names of the ledger's files."""
VOUCHED = re.compile(
    r"(design|fit|approach3)\.json|report/index\.html|runs/[\w-]+/(record\.json|weights|scores/[\w-]+\.json)|ledger/[\w.+-]+\.(json|begun)"
)
"""Every path that is sealed or marked: what was made up to name another, outside of the study, names nothing."""


@dataclass(frozen=True)
class Refusal:
    """Why a study ended without a forecast."""

    code: str
    evidence: str
    cure: str


@dataclass(frozen=True, kw_only=True)
class FinishedMark:
    """What a study was made from, and every file that it ended in."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    inputs: str = ""
    """sha256 of the inputs."""
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by path; of a folder of weights, of all that is in it."""
    refusal: Refusal | None = None


def read_mark(folder: Path) -> FinishedMark | None:
    """The mark of a study; None when it has not ended, or its mark is damaged."""
    try:
        mark = read_as(FinishedMark, read_format_json(folder / MARK))
    except (StoreError, TypeError):
        return None
    return mark if all(map(VOUCHED.fullmatch, mark.files)) else None


def mark_finished(folder: Path, inputs_json: Mapping[str, Any], refusal: RefusedError | None = None) -> None:
    """Write the mark: a hash of all that the study was made from, and of every file that it ended in."""
    mark = FinishedMark(
        inputs=_digest(inputs_json),
        files=dict(_hashes(folder)),
        refusal=Refusal(str(refusal.code), refusal.evidence, str(refusal.cure)) if refusal else None,
    )
    # Written only where it differs, so that running a finished study again leaves every file as it is.
    content = format_json(asdict(mark))
    path = folder / MARK
    if not (path.is_file() and read_file(path, StoreError, LARGEST_JSON) == content):
        write_file(path, content)


def is_finished(folder: Path, inputs_json: Mapping[str, Any]) -> bool:
    """Whether the study has ended, from these inputs, and none of its files has changed since.

    Raises RefusedError when it ended without a forecast.
    """
    mark = read_mark(folder)
    if mark is None or mark.inputs != _digest(inputs_json) or mark.files != dict(_hashes(folder)):
        return False
    if mark.refusal:
        raise RefusedError(mark.refusal.code, mark.refusal.evidence, mark.refusal.cure)
    return True


def unmark(folder: Path) -> None:
    """Take the mark away, before something that it vouches for is changed."""
    delete_file(folder / MARK)


def changed_files(folder: Path) -> list[Path]:
    """Files that are not as they were when the study ended; none when it has not."""
    mark, now = read_mark(folder), dict(_hashes(folder))
    return [folder / name for name, before in mark.files.items() if now.get(name) != before] if mark else []


def unlisted_files(folder: Path) -> Iterator[str]:
    """What is wrong with the mark where it leaves out a file that the study ended in, a sentence each."""
    mark = read_mark(folder)
    # A ledger goes on: who has it may freeze another forecast, or score one, after the study ended.
    for name in map(partial(_name, folder), [*_files(folder), *_weights(folder)] if mark else ()):
        if mark and name not in mark.files and not name.startswith("ledger/"):
            yield f"it leaves out {name}, which the study ended in"


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and sha256 of each file, and folder of weights, that a finished study rests on."""
    for path in _files(folder):
        yield _name(folder, path), sha256_of(path, StoreError)
    for path in _weights(folder):
        yield _name(folder, path), digest(path)


def _files(folder: Path) -> list[Path]:
    # Calibration, progress and log say nothing about the result, and may change or go.
    names = ("design.json", "fit.json", "approach3.json", "report/index.html")
    paths = [folder / name for name in names if (folder / name).is_file()]
    frozen = [path for kind in KINDS for path in folder.glob(f"ledger/{kind}")]
    kept = [path for kind in ("record.json", "scores/*.json") for path in folder.glob(f"runs/*/{kind}")]
    return sorted([*paths, *kept, *frozen])


def _weights(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("runs/*/weights") if path.is_dir())


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _digest(inputs_json: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs_json, sort_keys=True).encode()).hexdigest()
