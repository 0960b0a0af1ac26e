"""The ledger: forecasts frozen before their target trains, placed while it trains, and scored after it.

ledger/target.json           the forecast, written once
ledger/target.begun          its run begins, written once before the first step: in a study
ledger/target.outcome.json   what happened, written once
ledger/seals                 the sha256 of each

Each names those before it by their sha256 (store/chain.py): what came first is read off that. Error and verdict are
found again by whoever reads an outcome; one that says otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from foretoken.arguments import named_arguments
from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.check import Check
from foretoken.fits.result import AnyFit, Fit, as_fit
from foretoken.forecasts.anchor import Anchor
from foretoken.forecasts.band import BandPoint, PlacedPoint, band_along, place_points
from foretoken.forecasts.entry import Begun, Entry, Evidence, Outcome
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.forecasts.request import Amount
from foretoken.forecasts.rivals import rival_forecasts
from foretoken.forecasts.scores import ScoreForecast, ScoreLine, score_lines
from foretoken.results import Result
from foretoken.runs.spec import RunSpec
from foretoken.store import chain
from foretoken.store.atomic import read_checksummed_json
from foretoken.store.chain import Chain
from foretoken.store.clock import Moment, instant
from foretoken.units import format_duration

OUTCOME = ".outcome.json"
BEGUN = ".begun"

SHOWN = ("params", "tokens", "flops", "loss", "low", "high", "level", "unit", "loss_unit")
"""Keys of a forecast that a table of forecasts shows."""
T = TypeVar("T", Entry, Begun, Outcome)


@dataclass(frozen=True)
class LedgerLine:
    """One forecast of a ledger, and its outcome once there is one."""

    name: str
    entry: Entry
    outcome: Outcome | None = None
    place: int = 0
    """Where it stands in the chain of the ledger's files."""
    anchor: Anchor | None = field(default=None, compare=False)
    """What proves it to others, where it was read from its file."""

    @property
    def scores(self) -> list[ScoreLine]:
        """The scores on tasks that were forecast beside the loss."""
        return score_lines(self.entry.scores, self.outcome.scores if self.outcome else ())

    @property
    def early(self) -> str:
        """What the clocks say where they have it that the run began before its forecast was frozen."""
        started = self.outcome and self.outcome.started_at
        if not started or self.entry.shows_first(started):
            return ""
        seconds = (self.entry.frozen_instant - instant(started)).total_seconds()
        return f"by the clocks the run of {self.name} began {format_duration(seconds)} before its forecast was frozen"

    def to_json(self) -> dict[str, Any]:
        """What a table of forecasts shows; the whole entry is `entry.to_json()`."""
        forecast = self.entry.forecast.to_json()
        told = ("loss", "error", "inside", "order")
        outcome = self.outcome and {name: getattr(self.outcome, name) for name in told}
        return {
            "name": self.name,
            **{key: forecast[key] for key in SHOWN},
            "compute_factor": self.entry.compute_factor,
            "frozen_at": self.entry.frozen_at,
            "outcome": outcome,
            **({"scores": [one.to_json() for one in self.scores]} if self.scores else {}),
            **({"score_checks": list(map(asdict, self.entry.score_checks))} if self.entry.score_checks else {}),
            **({"anchor": str(self.anchor)} if self.anchor else {}),
        }


