"""Scores of a run's network on tasks: rows of a table in long form, and what each question gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.results import Result
from foretoken.runs.spec import read_as


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


@dataclass(frozen=True, kw_only=True)
class QuestionValues:
    """What each question of a task gave by one metric, in the order of the task."""

    task: str
    metric: str
    shots: int
    values: tuple[float | None, ...]
    """Means over the seeds of the shots; None of a question that was left out."""


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """All scores of a run at one step."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    run: str
    """Key of the run."""
    evaluation: str
    """Digest of the tasks and of how they are asked (tasks/evaluation.py)."""
    step: int
    """Optimizer steps of the network."""
    steps: int
    """Of the whole run."""
    seconds: float
    """What the scoring took."""
    scores: tuple[TaskScore, ...]
    questions: tuple[QuestionValues, ...] = ()

    @property
    def at_the_end(self) -> bool:
        """Whether the run had come to its end."""
        return self.step == self.steps

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, scores_json: Mapping[str, Any]) -> RunScores:
        """The inverse of `to_json`; TypeError for unknown keys, other types, and numbers that are not finite."""
        return read_as(cls, scores_json)
