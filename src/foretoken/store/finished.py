"""finished.json: the commit mark of a whole study. While it holds, a second run has nothing to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foretoken.errors import RefusedError, StoreError
from foretoken.store.atomic import delete_file, read_sealed, sealed, write_file
from foretoken.store.weights import digest

MARK = "finished.json"


def mark_finished(folder: Path, inputs: Mapping[str, Any], refusal: RefusedError | None = None) -> None:
    """Write the mark: a hash of all that the study was made from, and of every file that it ended in."""
    told = refusal and {"code": refusal.code, "evidence": refusal.evidence, "cure": refusal.cure}
    values = {"inputs": _digest(inputs), "files": dict(_hashes(folder)), "refusal": told}
    content = sealed(values)
    path = folder / MARK
    if not (path.is_file() and path.read_bytes() == content):
        write_file(path, content)


def is_finished(folder: Path, inputs: Mapping[str, Any]) -> bool:
    """Whether the study has ended, from these inputs, and none of its files has changed since.

    Raises RefusedError when it ended without a forecast.
    """
    try:
        mark = read_sealed(folder / MARK)
    except StoreError:
        return False
    if mark["inputs"] != _digest(inputs) or mark["files"] != dict(_hashes(folder)):
        return False
    if mark["refusal"]:
        raise RefusedError(**mark["refusal"])
    return True


def unmark(folder: Path) -> None:
    """Take the mark away, before something that it vouches for is changed."""
    delete_file(folder / MARK)


def changed_files(folder: Path) -> list[Path]:
    """Files that are not as they were when the study ended; none when it has not."""
    try:
        before: dict[str, str] = read_sealed(folder / MARK)["files"]
    except StoreError:
        return []
    now = dict(_hashes(folder))
    return [folder / name for name, mark in before.items() if now.get(name) != mark]


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and sha256 of each file, and folder of weights, that a finished study rests on."""
    names = ("design.json", "fit.json", "approach3.json", "report/index.html")
    paths = [folder / name for name in names if (folder / name).is_file()]
    for path in sorted([*paths, *folder.glob("runs/*/record.json"), *folder.glob("ledger/*.json")]):
        yield path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(path for path in folder.glob("runs/*/weights") if path.is_dir()):
        yield path.relative_to(folder).as_posix(), digest(path)


def _digest(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