@dataclass(frozen=True)
class LedgerSummary(Result, rows="entries"):
    """All forecasts of a ledger, and means over those that are scored; None before anything is scored."""

    entries: tuple[LedgerLine, ...]
    frozen: int
    """Forecasts, scored or open."""
    scored: int
    mean_error: float | None
    """Mean absolute relative error."""
    bias: float | None
    """Mean signed relative error: above 0 the forecasts were too high."""
    coverage: float | None
    """Share of outcomes inside their interval."""
    rivals: dict[str, float]
    """Mean absolute relative error of each plain rival."""
    reason: str | None
    """Why the means are None."""
    left_out: tuple[str, ...] = ()
    """Files that were in the ledger and are gone."""
    clock: tuple[str, ...] = ()
    """Where the clock was moved, a sentence each. No order is taken from it."""

    @property
    def told(self) -> list[str]:
        """What is doubtful about the ledger itself, a sentence each."""
        return [f"left out: {name} was in this ledger and is gone" for name in self.left_out] + [*self.clock]

    @property
    def order(self) -> str:
        """Which of the scored forecasts are known to have come before their run; empty while none is scored."""
        outcomes = [line.outcome for line in self.entries if line.outcome]
        known = sum(outcome.came_after for outcome in outcomes)
        if not self.scored:
            return ""
        by_clock = " by the clock" if any(outcome.evidence == "clock" for outcome in outcomes) else ""
        if known == self.scored:
            return f"frozen before {'its run' if self.scored == 1 else 'their runs'}{by_clock}"
        return f"{known} of {self.scored} known to be frozen before the run{by_clock}: nothing shows it of the others"

    def to_json(self) -> dict[str, Any]:
        """Plain values: the keys of `foretoken ledger show --json`."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {**plain, "entries": [line.to_json() for line in self.entries]}


@dataclass(frozen=True)
class Ledger(Mapping[str, LedgerLine]):
    """Forecasts by name, in alphabetical order where they were read from a folder."""

    lines: tuple[LedgerLine, ...] = ()
    left_out: tuple[str, ...] = ()
    """Files that were in the folder and are gone."""
    clock: tuple[str, ...] = ()
    """Where the clock was moved, a sentence each."""

    @classmethod
    def read(cls, folder: str | Path) -> Ledger:
        """All forecasts of a folder. Raises StoreError, with the file, for one that was changed or added afterwards."""
        links = Chain.read(Path(folder))
        links.check()
        # An outcome is listed with its forecast; one without a forecast says nothing and is left where it is.
        names = [name for name in links.links if not name.endswith((OUTCOME, BEGUN))]
        lines = tuple(_line(links, name) for name in names)
        return cls(lines, links.lost, (*links.clock_moves(), *(line.early for line in lines if line.early)))

    def __getitem__(self, name: str) -> LedgerLine:
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (line.name for line in self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def summary(self) -> LedgerSummary:
        """Mean errors and coverage over the scored forecasts, the rivals' errors beside them."""
        outcomes = [line.outcome for line in self.lines if line.outcome is not None]
        names = dict.fromkeys(name for outcome in outcomes for name in outcome.rivals)
        return LedgerSummary(
            entries=self.lines,
            frozen=len(self.lines),
            scored=len(outcomes),
            mean_error=_mean([abs(outcome.error) for outcome in outcomes]),
            bias=_mean([outcome.error for outcome in outcomes]),
            coverage=_mean([float(outcome.inside) for outcome in outcomes]),
            rivals={
                name: sum(errors) / len(errors)
                for name in names
                if (errors := [abs(outcome.rivals[name]) for outcome in outcomes if name in outcome.rivals])
            },
            reason=None if outcomes else "nothing is scored yet",
            left_out=self.left_out,
            clock=self.clock,
        )


def freeze(
    path: str | Path,
    forecast: Forecast,
    *,
    fit: Fit,
    rivals: Mapping[str, float],
    conventions: Mapping[str, str],
    band: list[BandPoint] | None = None,
    spec: RunSpec | None = None,
    since: Moment | None = None,
    scores: Iterable[ScoreForecast] = (),
    score_checks: Iterable[Check] = (),
) -> Entry:
    """Write the forecast of a run to `path`, with all that it rests on. Raises StoreError when it exists.

    The arguments are fields of `Entry`. A clock that was moved `since` this process began is told.
    """
    moment = Moment.now()
    entry = Entry(
        name=Path(path).name,
        forecast=forecast,
        compute_factor=forecast.flops / fit.ranges.flops.high,
        frozen_at=moment.at,
        uptime=moment.uptime,
        since=since,
        law=fit.law,
        forecast_parameters=dict(fit.map_parameters),
        parameters=dict(fit.parameters),
        noise=fit.noise,
        bootstrap=fit.bootstrap,
        params_column=fit.params_column,
        data_sha256=fit.data_sha256,
        records=sorted(run.run for run in fit.runs),
        rivals=dict(rivals),
        spec=spec,
        band=band or [],
        scores=list(scores),
        score_checks=list(score_checks),
        conventions=dict(conventions),
    )
    return _write_once(Path(path), entry)


def begin(path: str | Path, run: str) -> None:
    """Write beside the forecast at `path` that its run begins now, unless that was written before."""
    file, moment = Path(path).with_suffix(BEGUN), Moment.now()
    assert moment.uptime
    if not file.exists():
        _write_once(file, Begun(run=run, began_at=moment.at, uptime=moment.uptime, follows={}))


def keep_outcome(path: str | Path, outcome: Outcome) -> Outcome:
    """Write the outcome beside the forecast at `path`, and give it as it is read. Raises StoreError when it exists."""
    _write_once(outcome_path(path), outcome)
    return cast(Outcome, read_outcome(path))


def outcome_path(path: str | Path) -> Path:
    """The file of the outcome of the forecast at `path`."""
    return Path(path).with_suffix(OUTCOME)


def read_entry(path: str | Path) -> Entry:
    """Read a frozen forecast. Raises StoreError when it was changed, is damaged, or from a newer version."""
    return read_line(path).entry


def read_outcome(path: str | Path) -> Outcome | None:
    """Read the outcome of the forecast at `path`; None before there is one. Raises StoreError as `read_entry` does."""
    return read_line(path).outcome


def read_line(path: str | Path) -> LedgerLine:
    """Read a frozen forecast with its outcome, whatever else its folder holds. Raises StoreError as `read_entry`."""
    path = Path(path)
    links = Chain.read(path.parent, alone=False)
    for file in (path, path.with_suffix(BEGUN), outcome_path(path)):
        links.check(file.name)
        if file == path or file.is_file():
            read_checksummed_json(file)  # a damaged one that has no seal is passed over above
    return _line(links, path.name)


