"""Kaplan et al. 2020's route to N*(C): L = (N_c / N)^n + (S_c / S)^s, without irreducible loss.

Embeddings are left out of N and of C. At a fixed batch the steps S are proportional to the tokens D, so
N* ~ C^(s / (n + s)) with C = 6 N D.
"""

from __future__ import annotations

import numpy as np

from foretoken.fits.rows import Rows
from foretoken.laws.law import Array, Indices
from foretoken.routes.route import PathDraws, Route, route_of

NAME = "Kaplan"
METHOD = "L = (Nc/N)^n + (Dc/D)^s without irreducible loss, least squares on log loss; C = 6 N D"


def kaplan_route(rows: Rows, largest: float, *, level: float = 0.9, draws: int = 200, seed: int = 0) -> Route:
    """Exponent s / (n + s) of N*, and N* at `largest` FLOP, from rows whose N should leave out embeddings.

    Intervals: wild bootstrap over trajectories, budgets or runs, whichever label the rows have.
    """
    if len(rows) < 6 or min(np.ptp(np.log(rows.params)), np.ptp(np.log(rows.tokens))) < 0.02:
        reason = "needs 6 runs or more that vary in N and in D"
        return Route(name=NAME, method=METHOD, reason=reason, params_column=rows.params_column)
    n, d, y = np.log(rows.params), np.log(rows.tokens), np.log(rows.y)
    origin = n.mean(), d.mean()
    x = np.stack([n - origin[0], d - origin[1]], axis=1)
    best = min((_descend(x, y, start) for start in _starts(y)), key=lambda descent: descent[1])[0]
    fitted = _log_loss(best, x)
    noise = _signs(rows, draws, seed)
    thetas = np.array([best, *(_descend(x, fitted + sign * (y - fitted), best)[0] for sign in noise)])
    path = _path(thetas, origin)
    return route_of(NAME, METHOD, path, level=level, largest=largest, params_column=rows.params_column)


def _log_loss(theta: Array, x: Array) -> Array:
    """Theta = (a, ln n, b, ln s): ln of e^(a - n x0) + e^(b - s x1), for x [r, 2]."""
    size, data = theta[0] - np.exp(theta[1]) * x[:, 0], theta[2] - np.exp(theta[3]) * x[:, 1]
    return np.asarray(np.logaddexp(size, data))


def _jacobian(theta: Array, x: Array) -> Array:
    n_x, s_x = np.exp(theta[1]) * x[:, 0], np.exp(theta[3]) * x[:, 1]
    share = np.exp(theta[0] - n_x - _log_loss(theta, x))
    return np.stack([share, -share * n_x, 1 - share, -(1 - share) * s_x], axis=1)


def _descend(x: Array, y: Array, start: Array) -> tuple[Array, float]:
    from scipy.optimize import least_squares

    low, high = np.array([-50.0, np.log(1e-3), -50.0, np.log(1e-3)]), np.array([50.0, np.log(3.0)] * 2)
    descent = least_squares(
        lambda theta: _log_loss(theta, x) - y, start, jac=lambda theta: _jacobian(theta, x), bounds=(low, high)
    )
    return np.asarray(descent.x), float(descent.cost)


def _starts(y: Array) -> list[Array]:
    # Either term begins with half of the mean loss; which exponent is steeper is left to the starts.
    half = float(y.mean()) + np.log(0.5)
    return [np.array([half, np.log(n), half, np.log(s)]) for n in (0.05, 0.2) for s in (0.05, 0.2, 0.7)]


def _signs(rows: Rows, draws: int, seed: int) -> Array:
    """One random sign per cluster and draw: [draws, r]."""
    labels: list[str] = next(
        ([str(label) for label in labels] for labels in (rows.parent, rows.group) if len(set(labels)) > 4),
        [str(i) for i in range(len(rows))],
    )
    cluster: Indices = np.unique(labels, return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    return np.asarray(generator.choice([-1.0, 1.0], (draws, int(cluster.max()) + 1))[:, cluster])


def _path(thetas: Array, origin: tuple[float, float]) -> PathDraws:
    """The line of ln N* over ln C with C = 6 N D, for thetas [b, 4] that were fitted around `origin`."""
    # With u = ln N and v = ln D = ln(C / 6) - u, the loss e^(size - n u) + e^(data - s v) is least where both terms
    # have equal slopes: n e^(size - n u) = s e^(data - s v). So (n + s) u = ln(n / s) + size - data + s ln(C / 6).
    n, s = np.exp(thetas[:, 1]), np.exp(thetas[:, 3])
    size, data = thetas[:, 0] + n * origin[0], thetas[:, 2] + s * origin[1]
    slopes = s / (n + s)
    intercepts = (np.log(n / s) + size - data) / (n + s) - slopes * np.log(6.0)
    return PathDraws(slopes, intercepts)
