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
"""What a forecast assumes along the frontier of a grid: the floor that laws of size and length assume; the exponent of
compute is half of theirs, since each of N and D grows about as its root."""
LADDER_FLOOR, LADDER_EXPONENT = LogNormal(0.5, 3.0), LogNormal(0.12, 2.5)
"""The same along a ladder, whose runs were not moved by another law: ten runs over two decades of compute tell the two
from how the loss bends, and published laws lie far apart (E at 0.17 to 0.75 of the loss, b from 0.06 to 0.18)."""


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
    LADDER_EXPONENT,
    "runs that split their compute alike: the best of each budget, or one ratio of tokens to parameters",
    replace(IRREDUCIBLE, prior=LADDER_FLOOR),
)
FRONTIER = _law("flops", FRONTIER_EXPONENT, SATURATING_FLOPS.domain, replace(IRREDUCIBLE, prior=FRONTIER_FLOOR))
"""The same law with what is assumed where runs of a grid were moved to the best split of their compute."""
