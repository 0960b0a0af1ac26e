"""What fine-tuning gives: a score per seed, with random weights beside it where asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from foretoken.evals.scores import Mean, mean_over_seeds
from foretoken.evals.tasks import SPLITS, Task


@dataclass(frozen=True)
class Outcome:
    """One seed."""

    seed: int
    score: float
    """On the test examples."""
    test_se: float
    """Standard error from the test examples being a sample (of a share, the binomial one)."""
    validation_loss: float
    """The least one, in nats per prediction, at which the weights were kept."""
    epochs: int
    learning_rate: float
    by_task: dict[str, float] = field(default_factory=dict)
    """Of a mixture, the share of exact matches in each of its tasks."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Scores of a tuned network on a task."""

    task: Task
    metric: str
    tuned: tuple[Outcome, ...]
    """From the weights that were given."""
    scratch: tuple[Outcome, ...] = ()
    """From random weights, with the same seeds; empty where not asked for."""

    @property
    def score(self) -> Mean:
        """Over seeds."""
        return mean_over_seeds([one.score for one in self.tuned])

    @property
    def scratch_score(self) -> Mean | None:
        """Of random weights, over seeds."""
        return mean_over_seeds([one.score for one in self.scratch]) if self.scratch else None

    @property
    def difference(self) -> Mean | None:
        """What the given weights are worth: the difference of both scores, seed by seed."""
        if not self.scratch:
            return None
        return mean_over_seeds([one.score - other.score for one, other in zip(self.tuned, self.scratch, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        scratch, difference = self.scratch_score, self.difference
        return {
            "task": self.task.name,
            "kind": self.task.kind,
            "classes": list(self.task.classes),
            "examples": {split: len(getattr(self.task, split)) for split in SPLITS},
            "metric": self.metric,
            "ceiling": self.task.ceiling,
            "score": self.score.to_json(),
            "scratch_score": scratch and scratch.to_json(),
            "difference": difference and difference.to_json(),
            "seeds": [asdict(one) for one in self.tuned],
            "scratch_seeds": [asdict(one) for one in self.scratch],
        }
