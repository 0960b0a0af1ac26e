"""The tables `[evaluate]` and `[finetune]` of a study file: what its networks are scored on, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from foretoken.runs.section import Section
from foretoken.runs.task_section import TaskSection

TaskKind = Literal["single", "pair", "similarity", "choice", "labels", "text-to-text"]
Whole = Annotated[int, Field(strict=True, ge=0, le=10_000)]


class EvaluateSection(Section):
    """What the networks are scored on at the end of their runs, and on the way."""

    tasks: list[str | TaskSection] = Field(min_length=1, max_length=200)
    """Files of tasks beside the study file, or tasks made by code: { name = "addition", digits = 2 }."""
    shots: list[Whole] = Field(default=[0], min_length=1, max_length=20)
    """Solved examples before each question; every task is asked with each number."""
    seeds: list[Whole] = Field(default=[0], min_length=1, max_length=20)
    """Of the draws of these examples; scores are means over them."""
    questions: int = Field(default=200, ge=2, le=1_000_000, strict=True)
    """Of each task at most."""
    metrics: list[str] = Field(default=[], max_length=50)
    """Those that suit each task, unless given."""
    # Shares, not steps: runs of a ladder have lengths of their own.
    when: list[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(default=[], max_length=100)
    """Shares of a run's steps after which its network is scored too, beside its end."""
    when_of: Literal["target", "all"] = "target"
    """Whose networks are scored on the way."""

    @field_validator("shots", "seeds", "when")
    @classmethod
    def _stands_once(cls, values: list[float]) -> list[float]:
        if len(set(values)) < len(values):
            raise ValueError("a number stands there twice")
        return sorted(values)

    @field_validator("tasks")
    @classmethod
    def _has_no_shares(cls, tasks: list[str | TaskSection]) -> list[str | TaskSection]:
        for task in tasks:
            if isinstance(task, TaskSection) and task.share:
                told = f"`share` of the task {task.name} says how much of a corpus it is: say it in [corpus] tasks"
                raise ValueError(f"{told}; here all tasks are asked alike")
        return tasks


class FinetuneSection(Section):
    """How copies of the networks are tuned, at the ends of their runs and wherever `[evaluate]` scores on the way."""

    task: str = Field(min_length=1)
    """A file of labelled examples beside the study file, see docs/fine_tuning.md."""
    kind: TaskKind
    """What is learned."""
    seeds: int = Field(default=1, ge=1, le=100, strict=True)
    """How often each network is tuned."""
    learning_rates: list[Annotated[float, Field(gt=0.0, le=10.0)]] = Field(default=[5e-4, 2e-3], min_length=1)
    """Tried in turn; the one with the least validation loss is taken."""
    epochs: int = Field(default=5, ge=1, le=1000, strict=True)
    """Rounds over the training examples, at most."""
    classes: list[str] = Field(default=[], max_length=1000)
    """All classes; those of the training examples unless given."""
