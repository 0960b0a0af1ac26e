"""Several laws in one forecast: the law of the frontier beside those of size and length, and how much each weighs.

A law of size and length is most wrong far from the best split, at sizes that nobody would train; there are many such
runs in an IsoFLOP grid, and they bend its forecast. The frontier's is a law of compute alone: each run is moved to the
best split of its compute by what the law of the fit says of its own, and counts the less the farther it was moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from foretoken.fits.bootstrap import CLIP, bootstrap_forecast, cluster_errors
from foretoken.fits.estimate import Sample
from foretoken.fits.noise import LEAST
from foretoken.fits.parts import WeighedLaw
from foretoken.fits.rows import Rows
from foretoken.fits.solvers import solve
from foretoken.laws import FRONTIER, LAW_WEIGHTS, find_law
from foretoken.laws.law import Array, Law, Real

FIRST_SD = 0.005
"""Standard deviation of ln loss of a run at the frontier, before the runs say what it is."""
FEWEST_BUDGETS, LEAST_RANGE = 3, 2.0
"""Different amounts of compute, and the factor between the ends, below which no law of compute is fitted."""
MOST_EVIDENCE = 5.0
"""A law that makes the runs less likely by more than e to this counts as less likely by this: none is quite out."""
BEYOND = 100.0
"""How widely laws forecast is compared at this many times the largest compute."""
SPREAD_POWER = 8.0
"""The frontier's weight falls as this power of how much more widely it forecasts."""


def weigh(
    laws: Sequence[WeighedLaw], frontier: WeighedLaw | None, evidence: Sequence[float], trust: float, rows: Rows
) -> list[WeighedLaw]:
    """The laws of size and length and that of the frontier, with weights that sum to 1.

    Where no law holds inside the table (`trust` 0) the weights are those of `LAW_WEIGHTS`, which did best on public
    tables: what runs say for one law against another is then of their misfit. The surer a law holds, the more the
    `evidence` for each (its log) decides among the first, and the more the frontier's, which takes no notice of the
    shape inside a budget, must forecast as narrowly to keep its own.
    """
    usual = np.array([LAW_WEIGHTS[law.law] for law in laws])
    log = np.maximum(np.asarray(evidence) - max(evidence), -MOST_EVIDENCE)
    # A logarithmic pool of the usual weights and of their posterior: continuous in trust.
    pooled = usual * np.exp(trust * log)
    weights = usual.sum() * pooled / pooled.sum()
    members = list(laws)
    if frontier:
        spreads = np.array([_spread(law, rows) for law in (*laws, frontier)]) ** 2
        narrower = min(1.0, float(weights @ spreads[:-1]) / float(usual.sum() * spreads[-1]))
        members.append(frontier)
        weights = np.append(weights, LAW_WEIGHTS[frontier.law] * narrower ** (SPREAD_POWER / 2 * trust))
    return [replace(law, weight=float(weight)) for law, weight in zip(members, weights / weights.sum(), strict=True)]


def _spread(weighed: WeighedLaw, rows: Rows) -> float:
    """Standard deviation of what a law says beyond the run of most compute, size and length growing alike."""
    law, largest = find_law(weighed.law), int(rows.flops.argmax())
    run = {
        "params": rows.params[largest] * np.sqrt(BEYOND),
        "tokens": rows.tokens[largest] * np.sqrt(BEYOND),
        "flops": rows.flops[largest] * BEYOND,
    }
    x = np.log([[run[feature] for feature in law.features]])
    low, high = np.quantile(law.value_and_grad(law.thetas(np.array(weighed.draws)), x)[0][:, 0], [0.16, 0.84])
    return float(high - low) / 2


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


def fit_frontier(rows: Rows, of: Sample, parameters: Mapping[str, float], draws: int, seed: int) -> WeighedLaw | None:
    """The law of the frontier with its draws; None where the runs span too little compute, or no split is best.

    `of` is the sample of the law whose `parameters` move the runs.
    """
    compute = np.log(rows.flops)
    if len(np.unique(np.round(compute, 1))) < FEWEST_BUDGETS or np.ptp(compute) < np.log(LEAST_RANGE):
        return None
    per_token = float(np.median(rows.flops / (rows.params * rows.tokens)))
    moved = np.asarray(excess(of.law, parameters, rows.params, rows.tokens, rows.flops, per_token))
    if not np.isfinite(moved).all():
        return None
    sample = Sample.of(FRONTIER, compute[:, None], rows.y / np.exp(moved), rows.tokens)
    sample = replace(sample, trust=of.trust)
    theta, sigma = _estimate(sample, moved)
    shared = cluster_errors(sample, rows, theta, sigma)
    drawn = bootstrap_forecast(sample, shared, theta, sigma, draws, seed).theta
    unshifted = FRONTIER.shift(np.concatenate([theta[None], drawn]), sample.origin)
    values = FRONTIER.values(unshifted)
    named = dict(zip(FRONTIER.parameters, map(float, values[0]), strict=True))
    return WeighedLaw(FRONTIER.name, LAW_WEIGHTS[FRONTIER.name], named, values[1:].tolist())


def _estimate(sample: Sample, moved: Array) -> tuple[Array, Array]:
    """The MAP estimate theta [p], and the standard deviation of each run about it [r].

    A run that was moved by m is uncertain by m itself: what a law says of a bad split is not better known than that.
    """
    theta = sample.prior()[0].copy()
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
