"""A fit at another size and length: the forecast, its interval, how far it reaches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import NamedTuple, TypedDict, Unpack, overload

import numpy as np

from foretoken.arguments import takes
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.objectives import MAP, check_estimator
from foretoken.fits.parts import Estimate
from foretoken.fits.result import AnyFit, Fit
from foretoken.fits.weighed import excess
from foretoken.forecasts.forecast import NEW_RUN, Extrapolation, Forecast, Forecasts, IntervalKind, interval_kind
from foretoken.forecasts.request import Amount, Amounts, ForecastRequest, Target
from foretoken.forecasts.sense import checks_of, require_below_guessing, require_known, require_sense
from foretoken.laws import SATURATING_FLOPS, find_law
from foretoken.laws.law import Array, Law

LARGEST_LOG = 100.0
"""Beyond this logarithm a loss or a factor is no number that anybody can use."""
NOISE_QUANTILES = (np.arange(500) + 0.5) / 500
HALVINGS = 24
"""Of the range of all errors, until an end of an interval is known to seven digits of it."""
DISAGREEMENT = 0.7
"""Share of the standard deviation of what several laws say that is one more doubt, since each law's draws take that law
for granted. Chosen with the misfit of a law (fits/misfit.py), on the same forecasts."""
LEAST_WEIGHT = 0.05
"""A law that counts less hardly moves the forecast, whatever it says."""
ON_THE_WAY = (0.25, 0.5, 0.75)


class How(TypedDict, total=False):
    """How runs are forecast, whatever their number; see ForecastRequest."""

    at: Mapping[str, str | float] | None
    level: float
    kind: str
    estimator: str
    strict: bool


@overload
def predict(
    fit: AnyFit,
    *,
    params: Amount | None = None,
    tokens: Amount | None = None,
    flops: Amount | None = None,
    **how: Unpack[How],
) -> Forecast: ...
@overload
def predict(
    fit: AnyFit,
    *,
    params: Amounts,
    tokens: Amount | Amounts | None = None,
    flops: Amount | Amounts | None = None,
    **how: Unpack[How],
) -> Forecasts: ...
@overload
def predict(
    fit: AnyFit,
    *,
    params: Amount | None = None,
    tokens: Amounts,
    flops: Amount | Amounts | None = None,
    **how: Unpack[How],
) -> Forecasts: ...
@overload
def predict(
    fit: AnyFit, *, params: Amount | None = None, tokens: Amount | None = None, flops: Amounts, **how: Unpack[How]
) -> Forecasts: ...
@takes(ForecastRequest)
def predict(request: ForecastRequest) -> Forecast | Forecasts:
    """The loss of a run that was not trained, with an interval; of many runs where lists or arrays are given.

    Raises ForetokenError for a value that is missing or makes no sense; RefusedError where the law is not finite. Of
    many runs none is left out: the first that is refused raises, and its number is a note of the error.

    >>> import foretoken
    >>> fit = foretoken.fit("sample", "chinchilla", draws=50)
    >>> forecast = predict(fit, params="2M", tokens="40M")
    >>> forecast.low < forecast.loss < forecast.high
    True
    >>> forecasts = predict(fit, params=["1M", "2M"], tokens=40e6)
    >>> forecasts[1] == forecast, forecasts.loss.shape
    (True, (2,))
    """
    targets, shape = request.targets()
    if shape is None:
        return _forecast(targets[0])
    return Forecasts(tuple(_numbered(target, number) for number, target in enumerate(targets, 1)), shape)


def _numbered(target: Target, number: int) -> Forecast:
    """A forecast of many; its number becomes a note of its error."""
    try:
        return _forecast(target)
    except ForetokenError as error:
        error.add_note(f"of the runs asked for, number {number}")
        raise


def _forecast(request: Target) -> Forecast:
    """The forecast of one run."""
    fit, known = request.fit, request.known()
    law = find_law(fit.law)
    require_known(known, law, request.level)
    if request.strict:
        require_sense(request, known)
    kind = interval_kind(request.kind)
    check_estimator(request.estimator, fit.estimators)
    ranges = fit.ranges.by_name() | fit.features
    reach = Extrapolation({name: _factor(value, *ranges[name]) for name, value in known.items() if name in ranges})
    _require_in_reach(np.log(list(reach.values())), reach)
    centre, low, high = _interval(request, known, reach, kind)
    unlogged = math.exp if law.is_logarithmic else float
    if request.strict:
        require_below_guessing(unlogged(centre), fit.guessing)
    return Forecast(
        params=float(known.get("params", math.nan)),
        tokens=float(known.get("tokens", math.nan)),
        flops=float(known.get("flops", math.nan)),
        loss=unlogged(centre),
        low=unlogged(low),
        high=unlogged(high),
        level=request.level,
        kind=kind,
        extrapolation=reach,
        checks=[*_disagreements(request, known, reach), *checks_of(fit, reach, known)],
        estimator=request.estimator,
        at=dict(request.at or {}),
        unit=fit.unit,
    )


def _interval(
    request: Target, known: dict[str, float], reach: Extrapolation, kind: IntervalKind
) -> tuple[float, float, float]:
    """The forecast and the ends of its interval, as the law is fitted (logarithms, or the column itself)."""
    fit, law = request.fit, find_law(request.fit.law)
    there = _law_forecast(fit, request.estimator, known)
    _require_in_reach(np.append(there.errors, there.centre), reach, law)
    # What is known of a law may shrink again far beyond the runs, where a term has died out; what is known of the run
    # does not: on the way from the nearest run to the target the widest errors count.
    errors = max((there.errors, *_errors_on_the_way(request, known)), key=np.std) if reach.largest > 1 else there.errors
    run = fit.noise.new_run_sd(known.get("tokens")) if kind == NEW_RUN else 0.0
    misfit = math.hypot(fit.noise.misfit_growth * math.log(reach.largest), there.disagreement)
    low, high = error_quantiles(errors, run, fit.noise.degrees_of_freedom, misfit, request.level)
    _require_in_reach(np.array([there.centre + low, there.centre + high]), reach, law)
    # A very skewed spread may have both ends on one side; an interval always holds its own forecast.
    return there.centre, there.centre + min(0.0, low), there.centre + max(0.0, high)


class LawForecast(NamedTuple):
    """What laws say of a run, or of how two differ, without its noise and their misfit; as the law is fitted."""

    centre: float
    errors: Array
    """Of the parameters: one per bootstrap draw."""
    disagreement: float
    """Standard deviation for what the laws do not agree on."""


def _law_forecast(fit: Fit, estimator: str, known: Mapping[str, float]) -> LawForecast:
    """The forecast of the law, or the average of those of several laws."""
    if estimator != MAP or not fit.laws:
        values = _values(fit, fit.law, fit.estimate(estimator), known)
        return LawForecast(float(values[0]), around_median(values[1:]), 0.0)
    return weighed_values(np.array([law.weight for law in fit.laws]), np.stack(_values_of_laws(fit, known)))


def weighed_values(weights: Array, values: Array) -> LawForecast:
    """The weighed mean over laws of values [laws, 1 + draws]; laws that say nothing of such a run are left out."""
    # Where the heaviest law has no best split, the law of the frontier says nothing of a run off it.
    says = np.isfinite(values).all(axis=1) | (np.arange(len(weights)) == 0)
    weights, values = weights[says] / weights[says].sum(), values[says]
    centre = float(weights @ values[:, 0])
    errors = weights @ np.apply_along_axis(around_median, 1, values[:, 1:])
    spread = math.sqrt(float(weights @ (values[:, 0] - centre) ** 2))
    return LawForecast(centre, errors, DISAGREEMENT * spread)


class LawValues(NamedTuple):
    """What one law of a fit says of a run, as the law is fitted."""

    law: str
    weight: float
    """In the fit's forecast."""
    values: Array
    """By its parameters, then by each draw [1 + draws]; not finite where it says nothing of such a run."""


