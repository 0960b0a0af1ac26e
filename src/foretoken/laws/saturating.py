"""L(X) = E + a X^-b: a power law of one variable that levels off at an irreducible loss."""

from __future__ import annotations

from dataclasses import replace

from foretoken.laws.formula import IRREDUCIBLE, USUAL_EXPONENT, LogNormal, Parameter, exponent, law_from, term
from foretoken.laws.law import FEATURES, Law, Real


def loss(X: Real, *, E: Real, a: Real, b: Real) -> Real:
    """The formula, for X parameters, tokens or FLOP.

    >>> loss(100.0, E=1.0, a=20.0, b=0.5)
    3.0
    """
    return E + a * X**-b


FRONTIER_FLOOR, FRONTIER_EXPONENT = LogNormal(0.5, 1.22), LogNormal(0.15, 1.65)
"""What a forecast assumes along the frontier: the floor that laws of size and length assume; the exponent of compute is
half of theirs, since each of N and D grows about as its root."""


def _law(feature: str, prior: LogNormal | None, domain: str, floor: Parameter = IRREDUCIBLE) -> Law:
    known = FEATURES[feature]
    return law_from(
        loss,
        name=f"saturating_{feature}",
        formula=f"L = E + a {known.symbol}^-b",
        features=(feature,),
        parameters={
            "E": floor,
            "a": term(f"nats per token x {known.unit}^b", b=(0, 1.0)),
            "b": exponent(prior=prior),
        },
        citation="Hoffmann et al. 2022, arXiv 2203.15556 (the form of one term of approach 3)",
        domain=domain,
    )


SATURATING_PARAMS = _law("params", USUAL_EXPONENT, "sizes trained to convergence on ample data")
SATURATING_TOKENS = _law("tokens", USUAL_EXPONENT, "one size, or sizes large enough not to limit")
SATURATING_FLOPS = _law(
    "flops",
    FRONTIER_EXPONENT,
    "the best run of each budget, compute split alike in all",
    replace(IRREDUCIBLE, prior=FRONTIER_FLOOR),
)
