"""RunRecord: what one training run gave. Immutable; one JSON file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

from foretoken.compute.energy import EnergySource
from foretoken.results import Result
from foretoken.runs.command_fields import untold
from foretoken.runs.spec import RunSpec, read_as

RunStatus = Literal["finished", "diverged", "failed"]
Cell = str | float | bool | None
"""A value of the run table."""
DETERMINED = ("status", "loss", "loss_se", "bits_per_byte", "curve", "by_position", "label_loss", "skipped_steps")
"""Fields that the spec determines; the others say what a run took and met on its way."""


class CurvePoint(NamedTuple):
    """One point of a training curve."""

    tokens: float
    """Tokens seen so far."""
    loss: float
    """Mean training loss since the point before, nats per token."""


class PositionLoss(NamedTuple):
    """Validation loss over neighbouring positions of the sequence, counted from 1."""

    first: float
    last: float
    loss: float
    """Nats per token."""


@dataclass(frozen=True, kw_only=True)
class RunRecord(Result):
    """The result of a run: its spec, its loss, and what it took."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    spec: RunSpec
    status: RunStatus
    """`finished`, `diverged` (loss not finite or blown up) or `failed` (an exception)."""
    loss: float | None = None
    """Nats per token on the spec's eval_set, at the end of the run."""
    loss_se: float | None = None
    """Standard error of `loss` over the validation sequences."""
    bits_per_byte: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    by_position: tuple[PositionLoss, ...] = ()
    """causal: validation loss by position."""
    label_loss: float | None = None
    """Validation loss of the labels (next_sentence), nats; not part of `loss`."""
    parent: str | None = None
    """Trunk that this run branched off; runs with one parent share a trajectory."""
    tokens_trained: int = 0
    """Tokens that had to be trained for this run beyond what its trunk had already seen."""
    unique_tokens: int = 0
    """Distinct training tokens among those seen; 0 where it is not known."""
    corpus_sha256: str = ""
    """sha256 over the manifest of the corpus: names, sizes and hashes of its files."""
    seconds: float = 0.0
    """Time of those tokens and of the final evaluation."""
    tokens_per_second: float | None = None
    mfu: float | None = None
    """Model FLOPs utilisation: exact FLOPs per second over the measured matmul peak."""
    kwh: float | None = None
    kwh_source: EnergySource | None = None
    """`measured` (RAPL) or `estimate`."""
    device: str = ""
    started_at: str = ""
    """When the run (or its trunk) was begun: UTC, ISO 8601."""
    finished_at: str = ""
    version: str = ""
    """Version of foretoken."""
    skipped_steps: int = 0
    """Steps that were not applied, or batches skipped, because of a spike: above 0 it is not the planned run."""
    events: tuple[str, ...] = ()
    """What happened on the way: resumed, diverged at a step, ..."""
    error: str | None = None
    """Traceback of a failed run."""

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "finished"

    @property
    def has_diverged(self) -> bool:
        """Whether the loss was lost; training the run again would lose it again."""
        return self.status == "diverged"

    @property
    def has_failed(self) -> bool:
        """Whether an exception ended the run; another try may go well."""
        return self.status == "failed"

    def agrees(self, other: RunRecord) -> bool:
        """Whether two trainings of one run gave the same, bit for bit."""
        return all(getattr(self, name) == getattr(other, name) for name in DETERMINED)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"spec": self.spec.to_json()}

    @classmethod
    def from_json(cls, record_json: Mapping[str, Any]) -> RunRecord:
        """The inverse of `to_json`; TypeError for unknown keys, other types, and numbers that are not finite."""
        return read_as(cls, record_json)

    def to_row(self) -> dict[str, Cell]:
        """One row of the run table, in its canonical columns (see runs/table.py)."""
        # Counts are floats: 6 N D of the largest runs is beyond 64-bit integers.
        spec, count = self.spec, self.spec.parameters
        row: dict[str, Cell] = {
            "run": spec.key,
            "group": spec.group,
            "family": spec.shape.family,
            "objective": spec.objective.kind,
            "corpus": spec.corpus,
            "tokenizer": spec.tokenizer,
            "eval_set": spec.eval_set,
            "params_total": float(count.total),
            "params_embedding": float(count.embedding + count.position),
            "params_head": float(count.head),
            "params_non_embedding": float(count.non_embedding),
            "params_active": float(count.active),
            "tokens": float(spec.tokens),
            "unique_tokens": float(self.unique_tokens) if self.unique_tokens else None,
            "flops": spec.flops,
            "flops_6nd": 6.0 * count.total * spec.tokens,
            "loss": self.loss,
            "loss_se": self.loss_se,
            "bits_per_byte": self.bits_per_byte,
            "layers": float(spec.shape.layers),
            "width": float(spec.shape.width),
            "heads": float(spec.shape.heads),
            "context": float(spec.shape.context),
            "steps": float(spec.steps),
            "learning_rate": spec.learning_rate,
            "batch_tokens": float(spec.batch_tokens),
            "warmup_tokens": float(spec.warmup_tokens),
            "schedule": spec.schedule,
            "annealed": True,  # a branch cools down before its loss is measured, and a cosine ends at its lowest
            "skipped_steps": float(self.skipped_steps),
            "parent": self.parent,
            "seed": float(spec.seed),
            "threads": float(spec.threads),
            "software": spec.software,
            "version": self.version,
            "finished_at": self.finished_at,
            "status": self.status,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "mfu": self.mfu,
            "kwh": self.kwh,
            "device": self.device,
        }
        return row | dict.fromkeys(untold(spec) & set(row))


@dataclass(frozen=True, kw_only=True)
class RunCounts:
    """How many runs stand how."""

    planned: int | None = None
    running: int = 0
    finished: int = 0
    diverged: int = 0
    failed: int = 0
