"""The multi-power law of a loss curve, Luo et al. 2025: the whole curve of one model under any learning-rate schedule.

    L(t) = E + A (S_1 + S_W)^-alpha - B sum_k (eta_(k-1) - eta_k) G(eta_k^-gamma S_k(t)),   G(x) = 1 - (1 + C x)^-beta

S_W is the sum of the warm-up's learning rates, S_1 the sum after it, S_k(t) the sum over steps k to t.
Shapes: r points of curves, t steps of the longest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretoken.laws.dual import outer, total
from foretoken.laws.formula import IRREDUCIBLE, Parameter, exponent, law_from
from foretoken.laws.law import Array, Law, Real


def histories(learning_rates: Real, warmup_sum: float, at: Real = None) -> Array:
    """What the law reads at points of one schedule: [r, 1 + t].

    `learning_rates` [t] are those after the warm-up, `at` the numbers of steps done (default: every step).

    >>> histories([0.3, 0.1], 0.5).tolist()
    [[0.5, 0.3, 0.0], [0.5, 0.3, 0.1]]
    """
    rates = np.asarray(learning_rates, dtype=np.float64)
    done = np.arange(1, len(rates) + 1) if at is None else np.asarray(at)
    past = np.where(np.arange(1, len(rates) + 1) <= done[:, None], rates, 0.0)
    return np.column_stack([np.full(len(done), warmup_sum), past])


def loss(history: Real, *, E: Real, A: Real, alpha: Real, B: Real, C: Real, beta: Real, gamma: Real) -> Real:
    """The formula at each point, for histories [r, 1 + t]."""
    warmup, rates = history[:, 0], history[:, 1:]
    # S_k(t): what is left of the learning rates from step k on. Steps after a point hold 0 (see `histories`) and count
    # for nothing; their rate is set to 1 because 0 to a negative power is no number.
    later = np.cumsum(rates[:, ::-1], axis=1)[:, ::-1]
    drops = rates[:, :-1] - rates[:, 1:]
    counts = rates[:, 1:] > 0
    rate, since = np.where(counts, rates[:, 1:], 1.0), np.where(counts, later[:, 1:], 0.0)
    gain = 1 - (1 + outer(C) * rate ** -outer(gamma) * since) ** -outer(beta)
    return E + A * (rates.sum(axis=1) + warmup) ** -alpha - B * total(drops * counts * gain)


def loss_curve(parameters: Mapping[str, float], learning_rates: Real, warmup_sum: float = 0.0) -> Array:
    """The loss after each step of a schedule [t]."""
    return MULTI_POWER.evaluate(parameters, learning_rates=histories(learning_rates, warmup_sum))


MULTI_POWER: Law = law_from(
    loss,
    name="multi_power",
    formula="L = E + A (S_1 + S_W)^-alpha - B sum_k (eta_(k-1) - eta_k) (1 - (1 + C eta_k^-gamma S_k)^-beta)",
    features=("learning_rates",),
    not_centred=("learning_rates",),
    sequence_input=True,
    parameters={
        "E": IRREDUCIBLE,
        "A": Parameter(kind="term", high=1e3, unit="nats per token x LR^alpha"),
        "alpha": exponent(),
        "B": Parameter(kind="term", low=1e-6, high=1e6, unit="nats per token / LR"),
        "C": Parameter(low=1e-2, high=1e3, unit="LR^(gamma-1)"),
        "beta": exponent(0.05, 5.0),
        "gamma": exponent(0.05, 2.0),
    },
    shift=lambda theta, origin: theta.copy(),
    origin=lambda x: np.zeros(x.shape[1]),
    citation=(
        "Luo et al. 2025, A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules, arXiv 2503.12811"
    ),
    domain="one model, data, batch and peak learning rate; schedules that only go down after the warm-up",
)
