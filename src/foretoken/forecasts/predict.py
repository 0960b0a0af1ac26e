"""A fit at another size and length: the forecast, its interval, and how far it reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from foretoken.arguments import check_level, named_arguments
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.objectives import MAP
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import NEW_RUN, Extrapolation, Forecast, interval_kind
from foretoken.laws import find_law
from foretoken.laws.law import Array, Law

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a forecast is marked."""
LARGEST_LOG = 100.0
"""Beyond this logarithm a loss or a factor is no number that anybody can use."""
NOISE_QUANTILES = (np.arange(500) + 0.5) / 500


@named_arguments
def predict(
    fit: Fit,
    *,
    params: float | None = None,
    tokens: float | None = None,
    flops: float | None = None,
    at: Mapping[str, float] | None = None,
    level: float = 0.9,
    kind: str = "new-run",
    estimator: str = MAP,
) -> Forecast:
    """The loss of a run that was not trained, with an interval.

    Args:
        fit: a law fitted to runs.
        params: parameters of the run, in the fit's own count.
        tokens: training tokens.
        flops: training FLOP; the fit's median FLOP per parameter and token gives them unless given.
        at: values of the law's further features, by name, such as `unique_tokens` or `size`.
        level: probability that the interval holds.
        kind: `new-run`, an interval that holds one new run, or `mean`, one that holds the law itself.
        estimator: one of `fit.estimators`: `map`, or the fit's objective (`huber`).

    Raises ForetokenError for a value that is missing or makes no sense; RefusedError so far out that the law gives no
    finite loss.

    """
    law = find_law(fit.law)
    if flops is None and params is not None and tokens is not None:
        flops = params * tokens * fit.flops_per_param_token
    sizes = {"params": params, "tokens": tokens, "flops": flops, **(at or {})}
    known = {name: value for name, value in sizes.items() if value is not None}
    _require(known, law, level)
    interval = interval_kind(kind)
    estimate = fit.estimate(estimator)
    ranges = fit.ranges.by_name() | fit.features
    reach = Extrapolation({name: _factor(value, *ranges[name]) for name, value in known.items() if name in ranges})
    _require_in_reach(np.log(list(reach.values())), reach)
    x = np.log([[known[name] for name in law.features]])
    with np.errstate(all="ignore"):
        centre = float(law.value_and_grad(law.theta(estimate.parameters)[None], x)[0][0, 0])
        draws = law.value_and_grad(law.thetas(estimate.draws), x)[0][:, 0]
    _require_in_reach(np.append(draws, centre), reach, law)
    run = fit.noise.new_run_sd(tokens) if interval == NEW_RUN else 0.0
    misfit = fit.noise.misfit_growth * math.log(reach.largest)
    low, high = _quantiles(draws - np.median(draws), run, fit.noise.degrees_of_freedom, misfit, level)
    _require_in_reach(np.array([centre + low, centre + high]), reach, law)
    unlogged = math.exp if law.target == "log" else float
    return Forecast(
        params=float(known.get("params", math.nan)),
        tokens=float(known.get("tokens", math.nan)),
        flops=float(known.get("flops", math.nan)),
        loss=unlogged(centre),
        low=unlogged(centre + min(0.0, low)),
        high=unlogged(centre + max(0.0, high)),
        level=level,
        kind=interval,
        extrapolation=reach,
        checks=_checks(fit, reach),
        estimator=estimator,
        at=dict(at or {}),
        unit=law.unit,
    )


def _quantiles(law_errors: Array, run: float, freedom: float, misfit: float, level: float) -> tuple[float, float]:
    """Ends of the errors on log loss: of the parameters, of one run, of the law's form with distance."""
    from scipy.special import ndtri, stdtrit

    mixed = np.random.default_rng(0).permutation(NOISE_QUANTILES)  # so that large errors of both kinds meet by chance
    others = run * stdtrit(freedom, NOISE_QUANTILES) + misfit * ndtri(mixed)
    errors = np.asarray(law_errors[:, None] + others, dtype=np.float64).ravel()
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _require_in_reach(values: Array, reach: Extrapolation, law: Law | None = None) -> None:
    """Logarithms, or what a law fits without one, must be numbers that anybody can use."""
    largest = LARGEST_LOG if law is None or law.target == "log" else math.inf
    if not (np.abs(values) < largest).all():
        evidence = f"the law gives no finite loss {reach.largest:.3g} times beyond the runs in {reach.farthest}"
        raise RefusedError("out_of_reach", evidence, "check params, tokens and flops, or add runs nearer to them")


def _factor(value: float, low: float, high: float) -> float:
    return max(1.0, value / high, low / value)


def _checks(fit: Fit, reach: Extrapolation) -> list[Check]:
    checks = [check for check in fit.checks if not check.is_note]
    if reach.largest > FAR:
        evidence = f"{reach.largest:.3g} times beyond the runs in {reach.farthest}"
        cure = f"add runs nearer to the target in {reach.farthest}"
        checks.append(Check("far_extrapolation", "doubt", evidence, cure))
    return checks


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
        raise ForetokenError(f"the law {law.name!r} does not read {strange[0]!r}", expected=", ".join(law.features))
    for name, value in known.items():
        if not (math.isfinite(value) and value > 0):
            raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
    check_level(level)
