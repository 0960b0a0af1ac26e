"""A score of a run's network on a task: one row of a table in long form."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.results import Result


@dataclass(frozen=True, kw_only=True)
class TaskScore(Result):
    """How well a network did on a task, by one metric."""

    task: str
    metric: str
    shots: int
    """Solved examples shown before each question."""
    score: float
    score_se: float | None
    """Its standard error, clustered by document; None where one question has none."""
    n: int
    """Questions scored."""
    step: int | None = None
    """Optimizer steps of a checkpoint; None at the end of the run."""
