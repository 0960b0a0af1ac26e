"""TrainState: all that a run is at one step, and its checkpoints."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from foretoken.models import Decoder, build
from foretoken.runs.spec import RunSpec
from foretoken.runs.store import delete_commit, read_commit, write_commit
from foretoken.training.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors

KEEP = 2
"""Checkpoints kept per folder: the newest, and the one before in case it is damaged."""


@dataclass
class TrainState:
    """Network, optimizer and what was seen so far. Batches and learning rates follow from `step` alone."""

    network: Decoder
    optimizer: torch.optim.AdamW
    started_at: str
    """When the first step was begun: UTC, ISO 8601. Kept by checkpoints."""
    step: int = 0
    seconds: float = 0.0
    """Training time since the last fork of the trunk, over all processes that worked on it."""
    curve: list[list[float]] = field(default_factory=list)
    window: list[float] = field(default_factory=list)
    """Losses since the last point of the curve."""

    @classmethod
    def start(cls, spec: RunSpec) -> TrainState:
        """The state before the first step."""
        network = build(spec.shape, spec.seed)
        return cls(network, make_optimizer(network, spec), utc_now())

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state by name."""
        return {**self.network.state_dict(), **optimizer_tensors(self.network, self.optimizer)}

    def snapshot(self) -> Checkpoint:
        """A copy that later steps do not touch."""
        tensors = {name: tensor.clone() for name, tensor in self.tensors().items()}
        return Checkpoint(tensors, self.started_at, self.step, self.seconds, list(self.curve), list(self.window))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to the step of a snapshot."""
        tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
        self.network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("optimizer.")})
        load_optimizer_tensors(self.network, self.optimizer, tensors)
        self.started_at, self.step, self.seconds = checkpoint.started_at, checkpoint.step, checkpoint.seconds
        self.curve, self.window = list(checkpoint.curve), list(checkpoint.window)


@dataclass(frozen=True)
class Checkpoint:
    """A TrainState at rest."""

    tensors: dict[str, Tensor]
    started_at: str
    step: int
    seconds: float
    curve: list[list[float]]
    window: list[float]

    def write(self, folder: Path) -> None:
        """Commit to `folder/step-<n>`: safetensors and plain JSON, hashes last; older ones go after that."""
        plain = {name: getattr(self, name) for name in ("started_at", "step", "seconds", "curve", "window")}
        contents = {"tensors.safetensors": save(self.tensors), "state.json": json.dumps(plain).encode()}
        write_commit(folder / f"step-{self.step:09d}", contents)
        for old in checkpoint_folders(folder)[:-KEEP]:
            delete_commit(old)


def utc_now() -> str:
    """The time, as records give it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
            return Checkpoint(tensors=load(contents["tensors.safetensors"]), **json.loads(contents["state.json"]))
    return None


def delete_checkpoints(folder: Path) -> None:
    """Delete all checkpoints in a folder."""
    for path in checkpoint_folders(folder):
        delete_commit(path)
