"""What a fit does not know: draws of its parameters, and how a forecast errs with distance.

Three things make a new run differ from the forecast: the parameters (draws), the noise of one run (sigma), and the
law's own misfit, which grows with the distance beyond the data; it is learned from held-out budgets of the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.estimate import Sample
from foretoken.fits.rows import Rows
from foretoken.fits.solvers import solve
from foretoken.laws.law import Array, Indices

WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
"""Sizes of the multipliers of a wild bootstrap (Webb 2023), each with both signs."""
REFERENCE_FACTOR = 8.0
"""The kinds of resampling are compared by the spread of a forecast at this many times the largest compute."""
GROWTH = 0.007
"""Misfit assumed before a table says otherwise: 0.7 % per e-fold beyond the data (benchmarks/coverage.py)."""
GROWTH_WEIGHT = 6.0
"""How many held-out budgets that assumption weighs."""
CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of compute below which a held-out fit sees the runs."""
SAME_BUDGET = 0.05
"""Runs within 5 % of a cut's compute stay on its side, so that no budget is torn apart."""


@dataclass(frozen=True)
class Bootstrap:
    """Draws of the forecast's parameters and of the plain ones, theta [draws, p], and which resampling gave them."""

    pooled: Array
    plain: Array
    text: str


def bootstrap(
    sample: Sample, rows: Rows, pooled: Array, plain: Array, sigma: float, draws: int, seed: int
) -> Bootstrap:
    """Wild bootstrap over runs, trajectories and budgets; the one whose forecasts spread most is kept.

    Residuals of one cluster keep their pattern and take one random multiplier, so what runs of one trajectory share is
    not mistaken for independent evidence. Each draw also takes the prior's centre from the prior.
    """
    generator = np.random.default_rng(seed)
    kinds = {"runs": np.arange(len(rows)), **_clusters("trajectories", rows.parent), **_clusters("budgets", rows.group)}
    target = sample.x[rows.flops.argmax()] + np.log(REFERENCE_FACTOR) / sample.x.shape[1]
    centre, scale = sample.law.prior(sample.y)
    finite = np.where(np.isfinite(scale), scale, 0.0)
    found, spreads = {}, {}
    for kind, cluster in kinds.items():
        noise = _multipliers(generator, draws, cluster)
        y = _resampled(sample, pooled, noise)
        mean = centre + finite * generator.standard_normal((draws, len(centre)))
        problem = sample.pooled_problem(y, np.ones((1, len(rows))), sigma, mean)
        theta = solve(problem, np.repeat(pooled[None], draws, axis=0), 1e-5, steps=60)[0]
        found[kind] = (theta, noise)
        ends = sample.law.log_loss(theta, target[None])[0][:, 0]
        spreads[kind] = float(np.subtract(*np.quantile(ends, [0.95, 0.05])))
    widest = max(spreads, key=lambda kind: spreads[kind])
    theta, noise = found[widest]
    y = _resampled(sample, plain, noise)
    problem = sample.plain_problem(y, np.ones((1, len(rows))))
    simple = solve(problem, np.repeat(plain[None], draws, axis=0), 1e-4, steps=60)[0]
    widths = ", ".join(f"{kind} {100 * width / 2:.2f} %" for kind, width in spreads.items())
    text = (
        f"wild bootstrap over {widest}, the widest of: {widths} (half of the 90 % spread of the law"
        f" at {REFERENCE_FACTOR:g} times the largest compute)"
    )
    return Bootstrap(theta, simple, text)


def _clusters(kind: str, labels: list[str | None]) -> dict[str, Indices]:
    """Cluster number of each run [r]; nothing when no two runs share one, or all do."""
    names = [label if label is not None else f"\0{i}" for i, label in enumerate(labels)]
    cluster = np.unique(names, return_inverse=True)[1]
    count = int(cluster.max()) + 1
    return {kind: cluster} if 2 < count < len(labels) else {}


def _multipliers(generator: np.random.Generator, draws: int, cluster: Indices) -> Array:
    size = (draws, int(cluster.max()) + 1)
    sign = generator.choice([-1.0, 1.0], size)
    return np.asarray((sign * generator.choice(WEBB, size))[:, cluster])


def _resampled(sample: Sample, theta: Array, noise: Array) -> Array:
    """Fitted values plus multiplied residuals, widened for the parameters that were fitted: y [b, r]."""
    residual = sample.residual(theta)
    runs, parameters = len(residual), len(theta)
    widened = residual * np.sqrt(runs / max(1.0, runs - parameters))
    return np.asarray(sample.y - residual + noise * widened)


def misfit_growth(sample: Sample, rows: Rows, pooled: Array, sigma: float) -> tuple[float, list[dict[str, float]]]:
    """Misfit per e-fold beyond the data, on log loss, and the held-out errors it was learned from.

    Fits the runs below several cuts of compute and looks at the mean error at each budget above. What the parameters'
    own uncertainty explains is taken off; the rest, per ln of the distance, is averaged with a weak assumption.
    """
    compute = np.log(rows.flops)
    cuts = np.quantile(compute, CUTS, method="lower")
    train = np.unique(compute[None] <= cuts[:, None] + SAME_BUDGET, axis=0)
    train = train[(train.sum(axis=1) > len(pooled)) & (train.sum(axis=1) <= len(rows) - 2)]
    problem = sample.pooled_problem(sample.y[None], train.astype(np.float64), sigma)
    theta = solve(problem, np.repeat(pooled[None], len(train), axis=0), 1e-8)[0]
    fitted, gradient = sample.law.log_loss(theta, sample.x)
    tests = []
    for member, seen in enumerate(train):
        slopes = gradient[member, seen]
        covariance = sigma**2 * np.linalg.inv(slopes.T @ slopes + np.diag(problem.precision + 1e-9))
        distance = compute - compute[seen].max()
        for here in _octaves(distance):
            slope = gradient[member, here].mean(axis=0)
            explained = float(np.sqrt(slope @ covariance @ slope + sigma**2 / len(here)))
            error = float((fitted[member, here] - sample.y[here]).mean())
            tests.append({"distance": float(distance[here].mean()), "error": error, "explained": explained})
    excess = [max(0.0, test["error"] ** 2 - test["explained"] ** 2) / test["distance"] ** 2 for test in tests]
    square = (GROWTH_WEIGHT * GROWTH**2 + sum(excess)) / (GROWTH_WEIGHT + len(excess))
    return float(np.sqrt(square)), tests


def _octaves(distance: Array) -> list[Indices]:
    """Indices of the runs beyond a cut, by factors of 2 of their compute."""
    octave = np.round(distance / np.log(2.0)).astype(int)
    return [np.flatnonzero(octave == step) for step in range(1, int(octave.max()) + 1) if (octave == step).any()]
