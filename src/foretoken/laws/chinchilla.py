"""L(N, D) = E + A / N^alpha + B / D^beta: the form of Hoffmann et al. 2022.

This file, coupled.py and power.py write their gradients out, unlike the other laws, which `law_from` differentiates:
copy from saturating.py or overtraining.py. They are fitted most, thousands of times in a bootstrap, and the general
form makes a fit 5, 28 and 22 % slower (245 runs, one core) and differs from them in the last bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from foretoken.laws.law import Array, Law, Real, in_numpy

EXPONENTS = np.exp(np.linspace(np.log(0.06), np.log(1.6), 28))
"""Grid of alpha and of beta on which a fit is begun."""
STARTS = 24


def loss(N: Real, D: Real, *, E: Real, A: Real, B: Real, alpha: Real, beta: Real) -> Real:
    """The formula, in natural units.

    >>> loss(1e4, 1e6, E=1.0, A=100.0, B=1000.0, alpha=0.5, beta=0.5)
    3.0
    """
    return E + A / N**alpha + B / D**beta


def value_and_grad(theta: Array, x: Array) -> tuple[Array, Array]:
    """For theta [b, 5] = logs of (E, A, B, alpha, beta), x [r, 2] = (ln N, ln D) -> ln L [b, r], gradient [b, r, 5]."""
    # ln L = logsumexp(e, a - alpha ln N, b - beta ln D), so that nothing overflows. Its slope in a term is the term's
    # share of L; in ln alpha it is -share x alpha ln N, by the chain rule.
    e, a, b, ln_alpha, ln_beta = (theta[:, k, None] for k in range(5))
    alpha_n, beta_d = np.exp(ln_alpha) * x[:, 0], np.exp(ln_beta) * x[:, 1]
    size, data = a - alpha_n, b - beta_d
    top = np.maximum(np.maximum(e, size), data)
    # Runs lie next to each other in memory, as everything that is done with them runs along them.
    gradient = np.empty((len(top), 5, top.shape[1]))
    for k, term in enumerate((e, size, data)):
        np.exp(term - top, out=gradient[:, k])
    total = gradient[:, 0] + gradient[:, 1] + gradient[:, 2]
    gradient[:, :3] /= total[:, None]
    np.multiply(-gradient[:, 1], alpha_n, out=gradient[:, 3])
    np.multiply(-gradient[:, 2], beta_d, out=gradient[:, 4])
    return top + np.log(total), gradient.swapaxes(1, 2)


def starts(x: Array, y: Array) -> Array:
    """Variable projection: for each (alpha, beta) of a grid the best E, A, B >= 0 in closed form.

    Least squares of relative errors; the best of the grid first, then others spread over it. Returns theta [starts, 5].
    """
    alpha, beta = (grid.ravel() for grid in np.meshgrid(EXPONENTS, EXPONENTS, indexing="ij"))
    columns = (
        np.stack(
            [
                np.ones((alpha.size, len(y))),
                np.exp(-alpha[:, None] * x[:, 0]),
                np.exp(-beta[:, None] * x[:, 1]),
            ],
            axis=-1,
        )
        * np.exp(-y)[:, None]
    )
    # Columns are divided by the losses, so that the target is 1 for every run and squares are of relative errors.
    scales, squares = _non_negative(columns)
    theta = np.log(np.concatenate([np.maximum(scales, 1e-3 * np.exp(y.min())), alpha[:, None], beta[:, None]], axis=1))
    # Noise can put the least squares of the grid in the wrong valley, so most starts are spread over the better half.
    order = np.argsort(squares, kind="stable")
    spread = order[:: max(1, len(order) // (2 * STARTS))][:STARTS]
    return np.asarray(theta[np.concatenate([order[: STARTS // 4], spread[STARTS // 4 :]])])


def _non_negative(columns: Array) -> tuple[Array, Array]:
    """Least squares of 1 on columns [g, r, 3] with coefficients >= 0, by trying every active set: [g, 3], [g]."""
    gram = np.einsum("grk,grl->gkl", columns, columns)
    moment = columns.sum(axis=1)
    best = np.zeros_like(moment)
    squares = np.full(len(columns), np.inf)
    for size in (1, 2, 3):
        for active in combinations(range(3), size):
            pick = list(active)
            part = gram[:, pick][:, :, pick] + 1e-12 * np.eye(size)
            solution = np.linalg.solve(part, moment[:, pick, None])[..., 0]
            full = np.zeros_like(moment)
            full[:, pick] = solution
            # |1 - X f|^2 = r - 2 f.X'1 + f'X'X f, where r runs are the square of a target of ones
            error = columns.shape[1] - 2 * (full * moment).sum(1) + np.einsum("gk,gkl,gl->g", full, gram, full)
            better = (solution >= 0).all(axis=1) & (error < squares)
            best[better], squares[better] = full[better], error[better]
    return best, squares


def shift(theta: Array, origin: Array) -> Array:
    """A and B of a fit to x - origin, for x itself."""
    # A e^(-alpha (n - o)) = A e^(alpha o) e^(-alpha n)
    moved = theta.copy()
    moved[..., 1] += np.exp(theta[..., 3]) * origin[0]
    moved[..., 2] += np.exp(theta[..., 4]) * origin[1]
    return moved


def bounds(y: Array) -> tuple[Array, Array]:
    """E from a thousandth of the smallest loss to that loss; each term at most 100 times it; exponents 0.05 to 3."""
    low, high = float(y.min()), float(y.max())
    return (
        np.array([low + np.log(1e-3), low + np.log(1e-4), low + np.log(1e-4), np.log(0.05), np.log(0.05)]),
        np.array([low, high + np.log(100), high + np.log(100), np.log(3.0), np.log(3.0)]),
    )


def prior(y: Array) -> tuple[Array, Array]:
    """Weak log-normal assumptions of a forecast."""
    # E near half the smallest loss within e^0.2 = 1.22, exponents near 0.3 within e^0.5 = 1.65; nothing about A and B,
    # whose units depend on the exponents.
    mean = np.array([float(y.min()) + np.log(0.5), 0.0, 0.0, np.log(0.3), np.log(0.3)])
    return mean, np.array([0.2, np.inf, np.inf, 0.5, 0.5])


@in_numpy
def optimum(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """N* and D* of least loss with flops_per_param_token x N x D = C (Hoffmann et al. 2022, equation 4).

    >>> from foretoken.laws.published import PUBLISHED
    >>> n, d = optimum(PUBLISHED["besiroglu_2024"].parameters, 5.76e23)
    >>> f"{n:.3g} {d:.3g} {d / n:.1f}"
    '7.22e+10 1.33e+12 18.4'
    """
    A, B, alpha, beta = (parameters[name] for name in ("A", "B", "alpha", "beta"))
    product = C / flops_per_param_token
    # dL/dN = 0 along N D = C / 6 gives alpha A / N^alpha = beta B / D^beta; D = product / N is put in.
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * product ** (beta / (alpha + beta))
    return N, product / N


CHINCHILLA = Law(
    name="chinchilla",
    formula="L = E + A / N^alpha + B / D^beta",
    parameters=("E", "A", "B", "alpha", "beta"),
    features=("params", "tokens"),
    value_and_grad=value_and_grad,
    starts=starts,
    shift=shift,
    bounds=bounds,
    prior=prior,
    prior_text="alpha and beta near 0.3 (log-normal, factor 1.65), E near half the smallest loss (factor 1.22)",
    optimum=optimum,
    citation="Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, arXiv 2203.15556",
    domain="one pass over the data, N and D varied independently; fitted by its authors for 70M to 16B parameters",
    scales=("E", "A", "B"),
    units=("nats per token", "nats per token x parameters^alpha", "nats per token x tokens^beta", "1", "1"),
)
