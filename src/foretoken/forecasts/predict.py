"""A fit at another size and length: the forecast, its interval, and how far it reaches."""

from __future__ import annotations

import math

import numpy as np

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.result import Check, Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.laws import find_law
from foretoken.laws.law import Array

KINDS = ("new-run", "mean")
FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a forecast is marked."""
LARGEST_LOG = 100.0
"""Beyond this logarithm a loss or a factor is no number that anybody can use."""
NOISE_QUANTILES = (np.arange(500) + 0.5) / 500


def predict(
    fit: Fit, *, params: float, tokens: float, flops: float | None = None, level: float = 0.9, kind: str = "new-run"
) -> Forecast:
    """The loss of a run of `params` parameters (in the fit's own count) on `tokens` tokens.

    `flops` is taken from the fit's runs (their median FLOP per parameter and token) unless given. The interval holds
    one new run (`new-run`) or the law itself (`mean`) with probability `level`.
    Raises ForetokenError for a size, level or kind that makes no sense, RefusedError so far out that the law itself
    gives no finite loss.
    """
    if flops is None:
        flops = params * tokens * float(np.median([run.flops / (run.params * run.tokens) for run in fit.residuals]))
    _require(params, tokens, flops, level, kind)
    law = find_law(fit.law)
    reach = {"params": params, "tokens": tokens, "flops": flops}
    factors = {name: _factor(value, *fit.ranges[name]) for name, value in reach.items()}
    _require_in_reach(np.log(list(factors.values())), factors)
    x = np.log([[reach[name] for name in law.features]])
    with np.errstate(all="ignore"):
        centre = float(law.log_loss(law.theta(fit.forecast_parameters)[None], x)[0][0, 0])
        draws = law.log_loss(np.log(np.array(fit.draws)), x)[0][:, 0]
    _require_in_reach(np.append(draws, centre), factors)
    errors = _errors(draws - np.median(draws), fit.noise, math.log(max(factors.values())), kind)
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    _require_in_reach(np.array([centre + low, centre + high]), factors)
    return Forecast(
        params=float(params),
        tokens=float(tokens),
        flops=float(flops),
        loss=math.exp(centre),
        low=math.exp(centre + min(0.0, float(low))),
        high=math.exp(centre + max(0.0, float(high))),
        level=level,
        kind=kind,
        extrapolation=factors,
        checks=_checks(fit, factors),
    )


def _errors(law_errors: Array, noise: dict[str, float], distance: float, kind: str) -> Array:
    """Errors of a forecast on log loss: of the parameters, of the law's form with distance, of one run."""
    from scipy.special import stdtrit

    run = noise["run"] if kind == "new-run" else 0.0
    scale = math.hypot(run, noise["growth"] * distance)
    quantiles = stdtrit(noise["freedom"], NOISE_QUANTILES)  # of Student's t
    return np.asarray(law_errors[:, None] + scale * quantiles, dtype=np.float64).ravel()


def _require_in_reach(logarithms: Array, factors: dict[str, float]) -> None:
    if not (np.abs(logarithms) < LARGEST_LOG).all():
        name = max(factors, key=lambda key: factors[key])
        evidence = f"the law gives no finite loss {factors[name]:.3g} times beyond the runs in {name}"
        raise RefusedError("out_of_reach", evidence, "check params, tokens and flops, or add runs nearer to them")


def _factor(value: float, low: float, high: float) -> float:
    return max(1.0, value / high, low / value)


def _checks(fit: Fit, factors: dict[str, float]) -> list[Check]:
    checks = [check for check in fit.checks if check.severity != "note"]
    name = max(factors, key=lambda key: factors[key])
    if factors[name] > FAR:
        evidence = f"{factors[name]:.3g} times beyond the runs in {name}"
        checks.append(Check("far_extrapolation", "doubt", evidence, f"add runs nearer to the target in {name}"))
    return checks


def _require(params: float, tokens: float, flops: float, level: float, kind: str) -> None:
    for name, value in (("params", params), ("tokens", tokens), ("flops", flops)):
        if not (math.isfinite(value) and value > 0):
            raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
    if not 0 < level < 1:
        raise ForetokenError(
            "the level of an interval lies between 0 and 1", got=repr(level), cure="use for example 0.9"
        )
    if kind not in KINDS:
        raise ForetokenError("unknown kind of interval", expected=", ".join(KINDS), got=repr(kind))
