"""StudyResults: all that a report shows, gathered by study.py. Whatever a study does not have yet is None or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foretoken.fits.result import Fit
from foretoken.routes.isoflop import IsoflopFit
from foretoken.runs.record import RunRecord
from foretoken.runs.table import RunTable

if TYPE_CHECKING:
    import pandas as pd

TARGET = "target"
"""The group of the run that is forecast."""


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A study as it stands: nothing finished, half way, refused, forecast, or scored."""

    name: str
    study: Mapping[str, Any]
    """The study file's settings, as `Study.model_dump()`."""
    table: RunTable
    """Rows of the ladder and of the target (its `group` is `target`)."""
    records: Sequence[RunRecord] = ()
    fit: Fit | None = None
    approach3: Fit | None = None
    """Chinchilla's own form, where the forecast is by another law."""
    isoflop: IsoflopFit | None = None
    forecast: Mapping[str, Any] | None = None
    """The ledger's frozen entry: forecast, frozen_at, data_sha256, compute_factor, rivals."""
    outcome: Mapping[str, Any] | None = None
    """The ledger's score: loss, error, inside, started_at, finished_at, rivals."""
    refusal: str | None = None
    """Why there is no fit or no forecast, in the words of the error."""
    design: Mapping[str, Any] = field(default_factory=dict)
    """runs, total_flops, target {params_total, tokens, flops}, share_of_target."""
    corpus: Mapping[str, Any] = field(default_factory=dict)
    """source, tokens, bytes, sha256, entropy_rate."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """planned, running, finished, diverged, failed."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """seconds, kwh, kwh_source, machine."""
    entropy_rate: float | None = None
    """Nats per token that no model can go below, where the source is synthetic."""
    commands: Sequence[str] = ()
    """What was typed, to make and to rebuild."""
    version: str = ""

    @property
    def predicted(self) -> Mapping[str, Any]:
        """The frozen entry as one flat mapping, whether its forecast is nested or not; empty without one."""
        entry = self.forecast or {}
        return {**entry, **(entry.get("forecast") or {})}

    @property
    def rivals(self) -> Mapping[str, float]:
        """Losses that the plain rivals forecast, by name."""
        found: Mapping[str, float] = self.predicted.get("rivals") or {}
        return found

    @property
    def ladder(self) -> pd.DataFrame:
        """The rows of the small runs."""
        frame = self.table.frame
        return frame[frame["group"] != TARGET] if "group" in frame else frame
