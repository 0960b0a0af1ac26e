"""What is wrong in a study's folder, and what is done about it.

`foretoken verify` lists it; `foretoken run` repairs before it starts; nothing that is damaged is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from foretoken.errors import StoreError
from foretoken.results import Result
from foretoken.store import atomic, checkpoints
from foretoken.store.finished import KINDS, SEALS, changed_files
from foretoken.store.format import OLD_FORMAT, read_format_json
from foretoken.store.scores import (
    CURRENT,
    check_examples,
    evaluation_files,
    example_files,
    read_evaluation,
    read_scores,
    score_files,
)
from foretoken.store.seals import read_seals, sealed, unseal
from foretoken.store.store import KNOWN, OWN, SUBMISSION, TOLERATED, read_record, record_name
from foretoken.store.weights import are_committed, check_weights

FITS, PAGE = ("fit.json", "approach3.json"), "index.html"
Remedy = Literal["delete", "set aside", "refuse", "remake"]
REMEDIES: dict[Remedy, str] = {
    "delete": "deletes it: it was never finished",
    "set aside": f"renames it to *{atomic.CORRUPT} and makes it anew",
    "refuse": "refuses to start",
    "remake": "makes it anew",
}
"""What `foretoken run` does about a finding."""


@dataclass(frozen=True)
class Finding(Result):
    """Something in the folder that is not as it should be."""

    path: Path
    problem: str
    remedy: Remedy
    """What `foretoken run` does about it, see REMEDIES."""

    @property
    def refuses(self) -> bool:
        """Whether the study does not start because of it."""
        return self.remedy == "refuse"

    @property
    def remakes(self) -> bool:
        """Whether something of the study is taken away because of it, to be made anew."""
        # The page is written at the end of each run, whatever is there; until then the one that is there is kept.
        return self.remedy in ("set aside", "remake") and self.path.name != PAGE

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return {"path": str(self.path), "problem": self.problem, "remedy": self.remedy}


def inspect(folder: Path, deep: bool = False) -> list[Finding]:
    """All that is wrong; `deep` also reads and hashes every checkpoint. Nothing is written."""
    paths = list(_walk(folder))
    found = [*_foreign(folder, paths), *_unfinished(folder, paths), *_unreadable(folder), *_weights(folder)]
    # A file is listed once: what is damaged is also not as it was when the study ended.
    found += [*_lost_records(folder), *_changed(folder)]
    return list({finding.path: finding for finding in reversed(found)}.values())[::-1] + (
        list(_damaged_checkpoints(folder)) if deep else []
    )


def repair(folder: Path, findings: list[Finding]) -> None:
    """Do what each finding's remedy says. Raises StoreError on the first that is refused, before anything is done."""
    # All refusals first: a folder that is refused is left as it was found.
    for finding in findings:
        if finding.refuses:
            frozen = finding.path.parent.name == "ledger" or finding.path.name == "ledger"
            cure = "restore it, or run the study anew in another folder (--folder): what was frozen is not made again"
            cure = cure if frozen else "restore it, or move it out of the folder"
            raise StoreError(f"{finding.path}: {finding.problem}", cure=cure)
    # What vouches for a file goes before it does: a death in between leaves a file that nothing contradicts.
    unseal(folder, (finding.path.relative_to(folder).as_posix() for finding in findings if finding.remakes))
    for finding in findings:
        if finding.remedy == "set aside":
            atomic.set_aside(finding.path)
        elif not (finding.remakes or finding.remedy == "delete"):
            continue
        elif finding.path.is_dir():
            atomic.delete_folder(finding.path)
        else:
            atomic.delete_file(finding.path)


def check_belongs(folder: Path, study: str, url: str = "") -> None:
    """Raise StoreError when a folder is no study's, another study's, or of another format; nothing is written.

    With `url` the folder is a copy of what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is not a folder", cure="give another --folder")
    # Before anything is read by this version's rules, by which a sound folder of another format looks damaged.
    _check_format(folder)
    name = _name_in(folder) or study
    if name != study:
        cure = f"give another {'launch.bucket' if url else '--folder'}, or rename the study"
        raise StoreError(f"{url or folder} holds another study", expected=repr(study), got=repr(name), cure=cure)
    if foreign := [finding.path for finding in _foreign(folder, list(_walk(folder)))]:
        raise StoreError(
            f"{folder} holds {len(foreign)} things that are not of a study, so it may not be a study's folder",
            got=", ".join(str(path.relative_to(folder)) for path in foreign[:3]) + (" ..." if foreign[3:] else ""),
            cure="move them out, or give another --folder",
        )


def _check_format(folder: Path) -> None:
    """Raise StoreError when the design or any record is of another format: they must not be taken for damaged."""
    for path in [folder / "design.json", *sorted(folder.glob("runs/*/record.json"))]:
        try:
            if path.is_file():
                read_format_json(path)
        except StoreError as error:
            if error.code == OLD_FORMAT:
                raise


def _name_in(folder: Path) -> str | None:
    """The name of the study that a folder holds; None where no whole design says it."""
    try:
        name = read_format_json(folder / "design.json").get("study", {}).get("name")
    except (StoreError, AttributeError):
        return None
    return str(name) if name is not None else None


def _walk(folder: Path) -> Iterator[Path]:
    """All paths below a folder; links are given and not followed. What a run's own trainer keeps is its own affair."""
    for home, folders, names in os.walk(folder):
        for name in sorted([*folders, *names]):
            yield Path(home) / name
        if OWN in folders and Path(home).parent == folder / "runs":
            folders.remove(OWN)


