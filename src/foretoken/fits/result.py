"""Fit: a law with estimated parameters and all its doubts, as it is kept in fit.json."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
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
from foretoken.fits.whole import require_whole
from foretoken.laws import find_law
from foretoken.laws.law import Array
from foretoken.results import Result, shown
from foretoken.runs.loss_units import NATS_PER_TOKEN, in_loss_unit
from foretoken.store.atomic import json_bytes, read_json, write_output
from foretoken.store.seals import check_fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)
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
    eval_set: str = ""
    """The text that its losses are on; "" where its table does not say."""
    tokenizer: str = ""
    """Of its runs; "" where its table does not say."""
    loss_column: str = ""
    """The column that is the loss, where the table has it by another name."""

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
        """Read a fit that `save` wrote.

        Raises StoreError when it is damaged, from another version, or not the one that its study sealed.
        """
        cure = "make one with: foretoken fit TABLE -o fit.json"
        try:
            values_json = read_json(Path(path))
        except StoreError as error:
            if not Path(path).is_file():
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
            require_whole(fit)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is damaged", got=str(error), cure="fit again") from None
        check_fit(Path(path))
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
