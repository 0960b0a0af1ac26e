"""The kept weights of a run: a folder that is a checkpoint by itself, under its commit mark. No torch here.

    runs/<key>/weights/
        config.json, model.safetensors   the network, as models.save_pretrained writes it
        tokenizer.json                   for other programs, as the package `tokenizers` has it; not of symbols
        foretoken.json                   what else it takes to read and write text with it
        commit.json                      the sha256 of each

They are written before the run's record, so that no record is without those that were asked for. What is lost or
damaged is made anew, as a record is: by training the run again, which gives the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.compute.objective import Objective
from foretoken.errors import ForetokenError, StoreError
from foretoken.runs.schema import KeepWeights
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic

FACTS = "foretoken.json"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a network's weights do not tell."""

    run: str
    """The key of the run that trained it."""
    objective: Objective
    tokenizer: dict[str, Any]
    """Plain values from which `tokenizer_from_json` makes it."""
    specials: dict[str, int]
    """Ids of the objective's special tokens, by the names of `Objective.specials`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in ("run", "tokenizer", "specials")} | {
            "objective": asdict(self.objective)
        }


def read_facts(folder: Path) -> Facts | None:
    """The facts beside a network; None where there are none. Raises StoreError when they are damaged."""
    path = folder / FACTS
    if not path.is_file():
        return None
    try:
        values = atomic.read_json(path)
        facts = Facts(**{**values, "objective": Objective(**values["objective"])})
        if not all(type(number) is int and number >= 0 for number in facts.specials.values()):
            raise TypeError("specials")
        return facts
    except (KeyError, TypeError, AttributeError, ForetokenError) as error:
        raise StoreError(f"{path} is not as this version writes it", got=str(error), cure="restore it") from error


def keeps(run: RunSpec, wanted: KeepWeights) -> bool:
    """Whether `launch.keep_weights` (none, target, all) asks for the weights of a run."""
    return wanted == "all" or (wanted == "target" and run.is_target)


def commit_weights(folder: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill the folder, then mark it; an older mark goes first. Raises StoreError."""
    atomic.delete_file(folder / atomic.COMMIT)
    write(folder)
    atomic.write_json(folder / atomic.COMMIT, dict(_hashes(folder)))


def are_committed(folder: Path) -> bool:
    """Whether weights have their mark; they may be damaged all the same."""
    return (folder / atomic.COMMIT).is_file()


def check_weights(folder: Path) -> None:
    """Raise StoreError when a file is not as the mark says."""
    marks = atomic.read_json(folder / atomic.COMMIT)
    found = dict(_hashes(folder))
    if not isinstance(marks, dict) or set(marks) != set(found):
        raise StoreError(f"{folder / atomic.COMMIT} does not mark what is there", cure="restore the folder")
    for name, mark in marks.items():
        if found[name] != mark:
            raise StoreError(f"{folder / name} is damaged", expected=f"sha256 {mark}", got=found[name])


def digest(folder: Path) -> str:
    """A hash of the names and contents of all files, and of whether they are marked."""
    return hashlib.sha256(repr((are_committed(folder), _hashes(folder))).encode()).hexdigest()


def _hashes(folder: Path) -> list[tuple[str, str]]:
    """Name and sha256 of each file but the mark and what is being written."""
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.is_symlink()]
        return [(path.name, _sha256(path)) for path in files if path.name != atomic.COMMIT and path.name[0] != "."]
    except OSError as error:
        raise StoreError(f"cannot read {folder}", got=error.strerror or str(error), cure="restore it") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
