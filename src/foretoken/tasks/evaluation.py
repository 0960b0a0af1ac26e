"""What the networks of a study are scored on: tasks, shots, and at which steps. A file of the study's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from foretoken.runs.spec import RunSpec, read_as
from foretoken.tasks.task import PromptTask

FewRuns = Literal["target", "all"]
LATER = ("after", "masks")
"""Fields that evaluations of earlier versions do not have: where they say nothing, they change no digest."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Labelled examples that a copy of a network is tuned on, and scored on by those that are held out."""

    name: str
    """Of the task."""
    file: str
    """Name of the file of examples, beside the evaluation's own."""
    kind: str
    seeds: int
    learning_rates: tuple[float, ...]
    epochs: int
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Tasks and how they are asked. Two of one digest give the same scores of the same network."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    tasks: tuple[PromptTask, ...]
    shots: tuple[int, ...] = (0,)
    """Solved examples before each question; every task is asked with each number."""
    seeds: tuple[int, ...] = (0,)
    """Of the draws of these examples."""
    metrics: tuple[str, ...] = ()
    """Those that suit each task where none is named."""
    when: tuple[float, ...] = ()
    """Shares of a run's steps after which its network is scored on the way, beside the end."""
    when_of: FewRuns = "target"
    """Whose networks are."""
    tuning: Tuning | None = None
    """What copies of the networks are fine-tuned on."""

    def steps(self, run: RunSpec) -> tuple[int, ...]:
        """Steps at which a run is scored, its end the last.

        A step on the way is at least the first, and before the end.
        """
        on_the_way = self.when_of == "all" or run.is_target
        found = {max(1, round(share * run.steps)) for share in self.when} if on_the_way else set()
        return (*sorted(step for step in found if step < run.steps), run.steps)

    @cached_property
    def digest(self) -> str:
        """A hash of all that the scores depend on beside the network; 16 hexadecimal digits."""
        # The questions themselves, not their source: a file that was edited is other tasks.
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self, dict_factory=_without_later)

    @classmethod
    def from_json(cls, evaluation_json: Mapping[str, Any]) -> Evaluation:
        """The inverse of `to_json`; TypeError for unknown keys and other types."""
        return read_as(cls, evaluation_json)


def _without_later(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if name not in LATER or value is not None}
