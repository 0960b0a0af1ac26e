"""L(N, D, experts) = E + a Ê^delta N^(alpha + gamma ln Ê) + b Ê^omega D^(beta + zeta ln Ê): Ludziejewski et al. 2025.

Exponents carry their sign. Ê is that of Clark et al. 2022, so it is E_start, not 1, for a dense model.
"""

from __future__ import annotations

from collections.abc import Mapping

from foretoken.laws import chinchilla
from foretoken.laws.dual import log
from foretoken.laws.formula import IRREDUCIBLE, Parameter, either_sign, law_from
from foretoken.laws.law import Array, Law, Real, in_numpy
from foretoken.laws.routing import EXPERTS, effective_experts


def loss(
    N: Real,
    D: Real,
    experts: Real,
    *,
    E: Real,
    a: Real,
    alpha: Real,
    delta: Real,
    gamma: Real,
    b: Real,
    beta: Real,
    omega: Real,
    zeta: Real,
    E_start: Real,
    E_max: Real,
) -> Real:
    """The formula, for N active parameters, D tokens and a number of experts."""
    effective = effective_experts(experts, E_start=E_start, E_max=E_max)
    level = log(effective)
    size = a * effective**delta * N ** (alpha + gamma * level)
    return E + size + b * effective**omega * D ** (beta + zeta * level)


def at_experts(parameters: Mapping[str, float], experts: float) -> dict[str, float]:
    """The same law at one number of experts, as parameters of the Chinchilla law (exponents positive)."""
    p = parameters
    effective: float = effective_experts(float(experts), E_start=p["E_start"], E_max=p["E_max"])
    level = log(effective)
    return {
        "E": p["E"],
        "A": p["a"] * effective ** p["delta"],
        "B": p["b"] * effective ** p["omega"],
        "alpha": float(-p["alpha"] - p["gamma"] * level),
        "beta": float(-p["beta"] - p["zeta"] * level),
    }


@in_numpy
def optimum(
    parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0, experts: float = 1.0
) -> tuple[Real, Real]:
    """N* (active) and D* of least loss at compute C with so many experts."""
    return chinchilla.optimum(at_experts(parameters, experts), C, flops_per_param_token)


def _shift(theta: Array, origin: Array) -> Array:
    """Scales and the exponents of Ê of a fit to x - origin, for x itself."""
    # a' Ê^delta' (N e^-o)^(alpha + gamma ln Ê) = a' e^(-alpha o) Ê^(delta' - gamma o) N^(alpha + gamma ln Ê)
    moved = theta.copy()
    for axis, first in ((0, 1), (1, 5)):
        moved[..., first] -= theta[..., first + 1] * origin[axis]
        moved[..., first + 2] -= theta[..., first + 3] * origin[axis]
    return moved


def _term(count: str) -> Parameter:
    return Parameter(kind="term", unit=f"nats per token x {count}^exponent")


JOINT_EXPERTS: Law = law_from(
    loss,
    name="joint_experts",
    formula="L = E + a Ê^delta N^(alpha + gamma ln Ê) + b Ê^omega D^(beta + zeta ln Ê)",
    features=("params", "tokens", "experts"),
    not_centred=("experts",),
    parameters={
        "E": IRREDUCIBLE,
        "a": _term("parameters"),
        "alpha": either_sign(-2.0, -0.01),
        "delta": either_sign(-1.0, 1.0),
        "gamma": either_sign(-0.2, 0.2),
        "b": _term("tokens"),
        "beta": either_sign(-2.0, -0.01),
        "omega": either_sign(-1.0, 1.0),
        "zeta": either_sign(-0.2, 0.2),
        **EXPERTS,
    },
    shift=_shift,
    optimum=optimum,
    citation=(
        "Ludziejewski et al. 2025, Joint MoE Scaling Laws: Mixture of Experts Can Be Memory Efficient, arXiv 2502.05172"
    ),
    domain="N, D and the number of experts varied independently; N is the parameters that one token uses",
)
