"""A fit at another size and length: the forecast, its interval, how far it reaches; and the plain rivals beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from foretoken.arguments import check_level, did_you_mean, takes
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.ladder_line import COLLINEAR
from foretoken.fits.objectives import MAP, check_estimator
from foretoken.fits.parts import Estimate
from foretoken.fits.result import Fit
from foretoken.fits.weighed import excess
from foretoken.forecasts.forecast import NEW_RUN, Extrapolation, Forecast, IntervalKind, interval_kind
from foretoken.laws import SATURATING_FLOPS, find_law
from foretoken.laws.law import Array, Law

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a forecast is marked."""
LARGEST_LOG = 100.0
"""Beyond this logarithm a loss or a factor is no number that anybody can use."""
BELOW = 10.0
"""A run this many times smaller, shorter or cheaper than every run of the fit is refused: it is no forecast, and small
runs leave the law (warm-up, few steps) where none was seen."""
CONTRADICTION = 1.5
"""FLOP given for a run may be off the fit's FLOP per parameter and token by this factor, or by the factor over which
the fit's own runs spread; 2 N D for 6 N D is a factor 3, attention and head move the count by less."""
NOISE_QUANTILES = (np.arange(500) + 0.5) / 500
DISAGREEMENT = 0.7
"""Share of the standard deviation of what several laws say that is one more doubt, since each law's draws take that law
for granted. Chosen with the misfit of a law (fits/misfit.py), on the same forecasts."""
LEAST_WEIGHT = 0.05
"""A law that counts less hardly moves the forecast, whatever it says."""
ON_THE_WAY = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class ForecastRequest:
    """Which run is forecast, and how."""

    fit: Fit
    """A law fitted to runs."""
    _: KW_ONLY
    params: float | None = None
    """Parameters of the run, in the fit's own count."""
    tokens: float | None = None
    """Training tokens."""
    flops: float | None = None
    """Training FLOP; by the fit's median FLOP per parameter and token unless given."""
    at: Mapping[str, float] | None = None
    """Values of the law's further features, by name, such as `unique_tokens` or `size`."""
    level: float = 0.9
    """Probability that the interval holds."""
    kind: str = NEW_RUN
    """`new-run` (an interval that holds one new run) or `mean` (one that holds the law itself)."""
    estimator: str = MAP
    """One of `fit.estimators`: `map`, or the fit's objective (`huber`)."""
    strict: bool = True
    """Refuse runs far below the fit's, FLOPs that contradict N and D, and losses above that of guessing. A back-test
    scores these too."""

    def known(self) -> dict[str, float]:
        """What is known of the run, by feature."""
        # FLOP as the fit's own table counts them, so that a law of compute is read where it was fitted.
        flops = self.flops
        if flops is None and self.params is not None and self.tokens is not None:
            flops = self.params * self.tokens * self.fit.flops_per_param_token
        sizes = {"params": self.params, "tokens": self.tokens, "flops": flops, **(self.at or {})}
        return {name: value for name, value in sizes.items() if value is not None}


@takes(ForecastRequest)
def predict(request: ForecastRequest) -> Forecast:
    """The loss of a run that was not trained, with an interval.

    Raises ForetokenError for a value that is missing or makes no sense; RefusedError where the law is not finite.
    """
    fit, known = request.fit, request.known()
    law = find_law(fit.law)
    _require(known, law, request.level)
    if request.strict:
        _require_sense(request, known)
    kind = interval_kind(request.kind)
    check_estimator(request.estimator, fit.estimators)
    ranges = fit.ranges.by_name() | fit.features
    reach = Extrapolation({name: _factor(value, *ranges[name]) for name, value in known.items() if name in ranges})
    _require_in_reach(np.log(list(reach.values())), reach)
    centre, low, high = _interval(request, known, reach, kind)
    unlogged = math.exp if law.is_logarithmic else float
    if request.strict:
        _require_below_guessing(unlogged(centre), fit.guessing)
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
        checks=[*_disagreements(request, known, reach), *_checks(fit, reach, known)],
        estimator=request.estimator,
        at=dict(request.at or {}),
        unit=fit.unit,
    )


