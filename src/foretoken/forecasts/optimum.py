"""The best size and length at a budget, and the loss there, each with an interval from the fit's own draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.laws.law import Array


@dataclass(frozen=True)
class Optimum:
    """N* and D* of least loss at a budget; [low, high] of each at `level`, of the law and not of a new run."""

    flops: float
    params: float
    tokens: float
    loss: float
    params_interval: list[float]
    tokens_interval: list[float]
    loss_interval: list[float]
    level: float


def optimum(fit: Fit, flops: float, *, level: float = 0.9, estimator: str = "pooled") -> Optimum:
    """Where a fit's loss is least for `flops` FLOP, counted as the fit's runs count them.

    Raises ForetokenError for a law whose best size has no closed form.
    """
    law = find_law(fit.law)
    if law.optimum is None:
        raise ForetokenError(f"the law {law.name!r} has no best size at a budget", expected="chinchilla or coupled")
    chosen, drawn = (fit.forecast_parameters, fit.draws) if estimator == "pooled" else (fit.estimates, fit.plain_draws)
    per_token = float(np.median([run.flops / (run.params * run.tokens) for run in fit.residuals]))
    found = []
    for values in [list(chosen.values()), *drawn]:
        named = dict(zip(law.parameters, values, strict=True))
        params, tokens = law.optimum(named, flops, per_token)
        found.append([float(params), float(tokens), float(law.predict(named, params, tokens))])
    params, tokens, loss = found[0]
    sizes, lengths, losses = (_interval(values, level) for values in np.array(found[1:]).T)
    return Optimum(float(flops), params, tokens, loss, sizes, lengths, losses, level)


def _interval(draws: Array, level: float) -> list[float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]
