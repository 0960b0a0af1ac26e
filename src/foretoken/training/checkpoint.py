"""Checkpoint: a TrainState at rest, as bytes and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from foretoken.store import checkpoints


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and what else a state holds, as plain values."""

    tensors: dict[str, Tensor]
    state_json: dict[str, Any]
    """The plain fields of a `TrainState`."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return int(self.state_json["step"])

    def write(self, folder: Path, attempt: int = 0) -> None:
        """Commit to `folder`: safetensors and plain JSON; raises StoreError, and the one before stays."""
        contents = {"tensors.safetensors": save(self.tensors), "state.json": json.dumps(self.state_json).encode()}
        checkpoints.commit(folder, self.step, attempt, contents)


def latest_checkpoint(folder: Path, at_most: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint (not beyond step `at_most`), and what was wrong with newer ones.

    Nothing of a file is parsed before its sha256 is found right.
    """
    contents, troubles = checkpoints.newest(folder, at_most)
    if contents is None:
        return None, troubles
    return Checkpoint(load(contents["tensors.safetensors"]), json.loads(contents["state.json"])), troubles
