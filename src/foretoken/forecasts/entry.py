"""An entry of the ledger: a forecast that was written down before its run began, and its outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

from foretoken._version import __version__
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.check import PLAIN, Check
from foretoken.fits.parts import Noise
from foretoken.forecasts.band import BandPoint
from foretoken.forecasts.forecast import FORECAST_KEYS, Forecast
from foretoken.results import Result
from foretoken.runs.loss_units import CARRIED, NATS_PER_TOKEN, LossUnit, named_loss_unit
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec

FORMAT = 1
T = TypeVar("T")

UNKNOWN_ORDER = "not known to be frozen before the run"


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

    @property
    def verdict(self) -> str:
        """`inside` or `outside` the interval."""
        return "inside" if self.inside else "outside"

    @property
    def came_after(self) -> bool:
        """Whether the run is known to have begun after its forecast was frozen: a start before that is refused."""
        return self.started_at is not None

    @property
    def order(self) -> str:
        """What came first, as far as it is known."""
        return "frozen before the run" if self.came_after else UNKNOWN_ORDER

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are written to disk."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Outcome:
        """The inverse of `to_json`; ValueError for unknown keys, other types, and numbers that are not finite."""
        return _validated(cls, _without_format(values))


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

    @property
    def frozen_instant(self) -> datetime:
        """When the forecast was frozen."""
        return instant(self.frozen_at)

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

        Raises StoreError when the run is known to have begun before the forecast was frozen: then it is no forecast.

        """
        if not (math.isfinite(loss) and loss > 0):
            raise ForetokenError(
                "the loss must be a finite number above 0", got=repr(loss), cure=f"in {self.forecast.unit}"
            )
        if unit := self._unit_named(loss_unit):
            loss_se = None if loss_se is None else float(unit.error_in_kept(loss_se, loss))
            loss = float(unit.in_kept(loss))
        if started_at and instant(started_at) < self.frozen_instant:
            raise StoreError(
                "the run began before this forecast was frozen, so it is no forecast",
                expected=f"a start after {self.frozen_at}",
                got=started_at,
                cure="in a study: give the target another seed or size, and run again",
            )
        return Outcome(
            run=run,
            loss=loss,
            loss_se=loss_se,
            error=relative_error(self.forecast.loss, loss),
            inside=self.forecast.contains(loss),
            rivals={name: relative_error(rival, loss) for name, rival in self.rivals.items()},
            started_at=started_at,
            finished_at=finished_at,
            scored_at=now(),
        )

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

    def score_record(self, record: RunRecord) -> Outcome:
        """Hold the forecast against a record of ours. Raises StoreError for a run that did not finish."""
        if not record.is_finished or record.loss is None:
            raise StoreError(
                "the target has no loss", expected="a finished run", got=record.status, cure="run it again"
            )
        return self.score(
            record.loss,
            run=record.spec.key,
            loss_se=record.loss_se,
            loss_unit=NATS_PER_TOKEN,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are written to disk: the forecast's keys stand among the entry's own."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for nested in ("name", "forecast", "spec", "band"):
            del plain[nested]
        forecast = self.forecast
        size = {"params": forecast.params, "tokens": forecast.tokens, "flops": forecast.flops}
        target = size if self.spec is None else self.spec.to_json()
        return {
            "format": FORMAT,
            "name": self.name,
            **forecast.to_json(),
            **plain,
            "noise": asdict(self.noise),
            "target": {**target, "band": [asdict(point) for point in self.band]},
        }

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


def instant(text: str) -> datetime:
    """An ISO 8601 time as an instant that compares with others; one without a zone is UTC.

    >>> instant("2030-01-31T13:00:00+01:00") == instant("2030-01-31T12:00:00")
    True
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ForetokenError("a time is not readable", expected="ISO 8601, 2030-01-31T12:00:00Z", got=text) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def now() -> str:
    """The present moment: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _without_format(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an entry or outcome but for `format`; ValueError where that is not ours."""
    own = dict(values)
    version = own.pop("format", None)
    if version != FORMAT:
        raise ValueError(f"format {version!r}, where this version reads {FORMAT}")
    return own


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Plain values -> an object of this class, every type checked."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python


def _validated(kind: type[T], values: Mapping[str, Any]) -> T:
    validated: T = _reader(cast(Hashable, kind))(values)
    return validated