def _foreign(folder: Path, paths: list[Path]) -> Iterator[Finding]:
    for path in paths:
        if _is_cut_off_submission(folder, path):
            continue
        if path.is_symlink():
            yield Finding(path, "a link; a study's folder holds plain files alone", "refuse")
        elif not _is_known(folder, path):
            yield Finding(path, "not a file of a study", "refuse")


def _is_known(folder: Path, path: Path) -> bool:
    name = path.relative_to(folder).as_posix()
    return bool(KNOWN.fullmatch(name) or TOLERATED.fullmatch(path.name) or atomic.is_temporary(path))


def _is_cut_off_submission(folder: Path, path: Path) -> bool:
    """Whether a path is what submitit leaves of a submission during which its driver was killed."""
    # A link to a folder is none of submitit's, and would be deleted as a folder.
    return bool(SUBMISSION.fullmatch(path.relative_to(folder).as_posix())) and not path.is_dir()


def _unfinished(folder: Path, paths: list[Path]) -> Iterator[Finding]:
    for path in paths:
        if _is_cut_off_submission(folder, path):
            yield Finding(path, "left by a submission that was cut off", "delete")
        if atomic.is_temporary(path) and path.is_file() and not path.is_symlink():
            yield Finding(path, "left by a write that was cut off", "delete")
    for saved in _checkpoints(folder):
        if not saved.is_committed:
            yield Finding(saved.path, "a checkpoint without its commit mark: it was being written or deleted", "delete")


def _checkpoints(folder: Path) -> Iterator[checkpoints.CheckpointFolder]:
    for home in [*(folder / "runs").glob("*"), *(folder / "trunks").glob("*")]:
        yield from checkpoints.in_folder(home)


def _damaged_checkpoints(folder: Path) -> Iterator[Finding]:
    for saved in _checkpoints(folder):
        try:
            if saved.is_committed:
                atomic.read_commit(saved.path)
        except StoreError as error:
            yield Finding(saved.path, _sentence(error), "set aside")


def _weights(folder: Path) -> Iterator[Finding]:
    """Saved weights that were never marked, or are not as marked: results, as records are, so they are always read."""
    for path in sorted((folder / "runs").glob("*/weights")):
        if not path.is_dir():
            yield Finding(path, "not a folder", "set aside")
        elif not are_committed(path):
            yield Finding(path, "weights without their commit mark: they were being written or deleted", "delete")
        else:
            yield from _unless_read(path / atomic.COMMIT, lambda mark: check_weights(mark.parent), "set aside", path)


def _unreadable(folder: Path) -> Iterator[Finding]:
    """JSON that is damaged. What can be made again is set aside; what was frozen is refused."""
    seals = sealed(folder)
    for path in sorted((folder / "runs").glob("*/record.json")):
        seal = seals.get(record_name(path.parent.name))
        yield from _unless_read(path, partial(read_record, seal=seal), "set aside")
    for path in score_files(folder):
        seal = seals.get(path.relative_to(folder).as_posix())
        yield from _unless_read(path, partial(read_scores, seal=seal), "set aside")
    for path in example_files(folder):
        yield from _unless_read(path, check_examples, "set aside")
    for path in evaluation_files(folder):
        yield from _unless_read(path, read_evaluation, "set aside")
    yield from _unless_read(folder / SEALS, lambda path: read_seals(path.parent), "set aside")
    for name in ("design.json", "finished.json", CURRENT):
        yield from _unless_read(folder / name, read_format_json, "set aside")
    for name in ("calibration.json", "spent.json", *FITS):
        yield from _unless_read(folder / name, atomic.read_json, "set aside")
    yield from _unless_read(folder / "progress.json", atomic.read_json, "delete")
    for path in sorted(path for kind in (*KINDS, SEALS) for path in (folder / "ledger").glob(kind)):
        yield from _unless_read(path, atomic.read_checksummed_json, "refuse")


def _lost_records(folder: Path) -> Iterator[Finding]:
    """Records that were sealed and are gone."""
    for name in sealed(folder):
        if not (folder / name).exists():
            yield Finding(folder / name, "lost since it was written", "remake")


def _changed(folder: Path) -> Iterator[Finding]:
    """What is not as it was when the study ended, though it may be whole and sealed."""
    for path in changed_files(folder):
        problem = f"{'changed' if path.exists() else 'lost'} since the study ended"
        if path.parent == folder / "ledger":
            yield Finding(path, problem, "refuse")
        else:
            yield Finding(path, problem, "set aside" if path.name == "weights" and path.exists() else "remake")


def _unless_read(
    path: Path, read: Callable[[Path], object], remedy: Remedy, named: Path | None = None
) -> Iterator[Finding]:
    """A finding about `named` (the file itself, unless given) when the file cannot be read."""
    try:
        if path.is_file():
            read(path)
    except StoreError as error:
        yield Finding(
            named or path, _sentence(error).removeprefix(f"{path} "), "refuse" if error.code == OLD_FORMAT else remedy
        )


def _sentence(error: StoreError) -> str:
    return ", ".join(filter(None, [error.message, error.got and f"got {error.got}"]))
