"""L(C) = a C^-b: one straight line in log loss over log compute, the plain rival of every forecast."""

from __future__ import annotations

import numpy as np

from foretoken.laws.law import Array, Law


def value_and_grad(theta: Array, x: Array) -> tuple[Array, Array]:
    """For theta [b, 2] = logs of (a, b), x [r, 1] = ln C -> ln L [b, r] and its gradient [b, r, 2]."""
    fall = np.exp(theta[:, 1, None]) * x[:, 0]
    return theta[:, 0, None] - fall, np.stack([np.ones_like(fall), -fall], axis=-1)


def starts(x: Array, y: Array) -> Array:
    """The least-squares line, and two steeper and flatter ones: theta [3, 2]."""
    # Two more slopes, for objectives that are not squares and may prefer a line through fewer of the runs.
    slope = max(-float(np.polyfit(x[:, 0], y, 1)[0]), 1e-3)
    return np.array([[np.mean(y + b * x[:, 0]), np.log(b)] for b in (slope, slope / 2, slope * 2)])


def shift(theta: Array, origin: Array) -> Array:
    """The scale `a` of a fit to x - origin, for x itself."""
    # a e^(-b (c - o)) = a e^(b o) e^(-b c)
    moved = theta.copy()
    moved[..., 0] += np.exp(theta[..., 1]) * origin[0]
    return moved


def bounds(y: Array) -> tuple[Array, Array]:
    """Exponent b from 0.0001 to 3."""
    return np.array([y.min() - 5, np.log(1e-4)]), np.array([y.max() + 5, np.log(3.0)])


def prior(y: Array) -> tuple[Array, Array]:
    """Nothing is assumed."""
    return np.zeros(2), np.full(2, np.inf)


POWER = Law(
    name="power",
    formula="L = a C^-b",
    parameters=("a", "b"),
    features=("flops",),
    value_and_grad=value_and_grad,
    starts=starts,
    shift=shift,
    bounds=bounds,
    prior=prior,
    prior_text="nothing",
    optimum=None,
    citation="Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361",
    domain="losses far above the irreducible loss, allocation of compute alike in all runs",
    scales=("a",),
    units=("nats per token x FLOP^b", "1"),
)
