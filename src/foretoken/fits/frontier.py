"""The loss of the best run of a budget as a law of compute alone, fitted to all runs.

A law of size and length is most wrong far from the best split, at sizes that nobody would train; there are many such
runs in an IsoFLOP grid, and they bend its forecast. Here each run is moved to the best split of its compute by what the
law says of its own, and counts the less the farther it was moved.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretoken.fits.bootstrap import bootstrap_forecast, cluster_errors
from foretoken.fits.estimate import Sample
from foretoken.fits.noise import LEAST
from foretoken.fits.parts import WeighedLaw
from foretoken.fits.rows import Rows
from foretoken.fits.solvers import solve
from foretoken.laws import SATURATING_FLOPS
from foretoken.laws.law import Array, Law, Real

FIRST_SD = 0.005
"""Standard deviation of ln loss of a run at the frontier, before the runs say what it is."""
CLIP = 3.0
"""Residuals count as this many standard deviations at most."""
FEWEST_BUDGETS, LEAST_RANGE = 3, 2.0
"""Different amounts of compute, and the factor between the ends, below which no law of compute is fitted."""


def excess(
    law: Law, parameters: Mapping[str, float], params: Real, tokens: Real, flops: Real, per_token: float
) -> Real:
    """Logarithm of a run's loss over that of the best split of its compute, by a law with an optimum in closed form.

    `per_token` is FLOP per parameter and token.
    """
    assert law.optimum is not None
    best_params, best_tokens = law.optimum(parameters, flops, per_token)
    best = law.evaluate(parameters, params=best_params, tokens=best_tokens)
    return np.log(law.evaluate(parameters, params=params, tokens=tokens) / best)


def fit_frontier(
    rows: Rows, law: Law, parameters: Mapping[str, float], weight: float, draws: int, seed: int
) -> WeighedLaw | None:
    """The law of the frontier with its draws; None where the runs span too little compute, or no split is best."""
    compute = np.log(rows.flops)
    if len(np.unique(np.round(compute, 1))) < FEWEST_BUDGETS or np.ptp(compute) < np.log(LEAST_RANGE):
        return None
    per_token = float(np.median(rows.flops / (rows.params * rows.tokens)))
    moved = np.asarray(excess(law, parameters, rows.params, rows.tokens, rows.flops, per_token))
    if not np.isfinite(moved).all():
        return None
    sample = Sample.of(SATURATING_FLOPS, compute[:, None], rows.y / np.exp(moved), rows.tokens)
    theta, sigma = _estimate(sample, moved)
    shared = cluster_errors(sample, rows, theta, sigma)
    drawn = bootstrap_forecast(sample, shared, theta, sigma, draws, seed).theta
    unshifted = SATURATING_FLOPS.shift(np.concatenate([theta[None], drawn]), sample.origin)
    values = SATURATING_FLOPS.values(unshifted)
    named = dict(zip(SATURATING_FLOPS.parameters, map(float, values[0]), strict=True))
    return WeighedLaw(SATURATING_FLOPS.name, weight, named, values[1:].tolist())


def _estimate(sample: Sample, moved: Array) -> tuple[Array, Array]:
    """The MAP estimate theta [p], and the standard deviation of each run about it [r].

    A run that was moved by m is uncertain by m itself: what a law says of a bad split is not better known than that.
    """
    theta = SATURATING_FLOPS.prior(sample.y)[0].copy()
    theta[1] = sample.y.min() + np.log(0.5)
    sd = FIRST_SD
    for _ in range(6):
        sigma = np.hypot(sd, moved)
        theta = solve(sample.map_problem(sample.y[None], np.ones((1, len(sample.y))), sigma), theta[None], 1e-9)[0][0]
        # Weighed by (sd / sigma)^2, a run's standardised residual counts as part of a run: the sum of these parts, less
        # the parameters, is what is left to estimate sd from.
        share = (sd / sigma) ** 2
        residual = np.minimum(np.abs(sample.residual(theta)), CLIP * sigma)
        sd = max(LEAST, float(np.sqrt((share * residual**2).sum() / max(1.0, share.sum() - len(theta)))))
    return theta, np.hypot(sd, moved)
