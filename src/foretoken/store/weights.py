"""The saved weights of a run: a folder that is a checkpoint by itself, under its commit mark. No torch here.

    runs/<key>/weights/
        config.json, model.safetensors   the network, as models.save_pretrained writes it
        tokenizer.json                   for other programs, as the package `tokenizers` has it; not of symbols
        foretoken.json                   what else it takes to read and write text with it
        commit.json                      the sha256 of each

They are written before the run's record, so that no record is without the weights that were asked for. What is lost or
damaged is made anew, as a record is: by training the run again, which gives the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.bounded import sha256_of
from foretoken.compute.objective import Objective
from foretoken.errors import StoreError
from foretoken.runs.spec import KeepWeights, RunSpec, read_as
from foretoken.store import atomic

METADATA_FILE = "foretoken.json"
"""Beside a network: its ModelMetadata."""


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What the weights of a network do not say about it."""

    run: str
    """The key of the run that trained it."""
    objective: Objective
    tokenizer_json: dict[str, Any]
    """Plain values from which `tokenizer_from_json` makes it."""
    specials: dict[str, int]
    """Ids of the objective's special tokens, by the names of `Objective.specials`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "run": self.run,
            "tokenizer": self.tokenizer_json,
            "specials": self.specials,
            "objective": asdict(self.objective),
        }

    @classmethod
    def from_json(cls, metadata_json: Mapping[str, Any]) -> ModelMetadata:
        """The inverse of `to_json`; TypeError for other names and types, KeyError for missing ones."""
        names = {"run", "tokenizer", "specials", "objective"}
        if set(metadata_json) != names:
            raise TypeError(f"expected {', '.join(sorted(names))}, got {', '.join(sorted(metadata_json))}")
        specials = metadata_json["specials"]
        if not all(type(number) is int and number >= 0 for number in specials.values()):
            raise TypeError(f"specials {specials}")
        return cls(
            run=metadata_json["run"],
            objective=read_as(Objective, metadata_json["objective"]),
            tokenizer_json=metadata_json["tokenizer"],
            specials=specials,
        )


def read_metadata(folder: Path) -> ModelMetadata | None:
    """What stands beside a network; None where nothing does. Raises StoreError when it is damaged."""
    path = folder / METADATA_FILE
    if not path.is_file():
        return None
    try:
        return ModelMetadata.from_json(atomic.read_json(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is not as this version writes it", got=str(error), cure="restore it") from error


def wants_weights(run: RunSpec, policy: KeepWeights) -> bool:
    """Whether `launch.keep_weights` asks for the final weights of a run; an own trainer keeps its own."""
    return run.trainer is None and is_kept(run, policy)


def is_kept(run: RunSpec, policy: KeepWeights) -> bool:
    """Whether a run is one of those that `launch.keep_weights` names."""
    return {"none": False, "target": run.is_target, "all": True}[policy]


def commit_weights(folder: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill the folder, then mark it; an older mark goes first. Raises StoreError."""
    # The old mark goes before the first byte changes and the new one comes after the last: in between there is none.
    atomic.delete_file(folder / atomic.COMMIT)
    write(folder)
    atomic.write_json(folder / atomic.COMMIT, dict(_hashes(folder)))


def are_committed(folder: Path) -> bool:
    """Whether weights have their mark; they may be damaged all the same."""
    return (folder / atomic.COMMIT).is_file()


def check_weights(folder: Path) -> None:
    """Raise StoreError when a file is not as the mark says."""
    marks = atomic.read_json(folder / atomic.COMMIT, inside=True)
    hashes = dict(_hashes(folder))
    if not isinstance(marks, dict) or set(marks) != set(hashes):
        raise StoreError(f"{folder / atomic.COMMIT} does not mark what is there", cure="restore the folder")
    for name, mark in marks.items():
        if hashes[name] != mark:
            raise StoreError(f"{folder / name} is damaged", expected=f"sha256 {mark}", got=hashes[name])


def digest(folder: Path) -> str:
    """A hash of the names and contents of all files, and of whether they are marked."""
    return hashlib.sha256(repr((are_committed(folder), _hashes(folder))).encode()).hexdigest()


def _hashes(folder: Path) -> list[tuple[str, str]]:
    """Name and sha256 of each file but the mark and what is being written."""
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.is_symlink()]
        marked = [path for path in files if path.name != atomic.COMMIT and path.name[0] != "."]
        return [(path.name, sha256_of(path, StoreError)) for path in marked]
    except OSError as error:
        raise StoreError(f"cannot read {folder}", got=error.strerror or str(error), cure="restore it") from error
