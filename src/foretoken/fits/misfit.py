"""The law's own misfit: how forecasts err with distance, learned from the larger runs of the same table."""

from __future__ import annotations

import numpy as np

from foretoken.fits.bootstrap import CLIP, RUNS_PER_BUDGET
from foretoken.fits.estimate import Sample
from foretoken.fits.noise import NoiseModel
from foretoken.fits.parts import HeldOut
from foretoken.fits.rows import Rows
from foretoken.fits.solvers import solve
from foretoken.laws.law import Array, Indices

RIGHT, WRONG = 0.0012, 0.01
"""Misfit of a law that is right inside its table, and of one that is not: 0.12 % and 1 % per e-fold beyond the data.

Chosen by the forecasts of public tables' dearest runs and of simulated tables that follow a law (docs/backtest.md)."""
UNTESTED = 0.8
"""How surely a law counts as wrong where the runs are too few to test it ..."""
HALF_WAY = 0.05
"""... and the chance of a pattern at which it counts as wrong by half."""
LEAST_GROWTH = 0.003
"""Held-out runs never say less than this."""
CUTS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of compute below which a held-out fit sees the runs."""
SAME_BUDGET = 0.05
"""Runs within 5 % of a cut's compute stay on its side, so that no budget is torn apart."""
FEWEST = 8
"""Runs that a held-out fit sees at least."""
OWN_SHARE = 0.2
"""Of the answer, on a log scale, what the table's held-out runs say; its first runs tell little of its last."""
CERTAIN = 1e-3
"""Below this chance, what budgets share is a part of the misfit, not an error of its own."""
WILDEST = 50.0
"""A forecast that is off by more, on a logarithm, counts as off by this."""
ENOUGH = 12
"""Residual degrees of freedom below which no pattern would show."""


def misfit_growth(
    sample: Sample, rows: Rows, map_theta: Array, noise: NoiseModel, shared: float, chance: float
) -> tuple[float, list[HeldOut]]:
    """Misfit per e-fold beyond the data, on log loss, and the held-out errors it was learned from.

    Fits the runs below several cuts of compute and forecasts those above, an octave of distance at a time. What the
    parameters' own uncertainty, the noise of runs and their `shared` error explain is taken off; the rest is averaged
    with what is assumed, which grows as a pattern in the residuals (`chance`, by `pattern_p_value`) becomes surer.
    """
    compute = np.log(rows.flops)
    tests = _held_out(sample, rows, compute, map_theta, noise, shared if chance > CERTAIN else 0.0)
    assumed = assumed_growth(chance) * sample.unit
    if not tests:
        return assumed, tests
    # The misfit is modelled as a normal error whose standard deviation is growth x distance, so each held-out error has
    # the variance explained^2 + growth^2 distance^2. Moments: growth^2 = sum(error^2 - explained^2) / sum(distance^2).
    # It is a scale, so it is averaged with the assumed one on a logarithm.
    square, explained = sum(test.square for test in tests), sum(test.explained**2 for test in tests)
    measured = np.sqrt(max(0.0, square - explained) / sum(test.distance**2 for test in tests))
    return float(max(measured, LEAST_GROWTH * sample.unit) ** OWN_SHARE * assumed ** (1 - OWN_SHARE)), tests


def trust(chance: float) -> float:
    """How surely a law holds inside its table, 0 to 1, from the chance of the pattern in the residuals; 0: untested.

    >>> [round(trust(chance), 2) for chance in (1.0, 0.05, 1e-6, 0.0)]
    [0.95, 0.5, 0.0, 0.2]
    """
    # Continuous in the evidence: no chance that crosses a limit opens or closes the interval.
    return 1 - UNTESTED if chance == 0 else 1 - 1 / (1 + chance / HALF_WAY)


def assumed_growth(chance: float) -> float:
    """Misfit per e-fold before any forecast was tried, from the chance of the pattern in the residuals; 0: untested.

    >>> [round(100 * assumed_growth(chance), 2) for chance in (1.0, 0.05, 1e-6, 0.0)]
    [0.13, 0.35, 1.0, 0.65]
    """
    right = trust(chance)
    return float(RIGHT**right * WRONG ** (1 - right))


