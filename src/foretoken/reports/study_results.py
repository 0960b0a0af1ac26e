"""StudyResults: all that a study's page shows. What a study does not have yet is None or empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foretoken.abilities.result import Scores
from foretoken.abilities.tail_result import Tail
from foretoken.designs import Design
from foretoken.fits.result import Fit
from foretoken.forecasts.entry import Entry, Outcome
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.scores import ScoreForecast, ScoreOutcome
from foretoken.results import Result
from foretoken.routes.isoflop import IsoflopFit
from foretoken.runs.record import RunCounts, RunRecord
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"
"""The group of the run that is forecast."""


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What the runs were trained on."""

    source: str
    tokens: int | None = None
    bytes: int | None = None
    sha256: str = ""
    entropy_rate: float | None = None
    """Nats per token that no model can go below, where the source is synthetic."""


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What the training of all runs took together."""

    seconds: float
    kwh: float | None = None
    kwh_source: str = ""
    """How the energy was measured or estimated."""
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyResults(Result):
    """A study as it stands: nothing finished, half way, refused, forecast, or scored."""

    name: str
    settings_json: Mapping[str, Any]
    """The study file's settings, defaults included."""
    table: RunTable
    """Rows of the ladder and of the target (its `group` is `target`)."""
    records: Sequence[RunRecord] = ()
    fit: Fit | None = None
    approach3: Fit | None = None
    """Chinchilla's own form, where the forecast is by another law."""
    isoflop: IsoflopFit | None = None
    entry: Entry | None = None
    """The frozen forecast."""
    outcome: Outcome | None = None
    """What the target reached, held against the forecast."""
    refusal: str | None = None
    """Why there is no fit or no forecast, in the words of the error."""
    design: Design | None = None
    corpus: CorpusFacts | None = None
    counts: RunCounts = field(default_factory=RunCounts)
    cost: TrainingCost | None = None
    commands: Sequence[str] = ()
    """What was typed, to make and to rebuild."""
    version: str = ""
    scores: pd.DataFrame | None = None
    """Scores of the runs on tasks, in long form (store/score_rows.py); None where there are none."""
    score_curves: Scores | None = None
    """What each score of the small runs does with compute, pairs of metrics, and what shots gain."""
    tail: Tail | None = None
    """Accuracy by mentions in the training text; None where no mentions are known."""
    told: Sequence[str] = ()
    """What is doubtful about the study's files, a sentence each."""

    @property
    def forecast(self) -> Forecast | None:
        """The forecast that was frozen."""
        return self.entry.forecast if self.entry else None

    @property
    def score_forecasts(self) -> Sequence[ScoreForecast]:
        """What the target was forecast to score on tasks."""
        return self.entry.scores if self.entry else ()

    @property
    def score_outcomes(self) -> Sequence[ScoreOutcome]:
        """What it scored."""
        return self.outcome.scores if self.outcome else ()

    @property
    def rivals(self) -> Mapping[str, float]:
        """Losses that the plain rivals forecast, by name."""
        return self.entry.rivals if self.entry else {}

    @property
    def entropy_rate(self) -> float | None:
        """Nats per token that no model can go below, where the source is synthetic."""
        return self.corpus.entropy_rate if self.corpus else None

    @property
    def ladder(self) -> pd.DataFrame:
        """The rows of the small runs."""
        frame = self.table.frame
        return frame[frame["group"] != TARGET] if "group" in frame else frame
