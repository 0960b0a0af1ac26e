"""Loss with repeated data: Muennighoff et al. 2023. Epochs and excess parameters are worth exponentially less.

L = E + A / N'^alpha + B / D'^alpha
D' = U + U R_D (1 - exp(-r_D / R_D)),    U = min(unique tokens, D),    r_D = D / U - 1
N' = U_N + U_N R_N (1 - exp(-r_N / R_N)),    U_N = min(N, N* for U),    r_N = N / U_N - 1

With fresh data and no excess of parameters it is the Chinchilla law with one exponent.
"""

from __future__ import annotations

import numpy as np

from foretoken.laws.dual import exp, smaller
from foretoken.laws.formula import IRREDUCIBLE, USUAL_EXPONENT, Parameter, exponent, law_from, term
from foretoken.laws.law import Array, Law, Real


def worth(seen: Real, unique: Real, R: Real) -> Real:
    """What `seen` is worth when only `unique` of it is fresh; at most unique x (1 + R).

    >>> round(float(worth(4.0, 1.0, 15.387756)) / 4, 3)
    0.931
    """
    return unique + unique * R * (1 - exp(-(seen / unique - 1) / R))


def unique_params(unique: Real, *, A: Real, B: Real, alpha: Real) -> Real:
    """Parameters that suit `unique` tokens seen once: N* of the base law at D = unique."""
    # With one exponent, alpha A / N^alpha = alpha B / D^alpha at the optimum, so N / D = (A / B)^(1 / alpha).
    return (A / B) ** (1 / alpha) * unique


def loss(N: Real, D: Real, unique: Real, *, E: Real, A: Real, B: Real, alpha: Real, R_D: Real, R_N: Real) -> Real:
    """The formula, for N parameters that see D tokens of which `unique` are distinct."""
    # A run cannot have seen more distinct tokens than tokens, and parameters below N* are never in excess.
    unique = np.minimum(unique, D)
    enough = smaller(N, unique_params(unique, A=A, B=B, alpha=alpha))
    return E + A / worth(N, enough, R_N) ** alpha + B / worth(D, unique, R_D) ** alpha


def _linearised(
    N: Real, D: Real, unique: Real, *, E: Real, A: Real, B: Real, alpha: Real, R_D: Real, R_N: Real
) -> Real:
    """The same where parameters are never in excess: linear in E, A and B."""
    return E + A / N**alpha + B / worth(D, np.minimum(unique, D), R_D) ** alpha


def _origin(x: Array) -> Array:
    """Tokens seen and unique tokens move together."""
    # The law reads D / U as well as D: one shift for both leaves the number of epochs what it is.
    n, d, _ = x.mean(axis=0)
    return np.array([n, d, d])


REPEATED_DATA: Law = law_from(
    loss,
    name="repeated_data",
    formula="L = E + A / N'^alpha + B / D'^alpha, D' = U + U R_D (1 - exp(-(D/U - 1) / R_D)), N' alike",
    features=("params", "tokens", "unique_tokens"),
    parameters={
        "E": IRREDUCIBLE,
        "A": term("nats per token x parameters^alpha", alpha=(0, 1.0)),
        "B": term("nats per token x tokens^alpha", alpha=(1, 1.0)),
        "alpha": exponent(0.05, 3.0, USUAL_EXPONENT),
        "R_D": Parameter(low=0.1, high=1e3, unit="epochs"),
        "R_N": Parameter(low=0.1, high=1e3, unit="1"),
    },
    linearised=_linearised,
    origin=_origin,
    may_be_constant=("unique_tokens",),
    profiled=("E", "R_D", "R_N"),
    citation="Muennighoff et al. 2023, Scaling Data-Constrained Language Models, arXiv 2305.16264",
    domain="several epochs over the same data; in the paper 7M to 9B parameters and 1 to 500 epochs with dropout 0.1",
)
