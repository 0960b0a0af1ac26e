"""Routed language models of Clark et al. 2022: a law bilinear in the logarithms of size and of the number of experts.

log10 L = a log10 N + b log10 Ê + c log10 N log10 Ê + d
1 / Ê = 1 / (experts - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max

Exponents carry their sign.
"""

from __future__ import annotations

import numpy as np

from foretoken.laws.dual import log
from foretoken.laws.formula import Parameter, either_sign, law_from
from foretoken.laws.law import Array, Law, Real

LN10 = float(np.log(10.0))
CITATION = "Clark et al. 2022, Unified Scaling Laws for Routed Language Models, arXiv 2202.01169"
DOMAIN = "one number of training tokens in all runs (130B in the paper); N is what one token uses"


def effective_experts(experts: Real, *, E_start: Real, E_max: Real) -> Real:
    """Ê: the number of experts, levelled off below `E_start` and above `E_max`. Ê of one expert is `E_start`.

    >>> round(effective_experts(1.0, E_start=2.0, E_max=300.0), 9)
    2.0
    """
    return 1 / (1 / (experts - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max)


def unsaturated(N: Real, experts: Real, *, a: Real, b: Real, c: Real, d: Real) -> Real:
    """The formula with Ê = experts."""
    # The paper's logarithms are to base 10, and so are its coefficients.
    size, routes = log(N) / LN10, log(experts) / LN10
    return 10.0 ** (a * size + b * routes + c * size * routes + d)


def loss(N: Real, experts: Real, *, a: Real, b: Real, c: Real, d: Real, E_start: Real, E_max: Real) -> Real:
    """The formula, for N active parameters and a number of experts per layer."""
    return unsaturated(N, effective_experts(experts, E_start=E_start, E_max=E_max), a=a, b=b, c=c, d=d)


def _shift(theta: Array, origin: Array) -> Array:
    """The b and d of a fit to ln N - origin, for ln N itself."""
    # With s = log10 N - o: a s + b r + c s r + d = a log10 N + (b - c o) r + c log10 N r + (d - a o).
    moved = theta.copy()
    moved[..., 1] -= theta[..., 2] * origin[0] / LN10
    moved[..., 3] -= theta[..., 0] * origin[0] / LN10
    return moved


BILINEAR = {
    "a": either_sign(-1.0, 0.0),
    "b": either_sign(-1.0, 1.0),
    "c": either_sign(-0.5, 0.5),
    "d": either_sign(-5.0, 5.0),
}
EXPERTS = {
    "E_start": Parameter(low=1.001, high=15.0, unit="experts"),
    "E_max": Parameter(low=20.0, high=1e5, unit="experts"),
}
ROUTING: Law = law_from(
    loss,
    name="routing",
    formula="log10 L = a log10 N + b log10 Ê + c log10 N log10 Ê + d, Ê(experts; E_start, E_max)",
    features=("params", "experts"),
    not_centred=("experts",),
    parameters={**BILINEAR, **EXPERTS},
    shift=_shift,
    citation=CITATION,
    domain=DOMAIN,
)
ROUTING_UNSATURATED: Law = law_from(
    unsaturated,
    name="routing_unsaturated",
    formula="log10 L = a log10 N + b log10 experts + c log10 N log10 experts + d",
    features=("params", "experts"),
    not_centred=("experts",),
    parameters=BILINEAR,
    shift=_shift,
    citation=CITATION,
    domain=DOMAIN + "; a middling number of experts",
)
