"""TrainState: all that a run is at one step."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from foretoken.models import Network, build
from foretoken.runs.spec import RunSpec
from foretoken.store.clock import now
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.optimizer import AdamW, load_optimizer_tensors, make_optimizer, optimizer_tensors

TRAJECTORY = ("step", "curve", "window", "recent_losses", "recent_norms")
"""Fields that go back with the weights."""
HISTORY = ("started_at", "seconds", "events", "spikes", "skipped_steps", "skipped_batches")
"""Fields that only grow: what was done, on whichever way."""
PLAIN = (*HISTORY, *TRAJECTORY)
"""Fields of a state that are no tensors: what checkpoints keep as JSON."""


@dataclass
class TrainState:
    """Network, optimizer, and what was seen so far.

    Batches and learning rates follow from `step` and `skipped_batches`, so no reader of the corpus need be saved.
    """

    network: Network
    optimizer: AdamW
    started_at: str
    """When the first step was begun: UTC, ISO 8601. Kept by checkpoints."""
    step: int = 0
    seconds: float = 0.0
    """Training time since the last fork of the trunk, over all processes that worked on it."""
    curve: list[list[float]] = field(default_factory=list)
    window: list[float] = field(default_factory=list)
    """Losses since the last point of the curve."""
    recent_losses: list[float] = field(default_factory=list)
    recent_norms: list[float] = field(default_factory=list)
    """Losses and norms of the gradient that the policy for spikes takes for usual, the newest last."""
    events: list[str] = field(default_factory=list)
    """What the policy for spikes did, a sentence each."""
    spikes: int = 0
    skipped_steps: int = 0
    """Steps that were not applied, and batches that were left out."""
    skipped_batches: int = 0
    """Batches left out so far: step s reads batch s + skipped_batches."""
    rollback_points: list[Checkpoint] = field(default_factory=list)
    """Earlier states to go back to, oldest first."""

    @classmethod
    def start(cls, spec: RunSpec) -> TrainState:
        """The state before the first step."""
        network = build(spec.shape, spec.seed, spec.dropout)
        return cls(network, make_optimizer(network, spec), now())

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state by name, and those of the rollback points behind `rollback.<step>.`."""
        tensors = self._own_tensors()
        for point in self.rollback_points:
            tensors |= {f"rollback.{point.step}.{name}": tensor for name, tensor in point.tensors.items()}
        return tensors

    def snapshot(self) -> Checkpoint:
        """A copy that later steps do not touch."""
        own = self.own_snapshot()
        rollback = {name: tensor for name, tensor in self.tensors().items() if name.startswith("rollback.")}
        state_json = {**own.state_json, "rollback_points": [point.state_json for point in self.rollback_points]}
        return Checkpoint({**own.tensors, **rollback}, state_json)

    def own_snapshot(self) -> Checkpoint:
        """As `snapshot`, without the rollback points."""
        tensors = {name: tensor.clone() for name, tensor in self._own_tensors().items()}
        return Checkpoint(tensors, {name: copied(getattr(self, name)) for name in PLAIN})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to the step of a snapshot."""
        self.rollback_points = [
            Checkpoint(_behind(f"rollback.{state_json['step']}.", checkpoint.tensors), state_json)
            for state_json in checkpoint.state_json["rollback_points"]
        ]
        self._load(checkpoint)
        for name in PLAIN:
            setattr(self, name, copied(checkpoint.state_json[name]))

    def roll_back(self, point: Checkpoint) -> None:
        """Go to an earlier step of this run; what is only counted stays, and later rollback points go."""
        self.rollback_points = [kept for kept in self.rollback_points if kept.step <= point.step]
        self._load(point)
        for name in TRAJECTORY:
            setattr(self, name, copied(point.state_json[name]))

    def _own_tensors(self) -> dict[str, Tensor]:
        return {**self.network.state_dict(), **optimizer_tensors(self.network, self.optimizer)}

    def _load(self, checkpoint: Checkpoint) -> None:
        tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
        weights = {name: tensor for name, tensor in tensors.items() if name in self.network.state_dict()}
        self.network.load_state_dict(weights)
        load_optimizer_tensors(self.network, self.optimizer, tensors)


def _behind(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def copied(value: object) -> object:
    """A list of its own; anything else as it is."""
    return list(value) if isinstance(value, list) else value
