"""Downstream: the scores that a run will reach, with what they rest on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from foretoken.abilities.axes import CurveName
from foretoken.fits.check import PLAIN, Check
from foretoken.results import Result, with_reasons_json
from foretoken.store.atomic import json_bytes, write_output


@dataclass(frozen=True)
class RouteScore:
    """What one route says of a score, and how it fared on the table's own larger runs."""

    __pydantic_config__ = PLAIN

    route: str
    weight: float
    """Of all routes together 1."""
    score: float
    low: float
    high: float
    held_out_error: float | None
    """Mean absolute error of the score on larger runs of the table, each once; None where none could be held out."""
    held_out_inside: float | None
    """Share of them inside the interval of 90 %."""


@dataclass(frozen=True)
class TaskForecast:
    """The score of one run on one task."""

    __pydantic_config__ = PLAIN

    group: str
    task: str
    metric: str
    shots: str
    params: float
    tokens: float
    flops: float
    score: float | None
    """A fraction, in the direction of its metric (an error stays an error); None with a reason."""
    low: float | None
    high: float | None
    """The ends that hold one new measurement."""
    level: float
    route: str
    """The heaviest of `routes`."""
    compute_factor: float
    """Compute over that of the group's largest run, 1 inside."""
    reason: str
    """Why there is no score, or why it says little; "" otherwise."""
    routes: tuple[RouteScore, ...]

    @property
    def curve(self) -> CurveName:
        """What names its curve."""
        return CurveName(self.group, self.task, self.metric, self.shots)

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self)
        untested = dict.fromkeys(("held_out_error", "held_out_inside"), "no larger run could be held out for it")
        values["routes"] = [with_reasons_json(one, **untested) for one in values["routes"]]
        return with_reasons_json(values, **dict.fromkeys(("score", "low", "high"), self.reason))


@dataclass(frozen=True)
class LossOfRun:
    """The loss on which the scores of a run rest."""

    __pydantic_config__ = PLAIN

    group: str
    params: float
    tokens: float
    flops: float
    loss: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Band:
    """A curve with the interval of a new measurement along it; the arrays have one length."""

    __pydantic_config__ = PLAIN

    x: tuple[float, ...]
    score: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class MeasuredScore:
    """A score of the table."""

    __pydantic_config__ = PLAIN

    run: str
    flops: float
    loss: float | None
    score: float


@dataclass(frozen=True)
class TaskCurve:
    """The measured scores of one task, and how it follows loss and compute."""

    __pydantic_config__ = PLAIN

    group: str
    task: str
    metric: str
    shots: str
    chance: float | None
    measured: tuple[MeasuredScore, ...]
    by_loss: Band | None
    """Score against loss, where the table has a loss."""
    by_compute: Band
    """Score against FLOP, at the tokens per parameter of the largest run asked for."""

    @property
    def name(self) -> CurveName:
        """What names it."""
        return CurveName(self.group, self.task, self.metric, self.shots)

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self)
        values["measured"] = [
            with_reasons_json(one, loss="the table has none of this run") for one in values["measured"]
        ]
        return with_reasons_json(
            values,
            chance="not in the table, and not known of the task: --chance",
            by_loss="no route goes through a loss",
        )


@dataclass(frozen=True)
class HeldOutScore:
    """A run of the table, forecast on one task by all routes together from smaller runs.

    The routes are weighed by what they foretold of those smaller runs. Each run is there once, forecast from as many
    smaller runs as any cut shows that leaves it out.
    """

    __pydantic_config__ = PLAIN

    group: str
    task: str
    metric: str
    shots: str
    run: str
    compute_factor: float
    """Compute over that of the largest run seen."""
    score: float
    forecast: float
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        """Whether the score lies inside the interval."""
        return self.low <= self.score <= self.high


@dataclass(frozen=True)
class GroupForecasts:
    """What was forecast of one group of a table, or of all of them at once."""

    tasks: tuple[TaskForecast, ...]
    curves: tuple[TaskCurve, ...]
    checks: tuple[Check, ...]
    losses: tuple[LossOfRun, ...] = ()
    held_out: tuple[HeldOutScore, ...] = ()


@dataclass(frozen=True)
class Downstream(Result, rows="tasks"):
    """The scores of runs that were not trained, by loss and straight from size and tokens, weighed."""

    tasks: tuple[TaskForecast, ...]
    """One for each run asked for, group, and task."""
    losses: tuple[LossOfRun, ...]
    """Empty where the table has no loss."""
    curves: tuple[TaskCurve, ...]
    held_out: tuple[HeldOutScore, ...]
    level: float
    route: str
    """What was asked for: weighed, two_step, direct or observational."""
    law: str
    """Of the loss; "" where none is asked for one."""
    source: str
    checks: tuple[Check, ...]
    assumed: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        plain = {name: [asdict(one) for one in getattr(self, name)] for name in ("losses", "held_out", "checks")}
        told = {name: [one.to_json() for one in getattr(self, name)] for name in ("tasks", "curves")}
        return {field.name: getattr(self, field.name) for field in fields(self)} | plain | told

    def save(self, path: str | Path) -> None:
        """Write the result as one JSON file."""
        write_output(Path(path), json_bytes(self.to_json()))