def values_by_law(fit: Fit, known: Mapping[str, float]) -> list[LawValues]:
    """What each law of a fit says of a run; `known` is what is known of the run, by feature."""
    if not fit.laws:
        return [LawValues(fit.law, 1.0, _values(fit, fit.law, fit.estimate(MAP), known))]
    said = zip(fit.laws, _values_of_laws(fit, known), strict=True)
    return [LawValues(law.law, law.weight, values) for law, values in said]


def law_values(fit: Fit, *, params: float, tokens: float) -> list[Array]:
    """What each of several laws says of a run, as the law is fitted: by its parameters, then by each draw."""
    return _values_of_laws(fit, Target(fit=fit, params=params, tokens=tokens).known())


def _values_of_laws(fit: Fit, known: Mapping[str, float]) -> list[Array]:
    """`_values` of each of several laws."""
    return [_values(fit, law.law, Estimate(law.parameters, np.array(law.draws)), known) for law in fit.laws]


def _disagreements(request: Target, known: Mapping[str, float], reach: Extrapolation) -> Iterator[Check]:
    """Two laws of the forecast whose intervals have nothing in common: the pair farthest apart.

    The interval of one law holds what its own draws and its misfit with distance allow, not the noise of a run.
    """
    # Each outside the other's interval would be too little: so much is said of 8 % of tables that follow a law.
    fit = request.fit
    if request.estimator != MAP:
        return
    misfit = fit.noise.misfit_growth * math.log(reach.largest)
    said = []
    for law, values in zip(fit.laws, _values_of_laws(fit, known), strict=True):
        if law.weight >= LEAST_WEIGHT and np.isfinite(values).all():
            errors, freedom = around_median(values[1:]), fit.noise.degrees_of_freedom
            low, high = error_quantiles(errors, 0.0, freedom, misfit, request.level)
            centre = float(values[0])
            said.append(_Said(law.law, centre, centre + min(0.0, low), centre + max(0.0, high)))
    apart = [pair for pair in combinations(said, 2) if pair[0].is_apart_from(pair[1])]
    if apart:
        one, other = max(apart, key=lambda pair: abs(pair[0].centre - pair[1].centre))
        evidence = f"{one}, {other}: their {100 * request.level:g} % intervals are disjoint"
        cure = "add runs nearer to the target; believe no digit on which the two differ"
        yield Check("laws_disagree", "doubt", evidence, cure)


