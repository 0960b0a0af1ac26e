"""L(N, D) = E + ((A / N^alpha)^(1/gamma) + (B / D^beta)^(1/gamma))^gamma: Chinchilla's form with coupled terms.

gamma = 1 is Hoffmann et al. 2022; E = 0 with gamma = beta is Kaplan et al. 2020; gamma near 0 is the larger term alone.
Busbridge et al. 2025 fit this form (they write the exponents alpha / gamma and beta / gamma).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretoken.laws import chinchilla
from foretoken.laws.law import Array, Law, Real, in_numpy

START_GAMMAS = (1.0, 0.5)
"""Chinchilla's own form, and the centre of the prior."""


def value_and_grad(theta: Array, x: Array) -> tuple[Array, Array]:
    """For theta [b, 6] = logs of (E, A, B, alpha, beta, gamma), x [r, 2] = (ln N, ln D): ln L [b, r], d/dtheta."""
    # y = ln(e^e + e^(gamma s)) with s = ln(e^size + e^data), where size = (a - alpha ln N) / gamma and data alike.
    # `share` is ds/dsize, `reducible` dy/d(gamma s). In ln gamma, size and data fall as 1 / gamma while gamma s grows:
    # d(gamma s)/d ln gamma = gamma (s - share size - (1 - share) data).
    e, a, b, ln_alpha, ln_beta, ln_gamma = (theta[:, k, None] for k in range(6))
    gamma = np.exp(ln_gamma)
    alpha_n, beta_d = np.exp(ln_alpha) * x[:, 0], np.exp(ln_beta) * x[:, 1]
    size, data = (a - alpha_n) / gamma, (b - beta_d) / gamma
    both, share = _log_sum(data, size)
    y, reducible = _log_sum(e, gamma * both)
    rest = 1 - share
    mixing = gamma * (both - share * size - rest * data)
    columns = (share, rest, -share * alpha_n, -rest * beta_d, mixing)
    # Runs lie next to each other in memory, as everything that is done with them runs along them.
    gradient = np.empty((len(y), 6, y.shape[1]))
    np.subtract(1, reducible, out=gradient[:, 0])
    for k, column in enumerate(columns, 1):
        np.multiply(reducible, column, out=gradient[:, k])
    return y, gradient.swapaxes(1, 2)


def _log_sum(one: Array, other: Array) -> tuple[Array, Array]:
    """ln(e^one + e^other), and the share of the second in the sum."""
    # numpy.logaddexp gives the same to rounding; it takes three times as long.
    top, small = np.maximum(one, other), np.exp(-np.abs(one - other))
    total = 1 + small
    return top + np.log(total), np.where(one > other, small, 1.0) / total


def starts(x: Array, y: Array) -> Array:
    """Chinchilla's starts, at gamma 1 and 0.5: theta [starts, 6]."""
    simple = chinchilla.starts(x, y)
    return np.concatenate([np.insert(simple, 5, np.log(gamma), axis=1) for gamma in START_GAMMAS])


def bounds(y: Array) -> tuple[Array, Array]:
    """Chinchilla's bounds; gamma from 0.05 to 2."""
    low, high = chinchilla.bounds(y)
    return np.append(low, np.log(0.05)), np.append(high, np.log(2.0))


def prior(y: Array) -> tuple[Array, Array]:
    """Chinchilla's weak assumptions, and gamma near 0.5: neither term alone, nor their sum."""
    mean, scale = chinchilla.prior(y)
    return np.append(mean, np.log(0.5)), np.append(scale, 0.2)


@in_numpy
def optimum(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """N* and D* of least loss with flops_per_param_token x N x D = C: Chinchilla's, at the exponents over gamma.

    >>> n, d = optimum({"A": 4.0, "B": 4.0, "alpha": 0.3, "beta": 0.3, "gamma": 0.5}, 6e20)
    >>> f"{n:.3g} {d:.3g}"
    '1e+10 1e+10'
    """
    # A sum to the power gamma is least where the sum is, and the sum is Chinchilla's with these inner terms.
    gamma = parameters["gamma"]
    inner = {name: parameters[name] / gamma for name in ("alpha", "beta")}
    inner |= {name: parameters[name] ** (1 / gamma) for name in ("A", "B")}
    return chinchilla.optimum(inner, C, flops_per_param_token)


COUPLED = Law(
    name="coupled",
    formula="L = E + ((A / N^alpha)^(1/gamma) + (B / D^beta)^(1/gamma))^gamma",
    parameters=("E", "A", "B", "alpha", "beta", "gamma"),
    features=("params", "tokens"),
    value_and_grad=value_and_grad,
    starts=starts,
    shift=chinchilla.shift,
    bounds=bounds,
    prior=prior,
    prior_text=f"{chinchilla.CHINCHILLA.prior_text}, gamma near 0.5 (factor 1.22)",
    optimum=optimum,
    citation="Busbridge et al. 2025, Distillation Scaling Laws, arXiv 2502.08606 (supervised law)",
    domain="one pass over the data, N and D varied independently",
    scales=("E", "A", "B"),
    units=(*chinchilla.CHINCHILLA.units, "1"),
)
