"""How compute is best split: N*(C) = k C^a, or D*(C) = k C^b, or FLOP per token. A line through optima, not a loss."""

from __future__ import annotations

from collections.abc import Mapping

from foretoken.laws.law import Law, Real, in_numpy
from foretoken.laws.product import product

CITATION = "Hoffmann et al. 2022, arXiv 2203.15556 (approaches 1 and 2)"
DOMAIN = "through the optimum of each budget; beyond them only as long as the exponent stays"


@in_numpy
def from_params(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """N* = k C^a, and the tokens that are left for it."""
    N = parameters["k"] * C ** parameters["a"]
    return N, C / (flops_per_param_token * N)


@in_numpy
def from_tokens(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """D* = k C^b, and the parameters that are left for it."""
    D = parameters["k"] * C ** parameters["b"]
    return C / (flops_per_param_token * D), D


@in_numpy
def from_flops_per_token(
    parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0
) -> tuple[Real, Real]:
    """M* = k C^a FLOP per token; N* is M* / flops_per_param_token, D* is C / M*."""
    M = parameters["k"] * C ** parameters["a"]
    return M / flops_per_param_token, C / M


ALLOCATION: Law = product(
    "allocation",
    symbol="N*",
    gives="parameters",
    column="params",
    powers={"flops": "a"},
    optimum=from_params,
    citation=CITATION,
    domain=DOMAIN,
)
ALLOCATION_TOKENS: Law = product(
    "allocation_tokens",
    symbol="D*",
    gives="tokens",
    column="tokens",
    powers={"flops": "b"},
    optimum=from_tokens,
    citation=CITATION,
    domain=DOMAIN,
)
ALLOCATION_FLOPS_PER_TOKEN: Law = product(
    "allocation_flops_per_token",
    symbol="M*",
    gives="FLOP per token",
    column="flops_per_token",
    powers={"flops": "a"},
    optimum=from_flops_per_token,
    domain=DOMAIN,
    citation="DeepSeek-AI 2024, DeepSeek LLM: Scaling Open-Source Language Models with Longtermism, arXiv 2401.02954",
)
ALLOCATION_STEPS: Law = product(
    "allocation_steps",
    symbol="S*",
    gives="steps",
    column="steps_min",
    powers={"flops": "a"},
    domain=DOMAIN,
    citation="Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361",
)
