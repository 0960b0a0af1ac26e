"""Where checkpoints are and which of them count, without torch: plain bytes under their commit mark.

A checkpoint is a folder `step-<step>-<attempt>`: attempts at a study never write into each other's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from foretoken.errors import StoreError
from foretoken.store.atomic import COMMIT, delete_folder, read_commit, set_aside, write_commit

KEEP = 2
"""Checkpoints kept per folder: the newest, and the one before in case it is damaged."""
NAME = re.compile(r"step-(\d{9,15})-(\d{1,9})")


@dataclass(frozen=True, order=True)
class Place:
    """A checkpoint's folder; places are ordered by step, then by attempt."""

    step: int
    attempt: int
    path: Path

    @property
    def committed(self) -> bool:
        """Whether it has its mark; what it holds may be damaged all the same."""
        return (self.path / COMMIT).is_file()


def places(folder: Path) -> list[Place]:
    """The checkpoints in a folder, oldest first, whole or not."""
    found = [(NAME.fullmatch(path.name), path) for path in folder.glob("step-*")]
    return sorted(Place(int(name[1]), int(name[2]), path) for name, path in found if name)


def commit(folder: Path, step: int, attempt: int, contents: dict[str, bytes]) -> None:
    """Write a checkpoint; those that are no longer needed go after it is whole."""
    write_commit(folder / f"step-{step:09d}-{attempt}", contents)
    older = [place for place in places(folder) if place.step <= step and place.attempt <= attempt]
    for place in older[:-KEEP]:
        delete_folder(place.path)


def newest(folder: Path, at_most: int | None = None) -> tuple[dict[str, bytes] | None, list[str]]:
    """The files of the newest intact checkpoint (not beyond step `at_most`), and what was wrong with newer ones.

    A damaged one is set aside as `.corrupt`; one that was never committed is passed over.
    """
    troubles: list[str] = []
    for place in reversed(places(folder)):
        if not place.committed or (at_most is not None and place.step > at_most):
            continue
        try:
            return read_commit(place.path), troubles
        except StoreError as error:
            troubles.append(f"the checkpoint of step {place.step} is damaged and was set aside: {error.message}")
            set_aside(place.path)
    return None, troubles


def delete_all(folder: Path) -> None:
    """Delete all checkpoints in a folder."""
    for place in places(folder):
        delete_folder(place.path)
