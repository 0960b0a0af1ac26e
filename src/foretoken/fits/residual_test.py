"""Is a law wrong inside its own table? A smooth pattern of the residuals says so."""

from __future__ import annotations

import numpy as np

from foretoken.fits.estimate import Sample
from foretoken.laws.law import Array, Indices

DEGREE = 3
"""Patterns are polynomials in the law's features up to this degree."""
CLIP = 3.0
RUNS_PER_BUDGET = 3
ENOUGH = 12
"""FittedRun degrees of freedom below which no pattern would show."""


def pattern_p_value(sample: Sample, theta: Array, sigma: Array, budget: Indices | None) -> float:
    """Probability of so strong a pattern in the residuals by chance alone (an F test); 0 where it cannot be tested.

    Squares, products and cubes of ln N and ln D are offered beside what the law's own parameters can still take up.
    Where runs come in budgets, what the runs of a budget share is no pattern.
    """
    from scipy.stats import f as fisher

    z = np.clip(sample.residual(theta) / sigma, -CLIP, CLIP)
    own = [sample.law.value_and_grad(theta[None], sample.x)[1][0]]
    if budget is not None and budget.max() + 1 <= len(z) / RUNS_PER_BUDGET:
        own.append(np.eye(int(budget.max()) + 1)[budget])
    without, fewer = _left(z, np.concatenate(own, axis=1) / sigma[:, None])
    patterns = np.concatenate([*own, _patterns(sample.x)], axis=1) / sigma[:, None]
    left, more = _left(z, patterns)
    spare = len(z) - more
    if spare < ENOUGH or more == fewer:
        return 0.0
    return float(fisher.sf((without - left) / (more - fewer) / max(left / spare, 1e-300), more - fewer, spare))


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
