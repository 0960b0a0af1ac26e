"""An entry of the ledger: a forecast that was written down before its run began, and its outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar, cast

from foretoken._version import __version__
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.check import PLAIN, Check
from foretoken.fits.parts import Noise
from foretoken.forecasts.band import BandPoint
from foretoken.forecasts.forecast import FORECAST_KEYS, Forecast
from foretoken.forecasts.scores import ScoreForecast, ScoreOutcome, check_outcomes, score_outcomes
from foretoken.results import Result
from foretoken.runs.loss_units import CARRIED, NATS_PER_TOKEN, LossUnit, named_loss_unit
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.task_score import TaskScore
from foretoken.store.chain import FOLLOWS, Follows
from foretoken.store.clock import Moment, Uptime, instant, moved

FORMAT = 2
"""Of entries and outcomes that are links of a chain."""
UNCHAINED = 1
"""Of those that are not: earlier versions wrote them so."""
T = TypeVar("T")
Evidence = Literal["", "clock", "chain"]
"""What shows that a forecast was frozen before its run began."""
ORDER: dict[Evidence, str] = {
    "chain": "frozen before the run",
    "clock": "frozen before the run by the clock",
    "": "not known to be frozen before the run",
}


@dataclass(frozen=True, kw_only=True)
class Outcome(Result):
    """What a run reached, held against its frozen forecast."""

    __pydantic_config__ = PLAIN

    run: str = ""
    """Key or name of the run; empty where only its loss is known."""
    loss: float
    """In the forecast's unit."""
    loss_se: float | None = None
    """Standard error of `loss` over the validation sequences."""
    error: float
    """(forecast - outcome) / outcome."""
    inside: bool
    """Whether the frozen interval holds the loss."""
    rivals: dict[str, float]
    """The same error of each plain rival, by name."""
    started_at: str | None = None
    finished_at: str | None = None
    scored_at: str
    """UTC, ISO 8601."""
    uptime: Uptime | None = None
    """By a clock that nobody sets; None where an earlier version wrote it."""
    follows: Follows | None = None
    """sha256 by name of the ledger's files before this one; None where an earlier version wrote it."""
    scores: list[ScoreOutcome] = field(default_factory=list)
    """What it scored on the tasks whose scores were forecast."""
    evidence: Evidence = field(default="", compare=False)
    """What shows that the forecast came first; never written, and found again by whoever reads the ledger."""

    @property
    def verdict(self) -> str:
        """`inside` or `outside` the interval."""
        return "inside" if self.inside else "outside"

    @property
    def came_after(self) -> bool:
        """Whether the run is known to have begun after its forecast was frozen."""
        return self.evidence != ""

    @property
    def order(self) -> str:
        """What came first, as far as it is known."""
        return ORDER[self.evidence]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are written to disk."""
        plain = asdict(self)
        del plain["evidence"]
        return _linked_json(plain)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        """The inverse of `to_json`; ValueError for unknown keys, other types, and numbers that are not finite."""
        own = _without_format(values)
        if "evidence" in own:
            raise ValueError("evidence is found, not written")
        return _validated(cls, own)


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The run of a forecast begins: written before its first step, so that whatever it follows was there first."""

    __pydantic_config__ = PLAIN

    run: str
    """Key of the run."""
    began_at: str
    """UTC, ISO 8601."""
    uptime: Uptime
    follows: Follows

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are written to disk."""
        return _linked_json(asdict(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Begun:
        """The inverse of `to_json`; ValueError for unknown keys and other types."""
        begun = _validated(cls, _without_format(values))
        instant(begun.began_at)
        return begun


@dataclass(frozen=True, kw_only=True)
class Entry(Result):
    """A forecast that was written down before its run began, with all that it rests on."""

    __pydantic_config__ = PLAIN

    name: str
    """Name of its file."""
    forecast: Forecast
    compute_factor: float
    """FLOP of the target over those of the largest run behind the fit."""
    frozen_at: str
    """UTC, ISO 8601."""
    law: str
    forecast_parameters: dict[str, float]
    parameters: dict[str, float | None]
    noise: Noise
    """How a new run differs from the law, on log loss, as in the fit."""
    bootstrap: str
    """Which resampling gave the draws."""
    params_column: str
    """Which count of parameters is N."""
    data_sha256: str
    """Of the run table behind the fit."""
    records: list[str]
    """Names of the runs behind the fit."""
    rivals: dict[str, float]
    """Losses that were forecast without the law, by name (see `rival_forecasts`)."""
    spec: RunSpec | None = None
    """The planned run, where it is one of a study."""
    band: list[BandPoint] = field(default_factory=list)
    """The forecast for a run of this size that ends at each share of its tokens."""
    conventions: dict[str, str]
    """How `params`, `flops` and `loss` are counted."""
    version: str = __version__
    uptime: Uptime | None = None
    """When it was frozen, by a clock that nobody sets; None where an earlier version wrote it."""
    since: Moment | None = None
    """When the process began that froze it; None where nothing is known of that."""
    follows: Follows | None = None
    """sha256 by name of the ledger's files before this one; None where an earlier version wrote it."""
    scores: list[ScoreForecast] = field(default_factory=list)
    """What the run is forecast to score on tasks."""
    score_checks: list[Check] = field(default_factory=list)
    """The doubts about these scores, or why there are none."""

    @property
    def frozen_instant(self) -> datetime:
        """When the forecast was frozen, by the clock of then."""
        return instant(self.frozen_at)

    @property
    def moment(self) -> Moment:
        """When the forecast was frozen, by both clocks."""
        return Moment(self.frozen_at, self.uptime)

    @property
    def checks(self) -> list[Check]:
        """The doubts of the forecast."""
        return self.forecast.checks

    def score(
        self,
        loss: float,
        *,
        run: str = "",
        loss_se: float | None = None,
        loss_unit: str = "",
        started_at: str | None = None,
        finished_at: str | None = None,
    ) -> Outcome:
        """Hold the forecast against a measured loss.

        Args:
            loss: final loss of the run, in the forecast's unit.
            run: key or name of the run.
            loss_se: standard error of the loss, in the same unit.
            loss_unit: what the loss is in; the forecast's unit unless given. Another is refused.
            started_at: when the run began (ISO 8601; without a zone it is UTC).
            finished_at: when it ended.

        Raises StoreError for a start before the forecast was frozen: then it is no forecast. Where the clock is known
        to have been moved since, such a start shows nothing, and the order counts as not known.

        """
        if not (math.isfinite(loss) and loss > 0):
            raise ForetokenError(
                "the loss must be a finite number above 0", got=repr(loss), cure=f"in {self.forecast.unit}"
            )
        if unit := self._unit_named(loss_unit):
            loss_se = None if loss_se is None else float(unit.error_in_kept(loss_se, loss))
            loss = float(unit.in_kept(loss))
        moment = Moment.now()
        if started_at and not self.shows_first(started_at) and not (self.uptime and self._clock_moved(moment)):
            raise StoreError(
                "the run began before this forecast was frozen, so it is no forecast",
                expected=f"a start after {self.frozen_at}",
                got=started_at,
                cure="where one of the two clocks was wrong, leave the start out: the order then counts as not known",
            )
        return self._outcome(moment, loss, run, loss_se, started_at, finished_at)

    def shows_first(self, started_at: str) -> bool:
        """Whether the clock has it that the forecast was frozen before a run that began then."""
        return instant(started_at) >= self.frozen_instant

    def _clock_moved(self, until: Moment) -> bool:
        """Whether the clock is known to have been moved since the forecast was frozen, or while it was made."""
        since = self.since and moved(self.since, self.moment)
        return bool(since or moved(self.moment, until))

    def _outcome(
        self,
        moment: Moment,
        loss: float,
        run: str,
        loss_se: float | None,
        started_at: str | None,
        finished_at: str | None,
    ) -> Outcome:
        return Outcome(
            run=run,
            loss=loss,
            loss_se=loss_se,
            error=relative_error(self.forecast.loss, loss),
            inside=self.forecast.contains(loss),
            rivals={name: relative_error(rival, loss) for name, rival in self.rivals.items()},
            started_at=started_at,
            finished_at=finished_at,
            scored_at=moment.at,
            uptime=moment.uptime,
            evidence="clock" if started_at and self.shows_first(started_at) and not self._clock_moved(moment) else "",
        )

    def check(self, outcome: Outcome) -> None:
        """Raise ValueError when what an outcome says beside its loss does not follow from this forecast."""
        if not outcome.loss > 0:
            raise ValueError(f"its loss is {outcome.loss}")
        again = self._outcome(Moment(outcome.scored_at), outcome.loss, "", None, None, None)
        known = {"error": (outcome.error, again.error), "inside": (outcome.inside, again.inside)}
        for name in {**outcome.rivals, **again.rivals}:
            known[name] = (outcome.rivals.get(name, math.nan), again.rivals.get(name, math.nan))
        for name, (said, found) in known.items():
            if not math.isclose(said, found, rel_tol=1e-9, abs_tol=1e-12):
                raise ValueError(f"its {name} is {said}, where forecast and loss give {found}")
        check_outcomes(self.scores, outcome.scores)

    def _unit_named(self, loss_unit: str) -> LossUnit | None:
        """The unit of a loss that is scored, None for the forecast's own. ForetokenError for one of another kind."""
        own = self.forecast.unit
        # A forecast of another column than the loss is scored in that column's unit.
        if not loss_unit or own not in CARRIED:
            return None
        said = named_loss_unit(loss_unit)
        if said.kept != own:
            raise ForetokenError(
                "a loss in another unit says nothing of this forecast",
                expected=own,
                got=said.name,
                cure=f"measure the run's loss in {own}; if it is, say --loss-unit '{own}'",
                code="other_loss_unit",
            )
        return said

    def score_record(self, record: RunRecord, scores: Iterable[TaskScore] = ()) -> Outcome:
        """Hold the forecast against a record of ours and the run's scores on tasks, whatever the clocks say.

        Raises StoreError for a run that did not finish.
        """
        if not record.is_finished or record.loss is None:
            raise StoreError(
                "the target has no loss", expected="a finished run", got=record.status, cure="run it again"
            )
        self._unit_named(NATS_PER_TOKEN)
        # Both times are of clocks that may have been set in between: they are kept, and the chain says what came first.
        outcome = self._outcome(
            Moment.now(), record.loss, record.spec.key, record.loss_se, record.started_at or None, record.finished_at
        )
        return replace(outcome, scores=score_outcomes(self.scores, scores))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are written to disk: the forecast's keys stand among the entry's own."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for nested in ("name", "forecast", "spec", "band"):
            del plain[nested]
        forecast = self.forecast
        size = {"params": forecast.params, "tokens": forecast.tokens, "flops": forecast.flops}
        target = size if self.spec is None else self.spec.to_json()
        scores = [asdict(one) for one in self.scores]
        moments = {"uptime": self.uptime and asdict(self.uptime), "since": self.since and asdict(self.since)}
        return _linked_json(
            {
                "name": self.name,
                **forecast.to_json(),
                **plain,
                **moments,
                "noise": asdict(self.noise),
                "scores": scores,
                "score_checks": [asdict(check) for check in self.score_checks],
                "target": {**target, "band": [asdict(point) for point in self.band]},
            }
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Entry:
        """The inverse of `to_json`; ValueError for unknown keys, other types, and numbers that are not finite."""
        own = _without_format(values)
        # On disk the forecast's keys stand among the entry's own, as a table of entries reads them.
        forecast = {key: own.pop(key) for key in FORECAST_KEYS if key in own}
        own.pop("loss_unit", None)  # which is the forecast's `unit`
        if "extrapolation" in forecast:
            forecast["extrapolation"] = {"factors": forecast["extrapolation"]}
        target = own.pop("target", None)
        if not isinstance(target, dict):
            raise ValueError("no target")
        band = target.get("band", [])
        planned = {key: value for key, value in target.items() if key != "band"}
        try:
            spec = RunSpec.from_json(planned) if "shape" in planned else None
        except (TypeError, KeyError, ForetokenError) as error:
            raise ValueError(f"the target is no run of this version: {error}") from None
        entry = _validated(cls, {**own, "forecast": forecast, "spec": spec, "band": band})
        instant(entry.frozen_at)  # an unreadable time is refused here, not when a run is scored
        return entry


def relative_error(forecast: float, outcome: float) -> float:
    """(forecast - outcome) / outcome.

    >>> round(relative_error(2.02, 2.0), 9)
    0.01
    """
    return (forecast - outcome) / outcome


def _without_format(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an entry or outcome but for `format`; ValueError where that is not ours."""
    own = dict(values)
    version = own.pop("format", None)
    if version not in (UNCHAINED, FORMAT) or (version == FORMAT) != (own.get(FOLLOWS) is not None):
        raise ValueError(f"format {version!r}, where this version reads {UNCHAINED} and {FORMAT}")
    return own


def _linked_json(plain_json: dict[str, Any]) -> dict[str, Any]:
    """The values of a link, its format first; what is not known of its moment and of those before it is left out."""
    optional = ("uptime", "since", "scores", "score_checks", FOLLOWS)
    known = {name: value for name, value in plain_json.items() if name not in optional or value not in (None, [])}
    return {"format": FORMAT if FOLLOWS in known else UNCHAINED, **known}


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Plain values -> an object of this class, every type checked."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python


def _validated(kind: type[T], values: Mapping[str, Any]) -> T:
    validated: T = _reader(cast(Hashable, kind))(values)
    return validated
