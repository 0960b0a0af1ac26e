"""L(N, D, G) = E + (g / G^gamma + a) / N^alpha + b / D^beta: fine-grained experts, Krajewski et al. 2024."""

from __future__ import annotations

from foretoken.laws.formula import IRREDUCIBLE, Parameter, exponent, law_from, term
from foretoken.laws.law import Law, Real


def loss(
    N: Real,
    D: Real,
    G: Real,
    *,
    E: Real,
    a: Real,
    alpha: Real,
    b: Real,
    beta: Real,
    g: Real,
    gamma: Real,
) -> Real:
    """The formula, for N total parameters without embeddings, D tokens and granularity G.

    >>> loss(100.0, 100.0, 4.0, E=1.0, a=10.0, alpha=0.5, b=10.0, beta=0.5, g=20.0, gamma=0.5)
    4.0
    """
    return E + (g / G**gamma + a) / N**alpha + b / D**beta


FINE_GRAINED_EXPERTS: Law = law_from(
    loss,
    name="fine_grained_experts",
    formula="L = E + (g / G^gamma + a) / N^alpha + b / D^beta",
    features=("params", "tokens", "granularity"),
    not_centred=("granularity",),
    parameters={
        "E": IRREDUCIBLE,
        "a": term("nats per token x parameters^alpha", alpha=(0, 1.0)),
        "alpha": exponent(),
        "b": term("nats per token x tokens^beta", beta=(1, 1.0)),
        "beta": exponent(),
        "g": Parameter(kind="term", unit="nats per token x parameters^alpha", falls={"alpha": (0, 1.0)}),
        "gamma": exponent(0.02, 5.0),
    },
    citation="Krajewski et al. 2024, Scaling Laws for Fine-Grained Mixture of Experts, arXiv 2402.07871",
    domain="one number of experts (64 in the paper), G from 1 to 16; N is all parameters without embeddings",
)
