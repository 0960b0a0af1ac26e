"""Rules for the batch: the critical batch at a loss, and the best batch by compute, by data, by size."""

from __future__ import annotations

import numpy as np

from foretoken.laws.formula import Parameter, exponent, law_from
from foretoken.laws.law import Array, Law, Real
from foretoken.laws.product import product

DOMAIN = "the architecture, optimizer and schedule of its source; the optimum is flat"
KAPLAN = "Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361"


def critical(L: Real, *, B_star: Real, alpha_B: Real) -> Real:
    """B_crit(L) = B_star / L^(1 / alpha_B), in tokens: there time and compute are traded evenly.

    >>> round(critical(4.0, B_star=2e8, alpha_B=0.5))
    12500000
    """
    return B_star / L ** (1 / alpha_B)


def _starts(x: Array, y: Array) -> Array:
    # ln B = ln B_star - ln L / alpha_B: a line of slope -1 / alpha_B.
    slope = max(-float(np.polyfit(x[:, 0], y, 1)[0]), 0.05)
    return np.array([[np.mean(y + slope * x[:, 0]), -np.log(slope)]])


def _shift(theta: Array, origin: Array) -> Array:
    moved = theta.copy()
    # ln B_star' - (ln L - o) / alpha_B = (ln B_star' + o / alpha_B) - ln L / alpha_B
    moved[..., 0] += origin[0] / np.exp(theta[..., 1])
    return moved


CRITICAL_BATCH: Law = law_from(
    critical,
    name="critical_batch",
    formula="B_crit = B_star / L^(1/alpha_B)",
    features=("loss",),
    parameters={
        "B_star": Parameter(low=1e-30, high=1e60, unit="tokens x (nats per token)^(1/alpha_B)"),
        "alpha_B": exponent(0.01, 20.0),
    },
    starts=_starts,
    shift=_shift,
    column="batch_tokens",
    unit="tokens",
    citation=KAPLAN,
    domain="the loss reached, whatever the size; Adam",
)
BATCH_FLOPS: Law = product(
    "batch_flops",
    symbol="B",
    gives="tokens",
    column="batch_tokens",
    powers={"flops": "a"},
    domain=DOMAIN,
    citation="DeepSeek-AI 2024, DeepSeek LLM: Scaling Open-Source Language Models with Longtermism, arXiv 2401.02954",
)
BATCH_DATA: Law = product(
    "batch_data",
    symbol="B",
    gives="tokens",
    column="batch_tokens",
    powers={"tokens": "a"},
    domain=DOMAIN,
    citation="Li et al. 2025, Predictable Scale: Part I, Step Law, arXiv 2503.04715",
)
BATCH_PARAMS: Law = product(
    "batch_params",
    symbol="B",
    gives="tokens",
    column="batch_tokens",
    powers={"params": "a"},
    domain=DOMAIN,
    citation=(
        "Porian et al. 2024, Resolving Discrepancies in Compute-Optimal Scaling of Language Models, arXiv 2406.19146"
    ),
)