def _interval(
    request: ForecastRequest, known: dict[str, float], reach: Extrapolation, kind: IntervalKind
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
    """What a fit's laws say of a run, without its noise and their misfit; as the law is fitted."""

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
    weights = np.array([law.weight for law in fit.laws])
    values = np.stack(_values_of_laws(fit, known))
    # Where the heaviest law has no best split, the law of the frontier says nothing of a run off it.
    says = np.isfinite(values).all(axis=1) | (np.arange(len(weights)) == 0)
    weights, values = weights[says] / weights[says].sum(), values[says]
    centre = float(weights @ values[:, 0])
    errors = weights @ np.apply_along_axis(around_median, 1, values[:, 1:])
    spread = math.sqrt(float(weights @ (values[:, 0] - centre) ** 2))
    return LawForecast(centre, errors, DISAGREEMENT * spread)


def law_values(fit: Fit, *, params: float, tokens: float) -> list[Array]:
    """What each of several laws says of a run, as the law is fitted: by its parameters, then by each draw."""
    return _values_of_laws(fit, ForecastRequest(fit, params=params, tokens=tokens).known())


def _values_of_laws(fit: Fit, known: Mapping[str, float]) -> list[Array]:
    """`_values` of each of several laws."""
    return [_values(fit, law.law, Estimate(law.parameters, np.array(law.draws)), known) for law in fit.laws]


def _disagreements(request: ForecastRequest, known: Mapping[str, float], reach: Extrapolation) -> Iterator[Check]:
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


def _errors_on_the_way(request: ForecastRequest, known: Mapping[str, float]) -> Iterator[Array]:
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
    from scipy.optimize import brentq
    from scipy.special import ndtri, stdtrit

    shares = (1 - level) / 2, (1 + level) / 2
    if run == 0 and misfit == 0:
        low, high = np.quantile(law_errors, shares)
        return float(low), float(high)
    # Evenly spaced quantiles stand for the noise of a run (Student's t) and the misfit (normal); each is added to every
    # draw of the law, which convolves the three without Monte Carlo noise.
    mixed = np.random.default_rng(0).permutation(NOISE_QUANTILES)  # so that large errors of both kinds meet by chance
    others = np.sort(run * stdtrit(freedom, NOISE_QUANTILES) + misfit * ndtri(mixed))
    drawn = np.sort(law_errors)
    least, most = float(drawn[0] + others[0]), float(drawn[-1] + others[-1])
    digit = 1e-7 * (most - least)

    def beyond(error: float, share: float) -> float:
        # The share of all sums that lie below an error takes one look-up per draw, so none of the sums is made.
        return float(np.searchsorted(others, error - drawn).mean()) / len(others) - share

    low, high = (float(brentq(beyond, least - digit, most + digit, (share,), xtol=digit)) for share in shares)
    return low, high


def _require_in_reach(values: Array, reach: Extrapolation, law: Law | None = None) -> None:
    """Logarithms, or what a law fits without one, must be numbers that anybody can use."""
    largest = LARGEST_LOG if law is None or law.is_logarithmic else math.inf
    if not (np.abs(values) < largest).all():
        evidence = f"the law gives no finite loss {reach.largest:.3g} times beyond the runs in {reach.farthest}"
        raise RefusedError("out_of_reach", evidence, "check params, tokens and flops, or add runs nearer to them")


def _factor(value: float, low: float, high: float) -> float:
    return max(1.0, value / high, low / value)


def _checks(fit: Fit, reach: Extrapolation, known: Mapping[str, float]) -> list[Check]:
    checks = [check for check in fit.checks if not check.is_note]
    if "params" in known and "tokens" in known:
        checks += ladder_checks(fit, known["params"], known["tokens"])
    checks = list(dict.fromkeys(checks))
    if reach.largest > FAR:
        evidence = f"{reach.largest:.3g} times beyond the runs in {reach.farthest}"
        cure = f"add runs nearer to the target in {reach.farthest}"
        checks.append(Check("far_extrapolation", "doubt", evidence, cure))
    return checks


def ladder_checks(fit: Fit, params: float, tokens: float) -> list[Check]:
    """What a law of compute, fitted to runs at one ratio of tokens to parameters, does not say of another run's loss.

    That the best split is unknown, and where the run's own split is not the ladder's, that this is not allowed for.
    """
    ladder = fit.ladder
    if ladder is None:
        return []
    checks = [check for check in fit.checks if check.code == COLLINEAR]
    return [*checks, *ladder.checks(params, tokens)]


def _require(known: dict[str, float], law: Law, level: float) -> None:
    missing = [name for name in law.features if name not in known]
    if missing:
        raise ForetokenError(
            f"the law {law.name!r} needs more than it was given",
            expected=", ".join(law.features),
            got=", ".join(known) or "nothing",
            cure=f"say {missing[0]}" + ("" if missing[0] in ("params", "tokens", "flops") else ", with --at"),
        )
    strange = [name for name in known if name not in (*law.features, "params", "tokens", "flops")]
    if strange:
        raise ForetokenError(
            f"the law {law.name!r} does not read {strange[0]!r}",
            expected=", ".join(law.features),
            cure=did_you_mean(strange[0], law.features),
        )
    for name, value in known.items():
        if not (math.isfinite(value) and value > 0):
            raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
    check_level(level)


def _require_sense(request: ForecastRequest, known: dict[str, float]) -> None:
    """Raise RefusedError for a run far below all runs of the fit, and for FLOPs that contradict its N and D."""
    fit = request.fit
    for name in ("params", "tokens", "flops"):
        least = fit.ranges.by_name()[name].low
        if name in known and known[name] < least / BELOW:
            evidence = (
                f"{name} of {known[name]:.4g} are {least / known[name]:.3g} times below the smallest of the fit's runs"
                f" ({least:.4g})"
            )
            raise RefusedError("below_the_runs", evidence, "check the unit; or add runs as small, which cost little")
    # A table without tokens has 1 in their place.
    if request.flops is None or request.params is None or request.tokens is None or fit.ranges.tokens.high <= 1:
        return
    per, (low, high) = request.flops / (request.params * request.tokens), fit.flops_per_param_token_range
    slack = max(CONTRADICTION, high / low)
    if not low / slack <= per <= high * slack:
        usual = fit.flops_per_param_token * request.params * request.tokens
        evidence = (
            f"{request.flops:.4g} FLOP for {request.params:.4g} params and {request.tokens:.4g} tokens, where the fit's"
            f" runs would have {usual:.4g}: {per:.3g} and not {fit.flops_per_param_token:.3g} per param and token"
        )
        raise RefusedError("flops_contradict", evidence, "leave flops out, or correct them, params or tokens")


def _require_below_guessing(loss: float, guessing: float | None) -> None:
    """Raise RefusedError for a loss that a model reaches which has learned nothing."""
    if guessing is not None and loss > guessing:
        evidence = f"a loss of {loss:.4g} is above {guessing:.4g}, that of guessing among all entries of the vocabulary"
        raise RefusedError("above_guessing", evidence, "ask for a longer or larger run; no law holds there")
