"""Scores of a run on tasks, forecast beside its loss and held against what it scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from foretoken.fits.check import PLAIN
from foretoken.runs.task_score import TaskScore


@dataclass(frozen=True, kw_only=True)
class ScoreForecast:
    """What a run is forecast to score by one metric of a task."""

    __pydantic_config__ = PLAIN

    task: str
    metric: str
    shots: int
    score: float | None
    """None with a reason."""
    low: float | None
    high: float | None
    """The interval of one new measurement."""
    level: float
    route: str
    """How it was forecast, mostly (see docs/downstream.md)."""
    reason: str = ""
    """Why there is no score, or why it says little."""
    evaluation: str = ""
    """Digest of the tasks (tasks/evaluation.py): a score of other questions is not held against it."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What is scored, and how."""
        return (self.task, self.metric, self.shots)

    def outcome(self, measured: float, measured_se: float | None, n: int) -> ScoreOutcome:
        """Hold it against a measured score.

        >>> ScoreForecast(task="t", metric="accuracy", shots=0, score=0.5, low=0.4, high=0.6, level=0.9,
        ...               route="direct").outcome(0.65, 0.02, 500).inside
        False
        """
        inside = None if self.low is None or self.high is None else self.low <= measured <= self.high
        error = None if self.score is None else self.score - measured
        return ScoreOutcome(
            task=self.task,
            metric=self.metric,
            shots=self.shots,
            score=measured,
            score_se=measured_se,
            n=n,
            error=error,
            inside=inside,
        )


@dataclass(frozen=True, kw_only=True)
class ScoreOutcome:
    """What a run scored, held against its forecast."""

    __pydantic_config__ = PLAIN

    task: str
    metric: str
    shots: int
    score: float
    score_se: float | None
    n: int
    """Questions."""
    error: float | None
    """Forecast less outcome; None where nothing was forecast."""
    inside: bool | None
    """Whether the frozen interval holds the score; None where nothing was forecast."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What is scored, and how."""
        return (self.task, self.metric, self.shots)

    @property
    def side(self) -> str:
        """`inside` or `outside` the interval; empty where nothing was forecast."""
        if self.inside is None:
            return ""
        return "inside" if self.inside else "outside"


@dataclass(frozen=True)
class ScoreLine:
    """A forecast score, and its outcome once there is one."""

    forecast: ScoreForecast
    outcome: ScoreOutcome | None

    @property
    def verdict(self) -> str:
        """`inside` or `outside` the interval, `open` before it is scored, `not forecast` without an interval."""
        if self.forecast.low is None or self.forecast.high is None:
            return "not forecast"
        return "open" if self.outcome is None else self.outcome.side

    def to_json(self) -> dict[str, Any]:
        """Plain values; what a table of scores shows."""
        forecast, outcome = self.forecast, self.outcome
        shown = ("task", "metric", "shots", "score", "low", "high", "level", "reason")
        found = ("score", "score_se", "n", "error", "inside")
        return {
            **{key: getattr(forecast, key) for key in shown},
            "outcome": outcome and {key: getattr(outcome, key) for key in found},
        }


def score_lines(forecasts: Iterable[ScoreForecast], outcomes: Iterable[ScoreOutcome]) -> list[ScoreLine]:
    """Each forecast with its outcome."""
    found = {outcome.key: outcome for outcome in outcomes}
    return [ScoreLine(forecast, found.get(forecast.key)) for forecast in forecasts]


def score_outcomes(forecasts: Sequence[ScoreForecast], measured: Iterable[TaskScore]) -> list[ScoreOutcome]:
    """Each forecast held against the score of its task, metric and shots at the end of the run, where there is one."""
    # Scores on the way are of networks whose learning rate was still high: no forecast was of them.
    found = {(one.task, one.metric, one.shots): one for one in measured if one.step is None}
    pairs = [(forecast, found[forecast.key]) for forecast in forecasts if forecast.key in found]
    return [forecast.outcome(score.score, score.score_se, score.n) for forecast, score in pairs]


def check_outcomes(forecasts: Sequence[ScoreForecast], outcomes: Sequence[ScoreOutcome]) -> None:
    """Raise ValueError for an outcome that does not follow from its forecast and its own score."""
    known = {forecast.key: forecast for forecast in forecasts}
    for outcome in outcomes:
        forecast = known.get(outcome.key)
        if forecast is None:
            raise ValueError(f"no score of {outcome.task} was forecast by {outcome.metric} with {outcome.shots} shots")
        # Nothing is taken on trust: error and verdict are reckoned again from what was frozen.
        if forecast.outcome(outcome.score, outcome.score_se, outcome.n) != outcome:
            raise ValueError(f"the verdict on {outcome.task} ({outcome.metric}) does not follow from its forecast")
