"""Where checkpoints are and which of them count, without torch: plain bytes under their commit mark.

A checkpoint is a folder `step-<step>-<attempt>`: attempts at a study never write into each other's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foretoken.errors import StoreError
from foretoken.store.atomic import COMMIT, delete_folder, read_commit, set_aside, write_commit

KEPT = 2
"""Checkpoints kept per folder: the newest, and the one before in case it is damaged."""
NAME = re.compile(r"step-(\d{9,15})-(\d{1,9})")


@dataclass(frozen=True, order=True)
class CheckpointFolder:
    """One checkpoint on disk; ordered by step, then by attempt."""

    step: int
    attempt: int
    path: Path

    @property
    def is_committed(self) -> bool:
        """Whether it has its commit mark; what it holds may be damaged all the same."""
        return (self.path / COMMIT).is_file()


def in_folder(folder: Path) -> list[CheckpointFolder]:
    """The checkpoints in a folder, oldest first, whole or not."""
    matches = [(NAME.fullmatch(path.name), path) for path in folder.glob("step-*")]
    return sorted(CheckpointFolder(int(name[1]), int(name[2]), path) for name, path in matches if name)


def commit(folder: Path, step: int, attempt: int, contents: Mapping[str, bytes]) -> None:
    """Write a checkpoint; those that are no longer needed go after it is whole."""
    write_commit(folder / f"step-{step:09d}-{attempt}", contents)
    # A late attempt must not delete what a newer one has written since: only its own and older ones may go.
    older = [saved for saved in in_folder(folder) if saved.step <= step and saved.attempt <= attempt]
    for saved in older[:-KEPT]:
        delete_folder(saved.path)


def newest(folder: Path, at_most: int | None = None) -> tuple[dict[str, bytes] | None, list[str]]:
    """The files of the newest intact checkpoint (not beyond step `at_most`), and what was wrong with newer ones.

    A damaged one is set aside as `.corrupt`; one that was never committed is passed over.
    """
    problems: list[str] = []
    for saved in reversed(in_folder(folder)):
        if not saved.is_committed or (at_most is not None and saved.step > at_most):
            continue
        try:
            return read_commit(saved.path), problems
        except StoreError as error:
            problems.append(f"the checkpoint of step {saved.step} is damaged and was set aside: {error.message}")
            set_aside(saved.path)
    return None, problems


def delete_all(folder: Path) -> None:
    """Delete all checkpoints in a folder."""
    for saved in in_folder(folder):
        delete_folder(saved.path)
