"""Kaplan et al. 2020's route to N*(C): L = (N_c / N)^n + (S_c / S)^s, without irreducible loss.

Embeddings are left out of N and of C. At a fixed batch the steps S are proportional to the tokens D, so
N* ~ C^(s / (n + s)) with C = 6 N D.
"""

from __future__ import annotations

import numpy as np

from foretoken.fits.estimate import Sample
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.rows import Rows, refusals
from foretoken.fits.solvers import TIGHT, solve
from foretoken.laws.formula import exponent, law_from, term
from foretoken.laws.law import Array, Indices, Real
from foretoken.routes.route import DRAWS, PathDraws, Route, route_of

NAME = "Kaplan"
METHOD = "L = (Nc/N)^n + (Dc/D)^s without irreducible loss, least squares on log loss; C = 6 N D"


def loss(N: Real, D: Real, *, A: Real, n: Real, B: Real, s: Real) -> Real:
    """The formula, with A = N_c^n and B = D_c^s.

    >>> loss(4.0, 9.0, A=2.0, n=0.5, B=6.0, s=0.5)
    3.0
    """
    return A * N**-n + B * D**-s


SURFACE = law_from(
    loss,
    name="kaplan_route",
    formula="L = A N^-n + B D^-s",
    features=("params", "tokens"),
    parameters={
        "A": term("nats per token x parameters^n", n=(0, 1.0)),
        "n": exponent(low=1e-3),
        "B": term("nats per token x tokens^s", s=(1, 1.0)),
        "s": exponent(low=1e-3),
    },
    citation="Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361 (equation 1.6, at a batch)",
    domain="embeddings left out of N; losses far above the irreducible loss",
)


def kaplan_route(rows: Rows, largest: float, *, level: float = 0.9, draws: int = DRAWS, seed: int = 0) -> Route:
    """Exponent s / (n + s) of N*, and N* at `largest` FLOP, from rows whose N should leave out embeddings.

    Intervals: wild bootstrap over trajectories, budgets or runs, whichever label the rows have.
    """
    if len(rows) < 6 or min(np.ptp(np.log(rows.params)), np.ptp(np.log(rows.tokens))) < 0.02:
        reason = "needs 6 runs or more that vary in N and in D"
        return Route(name=NAME, method=METHOD, reason=reason, params_column=rows.params_column)
    together = [error.evidence for error in refusals(rows, SURFACE) if error.code == "collinear"]
    if together:
        return Route(name=NAME, method=METHOD, reason=together[0], params_column=rows.params_column)
    sample = Sample.of(SURFACE, rows.features(SURFACE), rows.y)
    best = _descend(sample, sample.y[None], SURFACE.starts(sample.x, sample.y))
    best = best[0][best[1].argmin()]
    fitted = sample.y - sample.residual(best)
    signs = _signs(rows, draws, seed)
    drawn, _ = _descend(sample, fitted + signs * sample.residual(best), np.tile(best, (draws, 1)))
    path = _path(SURFACE.shift(np.concatenate([best[None], drawn]), sample.origin))
    return route_of(NAME, METHOD, path, level=level, largest=largest, params_column=rows.params_column)


def _descend(sample: Sample, y: Array, start: Array) -> tuple[Array, Array]:
    """Least squares of y [b or 1, r] from theta [b, p], in one batch: theta, and the sums of squares [b]."""
    problem = sample.unpenalised_problem(y, np.ones((1, len(sample.y))), OBJECTIVES["least_squares"])
    return solve(problem, start, TIGHT)


def _signs(rows: Rows, draws: int, seed: int) -> Array:
    """One random sign per cluster and draw: [draws, r]."""
    labels: list[str] = next(
        ([str(label) for label in labels] for labels in (rows.parent, rows.group) if len(set(labels)) > 4),
        [str(i) for i in range(len(rows))],
    )
    cluster: Indices = np.unique(labels, return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    return np.asarray(generator.choice([-1.0, 1.0], (draws, int(cluster.max()) + 1))[:, cluster])


def _path(thetas: Array) -> PathDraws:
    """The line of ln N* over ln C with C = 6 N D, for thetas [b, 4]."""
    # With u = ln N and v = ln D = ln(C / 6) - u, the loss e^(a - n u) + e^(b - s v) is least where both terms have
    # equal slopes: n e^(a - n u) = s e^(b - s v). So (n + s) u = ln(n / s) + a - b + s ln(C / 6).
    a, ln_n, b, ln_s = thetas.T
    n, s = np.exp(ln_n), np.exp(ln_s)
    slopes = s / (n + s)
    intercepts = (np.log(n / s) + a - b) / (n + s) - slopes * np.log(6.0)
    return PathDraws(slopes, intercepts)
