"""Fit: a law with estimated parameters and all its doubts, as it is kept in fit.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, compress
from pathlib import Path
from statistics import median
from typing import Any

from foretoken.errors import StoreError, shown
from foretoken.laws import LAWS
from foretoken.laws.law import Law
from foretoken.store.atomic import read_json, write_json

PLAIN = {"extra": "forbid", "allow_inf_nan": False}
"""How pydantic reads what another program may have written."""
LARGEST_LOG = 100.0
"""Above any distance or error on a logarithm that a fit can have."""
FORMAT = 1
"""Version of the file format; a newer file is refused."""


@dataclass(frozen=True)
class Check:
    """One named doubt about a table or a fit."""

    __pydantic_config__ = PLAIN

    code: str
    severity: str
    """`note`, `doubt` (the number is to be used with care) or `refused` (there is no number)."""
    evidence: str
    cure: str


@dataclass(frozen=True)
class Residual:
    """One run that the fit used."""

    __pydantic_config__ = PLAIN

    run: str
    group: str | None
    parent: str | None
    params: float
    tokens: float
    flops: float
    loss: float
    fitted: float


@dataclass(frozen=True)
class Fit:
    """A law fitted to a run table."""

    __pydantic_config__ = PLAIN

    law: str
    status: str
    """`converged`, `bound_hit` or `not_identified`."""
    parameters: dict[str, float | None]
    """Parameters by name; None where the data do not identify one (see `reasons`)."""
    reasons: dict[str, str]
    """Why a parameter is None."""
    estimates: dict[str, float]
    """The plain Huber estimate in full: the numbers behind `parameters`, given even where one alone means nothing."""
    forecast_parameters: dict[str, float]
    """What predictions use unless told otherwise: each run by its noise, with the law's weak prior (see `assumed`)."""
    intervals: dict[str, list[float] | None]
    """Of the plain estimate, at `level`."""
    level: float
    draws: list[list[float]]
    """Bootstrap draws of `forecast_parameters`, in the order of its keys: [draws, parameters]."""
    params_column: str
    """Which count of parameters is N."""
    objective: dict[str, float | str]
    """`huber_sum` and `delta`, and the `name` of what was minimised."""
    starts: dict[str, int]
    """`tried` and `agree`."""
    conditioning: float
    rows: dict[str, Any]
    """`used`, and `dropped`: [{reason, count}]."""
    checks: list[Check]
    assumed: list[str]
    noise: dict[str, float]
    """How a new run differs from the law, on log loss.

    `run` is the spread of one run at `tokens` (the most of the table) and beyond; shorter ones spread more, as
    (tokens / most)^(-`tokens_power` / 2). `shared` is the spread of an error that all runs of a budget or a trajectory
    share; `freedom` the degrees of freedom of both. `growth` is the law's own misfit per ln of the distance beyond the
    data; `pattern_by_chance` how likely so strong a pattern of the residuals is if the law is right.
    """
    ranges: dict[str, list[float]]
    """Smallest and largest `params`, `tokens`, `flops` and `loss` (what the law predicts) of the rows used."""
    residuals: list[Residual]
    data_sha256: str
    seconds: float
    interval_seconds: float
    bootstrap: str = ""
    """Which resampling gave the draws, and why."""
    held_out: list[dict[str, float]] = field(default_factory=list)
    """The small back-test behind `growth`: {distance, error, explained} of each held-out budget, on log loss."""
    plain_draws: list[list[float]] = field(default_factory=list)
    """Bootstrap draws of `estimates`, in the order of its keys."""
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Profile likelihood of E, and of others that were asked for: {name: {values, rise, interval, identified}}."""
    features: dict[str, list[float]] = field(default_factory=dict)
    """Smallest and largest of each feature that the law reads."""
    sensitivity: list[dict[str, Any]] = field(default_factory=list)
    """What other objectives give: [{objective, text, parameters, loss at 8 times the largest compute}]."""
    version: str = ""
    format: int = field(default=FORMAT)

    @property
    def flops_per_param_token(self) -> float:
        """FLOP per parameter and token, the median of the runs: 6 where compute is counted as 6 N D."""
        return median(run.flops / (run.params * run.tokens) for run in self.residuals)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Write the fit, with its draws, as one JSON file."""
        write_json(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Fit:
        """Read a fit that `save` wrote. Raises StoreError when it is damaged or from a newer version."""
        values = read_json(Path(path))
        if not isinstance(values, dict) or type(values.get("format")) is not int:
            raise StoreError(f"{path} is not a fit file", cure="make one with: foretoken fit TABLE -o fit.json")
        if values["format"] > FORMAT:
            raise StoreError(
                f"{path} is from a newer version of foretoken",
                expected=f"format {FORMAT} or older",
                got=str(values["format"]),
                cure="upgrade foretoken",
                code="newer_version",
            )
        try:
            fit = cls.from_json(values)
            _require_whole(fit)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is damaged", got=str(error), cure="fit again") from None
        return fit

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fit:
        """The inverse of `to_json`; ValueError for unknown keys, other types, and numbers that are not finite."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(values)


def _require_whole(fit: Fit) -> None:
    """Raise ValueError when the parts of a fit do not belong together: nothing could be forecast from it."""
    law = LAWS.get(fit.law)
    if law is None:
        raise ValueError(f"unknown law {shown(fit.law)}")
    if set(fit.forecast_parameters) != set(law.parameters) or set(fit.intervals) != set(fit.parameters):
        raise ValueError(f"parameters other than {', '.join(law.parameters)}")
    if not fit.draws or any(len(draw) != len(law.parameters) for draw in [*fit.draws, *fit.plain_draws]):
        raise ValueError("draws that are not one number per parameter")
    ranges = [fit.ranges.get(name, []) for name in ("params", "tokens", "flops", "loss")]
    if any(len(ends) != 2 for ends in ranges):
        raise ValueError("ranges without two ends")
    spread = [fit.noise.get(name, -1.0) for name in ("run", "growth")]
    spread += [fit.noise.get(name, 0.0) for name in ("shared", "tokens_power")]
    if not fit.residuals or min(_positive(fit, law)) <= 0 or min(spread) < 0:
        raise ValueError("a number that cannot be 0 or below")
    logs = [*spread, *(row.get(name, math.nan) for row in fit.held_out for name in ("distance", "error", "explained"))]
    if not (max(map(abs, logs)) < (LARGEST_LOG if law.target == "log" else math.inf)) or not 0 < fit.level < 1:
        raise ValueError("an error on log loss, or a level, that no fit has")


def _positive(fit: Fit, law: Law) -> Iterator[float]:
    """Every number of a fit that is above 0: what the law predicts only where it is a logarithm that is fitted."""
    for values in (fit.forecast_parameters, fit.estimates):
        yield from (value for name, value in values.items() if name not in law.linear)
    signs = [name not in law.linear for name in law.parameters]
    for draw in (*fit.draws, *fit.plain_draws):
        yield from compress(draw, signs)
    yield from chain(*(ends for name, ends in fit.ranges.items() if name != "loss"), *fit.features.values())
    yield from chain(*((run.params, run.tokens, run.flops) for run in fit.residuals))
    if law.target == "log":
        yield from chain(fit.ranges["loss"], *((run.loss, run.fitted) for run in fit.residuals))
    yield from (fit.noise.get("tokens", 1.0), fit.noise.get("freedom", 0.0))


@dataclass(frozen=True)
class IsoflopBudget:
    """One IsoFLOP curve and its minimum."""

    group: str
    flops: float
    runs: list[Residual]
    """Runs of this budget; `fitted` is the parabola's value."""
    status: str
    """`interior`, `edge_small`, `edge_large`, `no_minimum` (curvature <= 0) or `too_few`."""
    parabola: list[float] | None
    """Coefficients of loss over ln N: quadratic, linear, constant."""
    params: float | None
    """N*, only with an interior minimum."""
    params_interval: list[float] | None
    tokens: float | None
    """D* = flops / (FLOPs per parameter and token at the minimum)."""
    loss: float | None


@dataclass(frozen=True)
class IsoflopFit:
    """Approach 2: a parabola per budget, and power laws through the minima."""

    budgets: list[IsoflopBudget]
    params_exponent: float | None
    """a in N* ~ C^a; None with fewer than two interior minima."""
    params_exponent_interval: list[float] | None
    tokens_exponent: float | None
    tokens_exponent_interval: list[float] | None
    params_prefactor: float | None
    """G in N* = G C^a."""
    tokens_prefactor: float | None
    checks: list[Check]
    level: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
