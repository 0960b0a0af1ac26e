"""Fit: a law with estimated parameters and all its doubts, as it is kept in fit.json."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, compress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from foretoken.errors import ForetokenError, StoreError
from foretoken.errors import shown as in_few_words
from foretoken.fits.check import PLAIN, Check
from foretoken.fits.ladder_line import LadderLine, ladder_line
from foretoken.fits.objectives import MAP, check_estimator
from foretoken.fits.parts import (
    Estimate,
    FittedRun,
    HeldOut,
    Noise,
    ObjectiveForecast,
    ObjectiveValue,
    ParameterProfile,
    Range,
    Ranges,
    RowCounts,
    Starts,
    WeighedLaw,
)
from foretoken.laws import find_law
from foretoken.laws.law import Array, Law
from foretoken.results import Result, shown
from foretoken.runs.loss_units import CARRIED, NATS_PER_TOKEN, in_loss_unit
from foretoken.store.atomic import json_bytes, read_json, write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)
LARGEST_LOG = 100.0
"""Above any distance or error on a logarithm that a fit can have."""
FORMAT = 3
"""Version of the file format. Another one is refused; formats 1 and 2 were never released."""

FitStatus = Literal["converged", "bound_hit", "not_identified"]
STATUS_WORDS: dict[FitStatus, str] = {
    "converged": "the search found a best estimate inside the bounds, and the runs tell every parameter",
    "bound_hit": "the best estimate has a parameter at the end of what is searched, so the runs do not tell it;"
    " forecasts use an estimate with weak assumptions",
    "not_identified": "the search found a best estimate, but the runs do not tell {names}; forecasts use an"
    " estimate with weak assumptions, and their intervals allow for it",
}
"""What each status means."""


class ParameterRow(NamedTuple):
    """A parameter of a fit, as the rows of its frame."""

    parameter: str
    estimate: float | None
    """The unpenalised one; None where the data do not identify it."""
    low: float
    high: float
    forecast: float
    """The estimate that forecasts use."""
    unit: str


@dataclass(frozen=True, kw_only=True)
class Fit(Result):
    """A law fitted to a run table.

    It holds two estimates. The unpenalised one minimises `objective` (Huber's, as Hoffmann et al. 2022, unless another
    was asked for): `parameters` and `intervals` are of it. The MAP one weighs each run by its noise and adds the law's
    weak prior (see `assumed`): forecasts use it.
    """

    __pydantic_config__ = PLAIN

    law: str
    status: FitStatus
    parameters: dict[str, float | None]
    """The unpenalised estimate; None for a parameter that the data do not identify (see `reasons`)."""
    reasons: dict[str, str]
    """Why a parameter is None."""
    intervals: dict[str, Range]
    """Of the unpenalised estimate, at `level`."""
    level: float
    unpenalised_parameters: dict[str, float]
    """The unpenalised estimate in full: also numbers that mean nothing alone."""
    unpenalised_draws: list[list[float]]
    """Its bootstrap draws, in the order of its keys: [draws, parameters]."""
    map_parameters: dict[str, float]
    """The MAP estimate; in JSON `forecast_parameters`."""
    map_draws: list[list[float]]
    """Its bootstrap draws, in the order of its keys: [draws, parameters]."""
    laws: list[WeighedLaw]
    """Laws whose forecasts are averaged, the heaviest first, which is `law`; empty where one law was asked for."""
    params_column: str
    """Which count of parameters is N."""
    objective: ObjectiveValue
    starts: Starts
    conditioning: float
    """Condition number of the law's gradient with its columns scaled to length 1."""
    rows: RowCounts
    checks: list[Check]
    """Worst first."""
    assumed: list[str]
    noise: Noise
    ranges: Ranges
    features: dict[str, Range]
    """Smallest and largest of each feature that the law reads."""
    runs: list[FittedRun]
    data_sha256: str
    seconds: float
    """Of the point estimates."""
    interval_seconds: float
    bootstrap: str
    """Which resampling gave the draws, and why."""
    held_out: list[HeldOut]
    """The small back-test behind `noise.misfit_growth`."""
    profiles: dict[str, ParameterProfile]
    """Profile likelihood of E, and of other parameters that were asked for."""
    sensitivity: list[ObjectiveForecast]
    version: str
    format: int = field(default=FORMAT)
    guessing: float | None = None
    """The loss of a uniform guess, ln of the vocabulary; None where the table does not tell it."""
    loss_unit: str = NATS_PER_TOKEN
    """What the losses of its table are in. A fit from before this was said has nats per token."""

    @property
    def status_words(self) -> str:
        """The status with what it means, for people."""
        return f"{self.status.replace('_', ' ')}: {STATUS_WORDS[self.status].format(names=' and '.join(self.reasons))}"

    @property
    def unit(self) -> str:
        """The unit of what its law predicts: that of the loss, for a law of the loss."""
        return in_loss_unit(find_law(self.law).unit, self.loss_unit)

    @property
    def parameter_units(self) -> dict[str, str]:
        """The unit of each parameter, by name."""
        law = find_law(self.law)
        units = (in_loss_unit(unit, self.loss_unit) for unit in law.units)
        return dict(zip(law.parameters, units, strict=True))

    @property
    def flops_per_param_token(self) -> float:
        """FLOP per parameter and token, the median of the runs: 6 where compute is counted as 6 N D."""
        return median(run.flops / (run.params * run.tokens) for run in self.runs)

    @property
    def flops_per_param_token_range(self) -> Range:
        """The least and the most FLOP per parameter and token of a run."""
        ratios = [run.flops / (run.params * run.tokens) for run in self.runs]
        return Range(min(ratios), max(ratios))

    @property
    def ladder(self) -> LadderLine | None:
        """The line of runs at one ratio of tokens to parameters, for a law of their compute alone; None otherwise."""
        if find_law(self.law).features != ("flops",) or find_law(self.law).column != "loss":
            return None
        return ladder_line(np.array([run.params for run in self.runs]), np.array([run.tokens for run in self.runs]))

    @property
    def residuals(self) -> Array:
        """Measured minus fitted of what the law fits: of log loss for most laws [r]."""
        if not find_law(self.law).is_logarithmic:
            return np.array([run.loss - run.fitted for run in self.runs])
        return np.asarray(np.log([run.loss / run.fitted for run in self.runs]))

    @property
    def is_aggregated(self) -> bool:
        """Whether `runs` are cells of many runs each."""
        return self.rows.used != len(self.runs)

    @property
    def estimators(self) -> tuple[str, str]:
        """The estimates that it holds: `map`, and the objective of the unpenalised one (`huber` unless told)."""
        return (MAP, self.objective.name)

    def estimate(self, estimator: str) -> Estimate:
        """The parameters and draws of one of `estimators`. Raises ForetokenError for another."""
        check_estimator(estimator, self.estimators)
        if estimator == MAP:
            return Estimate(self.map_parameters, np.array(self.map_draws))
        return Estimate(self.unpenalised_parameters, np.array(self.unpenalised_draws))

    def in_unit(self, unit: float) -> Fit:
        """The same fit of what its law predicts times `unit`, for a law that is fitted without a logarithm."""
        law = find_law(self.law)
        by = {name: unit if name in law.scales else 1.0 for name in law.parameters}
        row = np.array([by[name] for name in law.parameters])

        def scaled(values: Mapping[str, float]) -> dict[str, float]:
            return {name: value * by[name] for name, value in values.items()}

        def ends(name: str, ends: Range) -> Range:
            return Range(ends.low * by[name], ends.high * by[name])

        noise, low_high = self.noise, self.ranges.loss
        return replace(
            self,
            parameters={name: None if v is None else v * by[name] for name, v in self.parameters.items()},
            intervals={name: ends(name, interval) for name, interval in self.intervals.items()},
            unpenalised_parameters=scaled(self.unpenalised_parameters),
            unpenalised_draws=(np.array(self.unpenalised_draws) * row).tolist(),
            map_parameters=scaled(self.map_parameters),
            map_draws=(np.array(self.map_draws) * row).tolist(),
            noise=replace(
                noise,
                run_sd=noise.run_sd * unit,
                cluster_sd=noise.cluster_sd * unit,
                misfit_growth=noise.misfit_growth * unit,
            ),
            ranges=replace(self.ranges, loss=Range(low_high.low * unit, low_high.high * unit)),
            runs=[replace(run, loss=run.loss * unit, fitted=run.fitted * unit) for run in self.runs],
            held_out=[
                replace(test, error=test.error * unit, square=test.square * unit**2, explained=test.explained * unit)
                for test in self.held_out
            ],
            profiles={
                name: replace(
                    found, values=[value * by[name] for value in found.values], interval=ends(name, found.interval)
                )
                for name, found in self.profiles.items()
            },
            sensitivity=[
                replace(entry, parameters=scaled(entry.parameters), loss=entry.loss * unit)
                for entry in self.sensitivity
            ],
        )

    def _rows(self) -> list[ParameterRow]:
        """Its parameters."""
        units = self.parameter_units
        return [
            ParameterRow(name, value, *self.intervals[name], self.map_parameters[name], units[name])
            for name, value in self.parameters.items()
        ]

    def plot(self) -> Figure:
        """Its runs beside the law, as a new figure of matplotlib; `fit.plot().savefig("fit.png")` writes it."""
        figure: Figure = shown("plot", self)
        return figure

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {"forecast_parameters" if name == "map_parameters" else name: value for name, value in values.items()}

    def save(self, path: str | Path) -> None:
        """Write the fit, with its draws, as one JSON file."""
        write_output(Path(path), json_bytes(self.to_json()))

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read a fit that `save` wrote. Raises StoreError when it is damaged or from another version."""
        cure = "make one with: foretoken fit TABLE -o fit.json"
        try:
            values_json = read_json(Path(path))
        except StoreError as error:
            if not Path(path).exists():
                raise
            got = f"{error.message}{error.got and f' ({error.got})'}"
            raise StoreError(f"{path} is not a fit file", got=got, cure=cure) from error
        if not isinstance(values_json, dict) or type(values_json.get("format")) is not int:
            raise StoreError(f"{path} is not a fit file", cure=cure)
        version = values_json["format"]
        if version != FORMAT:
            newer = version > FORMAT
            raise StoreError(
                f"{path} is from {'a newer' if newer else 'an older'} version of foretoken",
                expected=f"format {FORMAT}",
                got=str(version),
                cure="upgrade foretoken" if newer else "fit the table again: foretoken fit TABLE -o fit.json",
                code="newer_version" if newer else "older_version",
            )
        try:
            fit = cls.from_json(values_json)
            _require_whole(fit)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is damaged", got=str(error), cure="fit again") from None
        logger.info("read %s: %s, fitted to %d runs", path, fit.law, fit.rows.used)
        return fit

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fit:
        """The inverse of `to_json`; ValueError for unknown keys, other types, and numbers that are not finite."""
        from pydantic import TypeAdapter

        named = {"map_parameters" if name == "forecast_parameters" else name: value for name, value in values.items()}
        return TypeAdapter(cls).validate_python(named)


AnyFit: TypeAlias = Fit | str | Path
"""A fit, or the path of its file."""


def as_fit(fit: AnyFit) -> Fit:
    """A fit, read where its path is given. Raises StoreError as `Fit.load`, ForetokenError for anything else."""
    if isinstance(fit, str | Path):
        return Fit.load(fit)
    if not isinstance(fit, Fit):
        raise ForetokenError(
            "this is no fit",
            expected="what foretoken.fit gives, or the path of its file",
            got=in_few_words(fit),
            cure="fit a table first: foretoken.fit(table)",
        )
    return fit


def _require_whole(fit: Fit) -> None:
    """Raise ValueError when the parts of a fit do not belong together: nothing could be forecast from it."""
    try:
        law = find_law(fit.law)
    except ForetokenError:
        raise ValueError(f"unknown law {in_few_words(fit.law)}") from None
    by_parameter = (fit.map_parameters, fit.unpenalised_parameters, fit.parameters, fit.intervals)
    if any(set(values) != set(law.parameters) for values in by_parameter):
        raise ValueError(f"parameters other than {', '.join(law.parameters)}")
    if fit.loss_unit not in CARRIED:
        raise ValueError(f"unknown unit of the loss {in_few_words(fit.loss_unit)}")
    if set(fit.features) != set(law.features):
        raise ValueError(f"features other than {', '.join(law.features)}")
    if not fit.map_draws or not fit.unpenalised_draws:
        raise ValueError("no draws")
    if any(len(draw) != len(law.parameters) for draw in fit.map_draws + fit.unpenalised_draws):
        raise ValueError("draws that are not one number per parameter")
    profiled = (profile.interval for profile in fit.profiles.values())
    ranges = [*fit.ranges.by_name().values(), *fit.features.values(), *fit.intervals.values(), *profiled]
    if not all(map(math.isfinite, chain(*ranges))):  # a NamedTuple does not take over the dataclass's own rule
        raise ValueError("a range or an interval that is not finite")
    spreads = [fit.noise.run_sd, fit.noise.misfit_growth, fit.noise.cluster_sd, fit.noise.tokens_power]
    if not fit.runs or min(_positive(fit, law)) <= 0 or min(spreads) < 0:
        raise ValueError("a number that cannot be 0 or below")
    logs = [*spreads, *(value for row in fit.held_out for value in (row.distance, row.error, row.explained))]
    if not (max(map(abs, logs)) < (LARGEST_LOG if law.is_logarithmic else math.inf)) or not 0 < fit.level < 1:
        raise ValueError("an error on log loss, or a level, that no fit has")


def _positive(fit: Fit, law: Law) -> Iterator[float]:
    """Every number of a fit that is above 0: what the law predicts only where it is a logarithm that is fitted."""
    for values in (fit.map_parameters, fit.unpenalised_parameters):
        yield from (value for name, value in values.items() if name not in law.signed)
    signs = [name not in law.signed for name in law.parameters]
    for draw in (*fit.map_draws, *fit.unpenalised_draws):
        yield from compress(draw, signs)
    yield from chain(fit.ranges.params, fit.ranges.tokens, fit.ranges.flops, *fit.features.values())
    yield from chain(*((run.params, run.tokens, run.flops) for run in fit.runs))
    if law.is_logarithmic:
        yield from chain(fit.ranges.loss, *((run.loss, run.fitted) for run in fit.runs))
    yield from (fit.noise.most_tokens, fit.noise.degrees_of_freedom)