def _line(links: Chain, name: str) -> LedgerLine:
    """A forecast of a ledger, with all that was written beside it."""
    path = links.folder / name
    entry = _read(links, path, Entry.from_json)
    if entry is None or entry.name != name:
        got = "another file" if entry is None else f"the file of {entry.name}"
        raise StoreError(f"{path} is no entry of a ledger", got=got, cure="restore it")

    def checked_from_json(values: Mapping[str, Any]) -> Outcome:
        outcome = Outcome.from_json(values)
        entry.check(outcome)
        return replace(outcome, evidence=_evidence(links, path, entry, outcome))

    outcome = _read(links, outcome_path(path), checked_from_json)
    return LedgerLine(path.stem, entry, outcome, links.places.get(name, 0), Anchor.of(links.links[name]))


def _evidence(links: Chain, path: Path, entry: Entry, outcome: Outcome) -> Evidence:
    """What shows that a forecast was frozen before its run began."""
    file, before = path.with_suffix(BEGUN), links.before(path.name)
    begun = _read(links, file, Begun.from_json)
    # Of what is gone nobody knows whether the run began there. One forecast of a run is no start for another.
    if before - set(links.links) or before & links.of_run(outcome.run or (entry.spec.key if entry.spec else "")):
        return ""
    if begun and begun.run == outcome.run and path.name in links.before(file.name):
        return "chain"
    by_clock = outcome.started_at and entry.shows_first(outcome.started_at)
    return "clock" if by_clock and not any(links.clock_moves(outcome_path(path).name)) else ""


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


@named_arguments
def freeze_run(
    path: str | Path, fit: AnyFit, *, params: Amount, tokens: Amount, flops: Amount | None = None, level: float = 0.9
) -> Entry:
    """Forecast a run and write the forecast down, once: with its band along the run, rivals and conventions.

    Args:
        path: the new file, in the ledger's folder.
        fit: the fit that forecasts, or the path of its file.
        params: parameters of the run, in the fit's own count: 7e9 or "7B".
        tokens: training tokens.
        flops: training FLOP; from the fit's runs unless given.
        level: probability that the interval holds.

    Raises StoreError when the entry exists; ForetokenError and RefusedError as `predict` does.

    """
    own = as_fit(fit)
    forecast = predict(own, params=params, tokens=tokens, flops=flops, level=level)
    return freeze(
        path,
        forecast,
        fit=own,
        rivals=rival_forecasts(own, flops=forecast.flops),
        band=band_along(own, forecast.params, forecast.tokens, level, forecast.flops),
        conventions={"params": own.params_column, "flops": "as in the fit's table", "loss": own.unit},
    )


@named_arguments
def score_run(
    path: str | Path,
    loss: float,
    *,
    run: str = "",
    loss_unit: str = "",
    started_at: str | None = None,
    finished_at: str | None = None,
) -> Outcome:
    """Hold the forecast at `path` against a measured loss, and write the outcome beside it, once.

    Args:
        path: the file of the forecast.
        loss: final loss of the run, in the forecast's unit.
        run: its name.
        loss_unit: what the loss is in, where that is to be checked: one that cannot be converted is refused.
        started_at: when it began (ISO 8601); a start before the forecast is refused.
        finished_at: when it ended.

    """
    entry = read_entry(path)
    outcome = entry.score(loss, run=run, loss_unit=loss_unit, started_at=started_at, finished_at=finished_at)
    return keep_outcome(path, outcome)


@named_arguments
def place_run(path: str | Path, points: Iterable[tuple[float, float]]) -> list[PlacedPoint]:
    """Where points (tokens seen, loss) of a running target lie against the forecast at `path`; nothing is written.

    Raises StoreError for a forecast without a band, ForetokenError for a point outside the run.
    """
    return placed(read_entry(path), points)


@named_arguments
def score_ledger(folder: str | Path) -> LedgerSummary:
    """All forecasts of a ledger, and over those that are scored: mean errors and coverage, the rivals' beside them."""
    return Ledger.read(folder).summary()


def placed(entry: Entry, points: Iterable[tuple[float, float]]) -> list[PlacedPoint]:
    """Where points (tokens seen, loss) lie against the band of a frozen forecast. Raises StoreError without a band."""
    if not entry.band:
        raise StoreError(f"{entry.name} has no band along the run", cure="freeze with: foretoken ledger freeze")
    return place_points(entry.band, points)


def _read(links: Chain, path: Path, from_json: Callable[[Mapping[str, Any]], T]) -> T | None:
    """A file of a ledger; None where there is none."""
    link = links.links.get(path.name)
    try:
        return from_json(link.values_json) if link else None
    except (ValueError, ForetokenError) as error:
        raise StoreError(f"{path} is no entry of a ledger", got=str(error), cure="restore it") from None


def _write_once(path: Path, item: T) -> T:
    # Created, never overwritten: of two processes that freeze at once one wins, and a forecast is never edited later.
    follows = chain.add(path, replace(item, follows={}).to_json())
    if follows is None:
        raise StoreError(
            f"{path} is frozen and is never written twice", cure="make a new study, or give the forecast another name"
        )
    return replace(item, follows=follows)
