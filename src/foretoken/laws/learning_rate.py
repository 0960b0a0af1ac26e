"""Rules for the peak learning rate, by compute, by size, by size and data, by size and experts."""

from __future__ import annotations

import numpy as np

from foretoken.laws.dual import log
from foretoken.laws.formula import Parameter, law_from
from foretoken.laws.law import Array, Law, Real
from foretoken.laws.product import product

DOMAIN = "the architecture, optimizer, schedule and batch rule of its source; optima are flat, transfer is not promised"


def straight(N: Real, *, c_0: Real, c_1: Real) -> Real:
    """LR = c_0 + c_1 ln N (Kaplan et al. 2020, equation D.1).

    >>> f"{straight(1e8, c_0=0.003239, c_1=-0.0001395):.2e}"
    '6.69e-04'
    """
    return c_0 + c_1 * log(N)


def _shift(theta: Array, origin: Array) -> Array:
    # c_0' + c_1 (ln N - o) = (c_0' - c_1 o) + c_1 ln N
    moved = theta.copy()
    moved[..., 0] -= theta[..., 1] * origin[0]
    return moved


def _least_squares(x: Array, y: Array) -> Array:
    return np.asarray(np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0][None], dtype=np.float64)


LEARNING_RATE_FLOPS: Law = product(
    "learning_rate_flops",
    symbol="LR",
    gives="1",
    column="learning_rate",
    powers={"flops": "a"},
    domain=DOMAIN,
    citation="DeepSeek-AI 2024, DeepSeek LLM: Scaling Open-Source Language Models with Longtermism, arXiv 2401.02954",
)
LEARNING_RATE_PARAMS: Law = product(
    "learning_rate_params",
    symbol="LR",
    gives="1",
    column="learning_rate",
    powers={"params": "a"},
    domain=DOMAIN,
    citation=(
        "Porian et al. 2024, Resolving Discrepancies in Compute-Optimal Scaling of Language Models, arXiv 2406.19146"
    ),
)
LEARNING_RATE_PARAMS_TOKENS: Law = product(
    "learning_rate_params_tokens",
    symbol="LR",
    gives="1",
    column="learning_rate",
    powers={"params": "a", "tokens": "b"},
    domain=DOMAIN,
    citation="Li et al. 2025, Predictable Scale: Part I, Step Law, arXiv 2503.04715",
)
LEARNING_RATE_EXPERTS: Law = product(
    "learning_rate_experts",
    symbol="LR",
    gives="1",
    column="learning_rate",
    powers={"params": "a", "experts": "b"},
    domain=DOMAIN,
    citation=(
        "Ludziejewski et al. 2025, Joint MoE Scaling Laws: Mixture of Experts Can Be Memory Efficient, arXiv 2502.05172"
    ),
)
LEARNING_RATE_LOG_PARAMS: Law = law_from(
    straight,
    name="learning_rate_log_params",
    formula="LR = c_0 + c_1 ln N",
    features=("params",),
    parameters={
        "c_0": Parameter(kind="irreducible", unit="1", signed=True),
        "c_1": Parameter(kind="term", unit="1", signed=True),
    },
    shift=_shift,
    starts=_least_squares,
    target="raw",
    column="learning_rate",
    unit="1",
    citation="Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361",
    domain="N without embeddings below about 1e10, where the published line nears zero; Adam",
)