class _Said(NamedTuple):
    """What one law says of a run, on log loss, with its interval."""

    law: str
    centre: float
    low: float
    high: float

    def __str__(self) -> str:
        centre, low, high = (f"{math.exp(value):.4g}" for value in self[1:])
        return f"{self.law} says {centre} ({low} to {high})"

    def is_apart_from(self, other: _Said) -> bool:
        """Whether the two intervals have nothing in common."""
        return max(self.low, other.low) > min(self.high, other.high)


def _values(fit: Fit, name: str, estimate: Estimate, known: Mapping[str, float]) -> Array:
    """A law of the fit at a run: by its parameters, then by each of its draws [1 + draws].

    The law of the frontier reads compute alone; how far the run is off the best split, the heaviest law says.
    """
    law = find_law(name)
    x = np.log([[known[feature] for feature in law.features]])
    theta = np.concatenate([law.theta(estimate.parameters)[None], law.thetas(estimate.draws)])
    with np.errstate(all="ignore"):
        values = np.asarray(law.value_and_grad(theta, x)[0][:, 0])
        if name != fit.law:
            values = values + _excess(fit, name, known)
    return values


def _excess(fit: Fit, name: str, known: Mapping[str, float]) -> float:
    """Ln of the run's loss over the best of its compute, for a law that knows compute alone."""
    if name != SATURATING_FLOPS.name:
        return 0.0
    run = (known["params"], known["tokens"], known["flops"])
    return float(excess(find_law(fit.law), fit.map_parameters, *run, fit.flops_per_param_token))


def _errors_on_the_way(request: Target, known: Mapping[str, float]) -> Iterator[Array]:
    """Errors at runs between the nearest of the fit's runs and the target, evenly in logarithms."""
    fit = request.fit
    ranges = fit.ranges.by_name() | fit.features
    nearest = {name: min(max(value, ranges[name].low), ranges[name].high) for name, value in known.items()
               if name in ranges}  # fmt: skip
    for share in ON_THE_WAY:
        between = {name: nearest.get(name, value) ** (1 - share) * value**share for name, value in known.items()}
        errors = _law_forecast(fit, request.estimator, between).errors
        if np.isfinite(errors).all():
            yield errors


def around_median(draws: Array) -> Array:
    """Draws stand around their own median, not around the estimate: only their spread is used.

    So a bootstrap whose median is off the estimate does not move the interval off the forecast.
    """
    return np.asarray(draws - np.median(draws))


def error_quantiles(law_errors: Array, run: float, freedom: float, misfit: float, level: float) -> tuple[float, float]:
    """Ends of the middle `level` of errors on a logarithm: of the parameters, of one run, of the law's form.

    `law_errors` [draws], `run` the scale of a Student's t of that `freedom`, `misfit` the sd of a normal error.
    """
    shares = (1 - level) / 2, (1 + level) / 2
    if run == 0 and misfit == 0:
        low, high = np.quantile(law_errors, shares)
        return float(low), float(high)
    others = other_errors(run, freedom, misfit)
    drawn = np.sort(law_errors)
    low, high = np.full(2, drawn[0] + others[0]), np.full(2, drawn[-1] + others[-1])
    # The share of all sums that lie below an error takes one look-up per draw, so none of the sums is made.
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_low = np.searchsorted(others, middle[:, None] - drawn).mean(axis=1) / len(others) < shares
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return float(low[0]), float(high[1])


def other_errors(run: float, freedom: float, misfit: float) -> Array:
    """Errors of one run (scale of a Student's t of that freedom) and of the law's form (sd of a normal), rising."""
    from scipy.special import ndtri, stdtrit

    # Evenly spaced quantiles stand for both; each is added to every draw of the law, which convolves the three without
    # Monte Carlo noise.
    mixed = np.random.default_rng(0).permutation(NOISE_QUANTILES)  # so that large errors of both kinds meet by chance
    return np.sort(run * stdtrit(freedom, NOISE_QUANTILES) + misfit * ndtri(mixed))


def _require_in_reach(values: Array, reach: Extrapolation, law: Law | None = None) -> None:
    """Logarithms, or what a law fits without one, must be numbers that anybody can use."""
    largest = LARGEST_LOG if law is None or law.is_logarithmic else math.inf
    if not (np.abs(values) < largest).all():
        evidence = f"the law gives no finite loss {reach.largest:.3g} times beyond the runs in {reach.farthest}"
        raise RefusedError("out_of_reach", evidence, "check params, tokens and flops, or add runs nearer to them")


def _factor(value: float, low: float, high: float) -> float:
    return max(1.0, value / high, low / value)
