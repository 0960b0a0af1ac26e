"""TrainState: all that a run is at one step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import torch
from torch import Tensor

from foretoken.models import Decoder, build
from foretoken.runs.spec import RunSpec
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.optimizer import load_optimizer_tensors, make_optimizer, optimizer_tensors

PLAIN = ("started_at", "step", "seconds", "curve", "window")
"""Fields of a state that are no tensors: what checkpoints keep as JSON."""


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
        return Checkpoint(tensors, {name: copied(getattr(self, name)) for name in PLAIN})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to the step of a snapshot."""
        tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
        self.network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("optimizer.")})
        load_optimizer_tensors(self.network, self.optimizer, tensors)
        for name in PLAIN:
            setattr(self, name, copied(checkpoint.plain[name]))


def copied(value: object) -> object:
    """A list of its own; anything else as it is."""
    return list(value) if isinstance(value, list) else value


def utc_now() -> str:
    """The time, as records give it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