def _held_out(
    sample: Sample, rows: Rows, compute: Array, map_theta: Array, noise: NoiseModel, shared: float
) -> list[HeldOut]:
    cuts = np.quantile(compute, CUTS, method="lower")
    train = np.unique(compute[None] <= cuts[:, None] + SAME_BUDGET, axis=0)
    train = train[(train.sum(axis=1) >= max(FEWEST, len(map_theta) + 1)) & (train.sum(axis=1) <= len(rows) - 2)]
    sigma = noise.at(sample.effort)
    problem = sample.map_problem(sample.y[None], train.astype(np.float64), sigma)
    theta = solve(problem, np.repeat(map_theta[None], len(train), axis=0), 1e-8)[0]
    fitted, gradient = sample.law.value_and_grad(theta, sample.x)
    wildest = WILDEST if sample.law.is_logarithmic else np.inf
    tests = []
    for member, trained in enumerate(train):
        slopes = gradient[member, trained] / sigma[trained, None]
        # Laplace's approximation: the inverse of the Gauss-Newton curvature, prior included, is the parameters'
        # covariance, and slope' covariance slope the variance of what the law gives for a run.
        covariance = np.linalg.inv(slopes.T @ slopes + np.diag(problem.precision + 1e-9))
        distance = _distance(rows, trained)
        for octave in _octaves(np.where(trained, 0.0, distance)):
            slope = gradient[member, octave]
            error = np.clip(fitted[member, octave] - sample.y[octave], -wildest, wildest)
            explained = np.einsum("rp,pq,rq->r", slope, covariance, slope) + sigma[octave] ** 2 + shared**2
            tests.append(
                HeldOut(
                    distance=float(distance[octave].mean()),
                    error=float(error.mean()),
                    square=float((error**2).mean()),
                    explained=float(min(np.sqrt(explained.mean()), wildest)),
                )
            )
    return tests


def _distance(rows: Rows, trained: Indices) -> Array:
    """The ln of the largest factor beyond the trained runs, in params, tokens or flops [r]."""
    columns = [np.log(values / values[trained].max()) for values in (rows.params, rows.tokens, rows.flops)]
    return np.asarray(np.max(columns, axis=0))


def _octaves(distance: Array) -> list[Indices]:
    """Indices of the runs beyond a cut, by factors of 2 of their distance."""
    octave = np.round(distance / np.log(2.0)).astype(int)
    return [np.flatnonzero(octave == step) for step in range(1, int(octave.max()) + 1) if (octave == step).any()]


def pattern_p_value(sample: Sample, theta: Array, sigma: Array, budget: Indices | None) -> float:
    """Probability of so strong a pattern in the residuals by chance alone (an F test); 0 where it cannot be tested.

    Squares, products and cubes of ln N and ln D are offered beside what the law's own parameters can still take up.
    Where runs come in budgets, what the runs of a budget share is no pattern.
    """
    from scipy.special import fdtrc

    z = np.clip(sample.residual(theta) / sigma, -CLIP, CLIP)
    own = [sample.law.value_and_grad(theta[None], sample.x)[1][0]]
    if budget is not None and budget.max() + 1 <= len(z) / RUNS_PER_BUDGET:
        own.append(np.eye(int(budget.max()) + 1)[budget])
    # F test of nested linear models: the patterns are tested beside the law's own gradient, since whatever that can
    # still take up (to first order) is no fault of the law. Each side of the ratio is a mean square.
    without, fewer = _left(z, np.concatenate(own, axis=1) / sigma[:, None])
    patterns = np.concatenate([*own, _patterns(sample.x)], axis=1) / sigma[:, None]
    left, more = _left(z, patterns)
    spare = len(z) - more
    if spare < ENOUGH or more == fewer:
        return 0.0
    # Rounding may leave more with the patterns than without them; a share below 0 has no probability.
    ratio = max(0.0, without - left) / (more - fewer) / max(left / spare, 1e-300)
    return float(fdtrc(more - fewer, spare, ratio))


def _patterns(x: Array) -> Array:
    """Every product of 2 or 3 features [r, patterns]."""
    u = x / np.maximum(x.std(axis=0), 1e-12)
    first = [u[:, k] for k in range(u.shape[1])]
    second = [a * b for k, a in enumerate(first) for b in first[k:]]
    third = [a * b * c for k, a in enumerate(first) for m, b in enumerate(first[k:], k) for c in first[m:]]
    return np.stack(second + third, axis=1)


def _left(z: Array, columns: Array) -> tuple[float, int]:
    """Sum of squares that columns [r, c] leave of z, and how many of them are independent."""
    basis, size, _ = np.linalg.svd(columns / (np.linalg.norm(columns, axis=0) + 1e-300), full_matrices=False)
    basis = basis[:, size > 1e-6 * size[0]]
    return float(((z - basis @ (basis.T @ z)) ** 2).sum()), basis.shape[1]
