"""Checkpoints: a TrainState at rest, in folders that count only when their commit mark is right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from foretoken.runs.store import delete_commit, read_commit, write_commit

KEEP = 2
"""Checkpoints kept per folder: the newest, and the one before in case it is damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and the plain values beside them."""

    tensors: dict[str, Tensor]
    plain: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return int(self.plain["step"])

    def write(self, folder: Path) -> None:
        """Commit to `folder/step-<n>`: safetensors and plain JSON, hashes last; older ones go after that."""
        contents = {"tensors.safetensors": save(self.tensors), "state.json": json.dumps(self.plain).encode()}
        write_commit(folder / f"step-{self.step:09d}", contents)
        for old in checkpoint_folders(folder)[:-KEEP]:
            delete_commit(old)


def checkpoint_folders(folder: Path) -> list[Path]:
    """Checkpoints in a folder, oldest first, whole or not."""
    return sorted(folder.glob("step-*"))


def latest_checkpoint(folder: Path, at_most: int | None = None) -> Checkpoint | None:
    """The newest intact checkpoint (not beyond step `at_most`); a damaged one is passed over."""
    for path in reversed(checkpoint_folders(folder)):
        if at_most is not None and int(path.name.removeprefix("step-")) > at_most:
            continue
        contents = read_commit(path)
        if contents is not None:
            return Checkpoint(load(contents["tensors.safetensors"]), json.loads(contents["state.json"]))
    return None


def delete_checkpoints(folder: Path) -> None:
    """Delete all checkpoints in a folder."""
    for path in checkpoint_folders(folder):
        delete_commit(path)
