"""What is wrong in a study's folder, and what is done about it.

`foretoken verify` tells; `foretoken run` mends before it starts; nothing that was found damaged is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foretoken.errors import StoreError
from foretoken.store import atomic, checkpoints
from foretoken.store.finished import changed_files
from foretoken.store.store import FORMAT, KNOWN, TOLERATED, read_record
from foretoken.store.weights import are_committed, check_weights

FITS = ("fit.json", "approach3.json")
REMEDIES = {
    "delete": "deletes it: it was never finished",
    "set aside": f"renames it to *{atomic.CORRUPT} and makes it anew",
    "refuse": "refuses to start",
    "remake": "makes it anew",
}
"""What `foretoken run` does about a finding."""


@dataclass(frozen=True)
class Finding:
    """Something in the folder that is not as it should be."""

    path: Path
    problem: str
    remedy: str
    """A key of REMEDIES."""


def inspect(folder: Path, deep: bool = False) -> list[Finding]:
    """All that is wrong; `deep` also reads and hashes every checkpoint. Nothing is written."""
    paths = list(_walk(folder))
    found = [*_foreign(folder, paths), *_unfinished(folder, paths), *_unreadable(folder), *_weights(folder)]
    known = {finding.path for finding in found}
    found += [finding for finding in _edited(folder) if finding.path not in known]
    return found + (list(_damaged_checkpoints(folder)) if deep else [])


def mend(findings: list[Finding]) -> None:
    """Do what each finding's remedy says. Raises StoreError on the first that is refused, before anything is done."""
    for finding in findings:
        if finding.remedy == "refuse":
            raise StoreError(f"{finding.path}: {finding.problem}", cure="restore it, or move it out of the folder")
    for finding in findings:
        if finding.remedy == "set aside":
            atomic.set_aside(finding.path)
        elif finding.path.is_dir():
            atomic.delete_folder(finding.path)
        else:
            atomic.delete_file(finding.path)


def check_belongs(folder: Path, study: str) -> None:
    """Raise StoreError when a folder is no study's, another study's, or from a newer version; nothing is written."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is not a folder", cure="give another --folder")
    try:
        design = atomic.read_sealed(folder / "design.json") if (folder / "design.json").is_file() else {}
    except StoreError:
        design = {}
    if (made_by := design.get("format", FORMAT)) != FORMAT:
        raise StoreError(
            f"the study in {folder} was written by another version of foretoken",
            expected=f"format {FORMAT}",
            got=f"format {made_by}",
            cure="use that version, or give another --folder",
        )
    name = design.get("study", {}).get("name", study)
    if name != study:
        cure = "give another --folder, or rename the study"
        raise StoreError(f"{folder} holds another study", expected=repr(study), got=repr(name), cure=cure)
    if foreign := [finding.path for finding in _foreign(folder, list(_walk(folder)))]:
        raise StoreError(
            f"{folder} holds {len(foreign)} things that are not of a study, so it may not be a study's folder",
            got=", ".join(str(path.relative_to(folder)) for path in foreign[:3]) + (" ..." if foreign[3:] else ""),
            cure="move them out, or give another --folder",
        )


def _walk(folder: Path) -> Iterator[Path]:
    """All paths below a folder; links are given and not followed."""
    for home, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            yield Path(home) / name


def _foreign(folder: Path, paths: list[Path]) -> Iterator[Finding]:
    for path in paths:
        if path.is_symlink():
            yield Finding(path, "a link; a study's folder holds plain files alone", "refuse")
        elif not _is_known(folder, path):
            yield Finding(path, "not a file of a study", "refuse")


def _is_known(folder: Path, path: Path) -> bool:
    name = path.relative_to(folder).as_posix()
    return bool(KNOWN.fullmatch(name) or TOLERATED.fullmatch(path.name) or atomic.is_temporary(path))


def _unfinished(folder: Path, paths: list[Path]) -> Iterator[Finding]:
    for path in paths:
        if atomic.is_temporary(path) and path.is_file() and not path.is_symlink():
            yield Finding(path, "left by a write that was cut off", "delete")
    for place in _checkpoints(folder):
        if not place.committed:
            yield Finding(place.path, "a checkpoint without its commit mark: it was being written or deleted", "delete")


def _checkpoints(folder: Path) -> Iterator[checkpoints.Place]:
    for home in [*(folder / "runs").glob("*"), *(folder / "trunks").glob("*")]:
        yield from checkpoints.places(home)


def _damaged_checkpoints(folder: Path) -> Iterator[Finding]:
    for place in _checkpoints(folder):
        try:
            if place.committed:
                atomic.read_commit(place.path)
        except StoreError as error:
            yield Finding(place.path, _told(error), "set aside")


def _weights(folder: Path) -> Iterator[Finding]:
    """Kept weights that were never marked, or are not as marked: results, as records are, so they are always read."""
    for path in sorted((folder / "runs").glob("*/weights")):
        if not path.is_dir():
            yield Finding(path, "not a folder", "set aside")
        elif not are_committed(path):
            yield Finding(path, "weights without their commit mark: they were being written or deleted", "delete")
        else:
            yield from _trial(path / atomic.COMMIT, lambda mark: check_weights(mark.parent), "set aside", path)


def _unreadable(folder: Path) -> Iterator[Finding]:
    """Sealed and plain JSON that is damaged. What can be made again is set aside; what was frozen is refused."""
    for path in sorted((folder / "runs").glob("*/record.json")):
        yield from _trial(path, read_record, "set aside")
    for name in ("design.json", "finished.json"):
        yield from _trial(folder / name, atomic.read_sealed, "set aside")
    for name in ("calibration.json", *FITS):
        yield from _trial(folder / name, atomic.read_json, "set aside")
    yield from _trial(folder / "progress.json", atomic.read_json, "delete")
    for path in sorted((folder / "ledger").glob("*.json")):
        yield from _trial(path, atomic.read_sealed, "refuse")


def _edited(folder: Path) -> Iterator[Finding]:
    """Fits that were changed by hand after the study had ended; they carry no seal of their own."""
    for path in changed_files(folder):
        if path.name in FITS and path.is_file():
            yield Finding(path, "changed since the study ended", "remake")


def _trial(path: Path, read: object, remedy: str, told: Path | None = None) -> Iterator[Finding]:
    """Read a file; what is wrong is told of `told`, which is the file itself unless given."""
    assert callable(read)
    try:
        if path.is_file():
            read(path)
    except StoreError as error:
        yield Finding(told or path, _told(error), remedy)


def _told(error: StoreError) -> str:
    return ", ".join(filter(None, [error.message, error.got and f"got {error.got}"]))
