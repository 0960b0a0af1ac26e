"""RunRecord: what one training run gave. Immutable; one JSON file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from foretoken.compute.flops import training_flops
from foretoken.errors import ForetokenError
from foretoken.runs.spec import RunSpec

DETERMINED = ("status", "loss", "loss_se", "bits_per_byte", "curve", "by_position", "label_loss", "skipped_steps")
"""Fields that the spec determines; the others tell what a run took and met on its way."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The result of a run: its spec, its loss, and what it took."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    spec: RunSpec
    status: str
    """`finished`, `diverged` (loss not finite or blown up) or `failed` (an exception)."""
    loss: float | None = None
    """Nats per token on the spec's eval_set, at the end of the run."""
    loss_se: float | None = None
    """Standard error of `loss` over the validation sequences."""
    bits_per_byte: float | None = None
    curve: list[list[float]] = field(default_factory=list)
    """Training loss along the run: [tokens seen, mean loss since the point before]."""
    by_position: list[list[float]] = field(default_factory=list)
    """causal: validation loss by place in the sequence, [first, last, loss], places counted from 1."""
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
    kwh_source: str | None = None
    """`measured` (RAPL) or `estimate`."""
    device: str = ""
    started_at: str = ""
    """When the run (or its trunk) was begun: UTC, ISO 8601."""
    finished_at: str = ""
    version: str = ""
    """Version of foretoken."""
    skipped_steps: int = 0
    """Steps that were not applied, or batches left out, because of a spike: above 0 it is not the planned run."""
    events: list[str] = field(default_factory=list)
    """What happened on the way: resumed, diverged at a step, ..."""
    error: str | None = None
    """Traceback of a failed run."""

    def agrees(self, other: RunRecord) -> bool:
        """Whether two trainings of one run gave the same, bit for bit."""
        return all(getattr(self, name) == getattr(other, name) for name in DETERMINED)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "spec": self.spec.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunRecord:
        """The inverse of `to_json`; TypeError for unknown keys, other types, and numbers that are not finite."""
        try:
            RunSpec.from_json(values["spec"])  # refuses keys that it does not know
            return _reader()(values)
        except (ValueError, ForetokenError) as error:
            raise TypeError(str(error)) from None

    def to_row(self) -> dict[str, Any]:
        """One row of the run table, in its canonical columns (see runs/table.py)."""
        spec, count = self.spec, self.spec.parameters
        return {
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
            "flops_6nd": training_flops(spec.shape, spec.tokens, "6nd"),
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
            "annealed": True,
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


@cache
def _reader() -> Callable[[Any], RunRecord]:
    """Plain values -> record, every type checked."""
    from pydantic import TypeAdapter

    return TypeAdapter(RunRecord).validate_python
