"""From loss, or straight from compute, to the score of a task."""

from __future__ import annotations

from collections.abc import Mapping

from foretoken.laws.dual import exp
from foretoken.laws.formula import Parameter, either_sign, law_from
from foretoken.laws.law import Array, Law, Real


def error(L: Real, *, epsilon: Real, k: Real, gamma: Real) -> Real:
    """Err = epsilon - k exp(-gamma L): mean error over many tasks (Gadre et al. 2024).

    >>> round(float(error(0.0, epsilon=0.8, k=0.5, gamma=1.0)), 9)
    0.3
    """
    return epsilon - k * exp(-gamma * L)


def sigmoid(L: Real, *, a: Real, b: Real, k: Real, L_0: Real) -> Real:
    """Score = b + a / (1 + exp(-k (L - L_0))): from b to b + a, k < 0 where it falls in loss (Bhagia et al. 2024)."""
    return b + a / (1 + exp(-k * (L - L_0)))


def climb(X: Real, *, a: Real, b: Real, k: Real, X_0: Real) -> Real:
    """Score = b + a / (1 + (X_0 / X)^k): a sigmoid in ln X, from b to b + a, halfway at X_0.

    >>> climb(100.0, a=0.5, b=0.25, k=1.0, X_0=100.0)
    0.5
    """
    return b + a / (1 + (X_0 / X) ** k)


def two_step(
    loss_law: Law,
    loss_parameters: Mapping[str, float],
    score_law: Law,
    score_parameters: Mapping[str, float],
    **features: Real,
) -> Array:
    """The score that a law of the loss and a law of the score give together."""
    return score_law.evaluate(score_parameters, loss=loss_law.evaluate(loss_parameters, **features))


SCALE = Parameter(kind="term", low=1e-3, high=100.0, unit="score")
LEVEL = Parameter(kind="irreducible", unit="score", signed=True)
ERROR_EXPONENTIAL: Law = law_from(
    error,
    name="error_exponential",
    formula="Err = epsilon - k e^(-gamma L)",
    features=("loss",),
    not_centred=("loss",),
    parameters={
        "epsilon": LEVEL,
        "k": Parameter(kind="term", low=1e-3, high=1e6, unit="score"),
        "gamma": Parameter(low=0.02, high=20.0, unit="1 / (nats per token)"),
    },
    target="raw",
    column="score",
    unit="error, a fraction",
    citation=(
        "Gadre et al. 2024, Language models scale reliably with over-training and on downstream tasks, arXiv 2403.08540"
    ),
    domain="mean error over many tasks, above what guessing gives; loss on one validation set",
)
ACCURACY_SIGMOID: Law = law_from(
    sigmoid,
    name="accuracy_sigmoid",
    formula="score = b + a / (1 + e^(-k (L - L_0)))",
    features=("loss",),
    not_centred=("loss",),
    parameters={
        "a": SCALE,
        "b": LEVEL,
        "k": either_sign(-60.0, 60.0, "1 / (nats per token)"),
        "L_0": Parameter(kind="location", unit="nats per token"),
    },
    target="raw",
    column="score",
    unit="score",
    citation="Bhagia et al. 2024, Establishing Task Scaling Laws via Compute-Efficient Model Ladders, arXiv 2412.04403",
    domain="one task and its own loss; second of two steps, the first a law of that loss",
)
ACCURACY_FLOPS: Law = law_from(
    climb,
    name="accuracy_flops",
    formula="score = b + a / (1 + (X_0 / C)^k)",
    features=("flops",),
    parameters={
        "a": SCALE,
        "b": LEVEL,
        "k": Parameter(low=0.02, high=20.0, unit="1"),
        "X_0": Parameter(kind="location", unit="FLOP"),
    },
    target="raw",
    column="score",
    unit="score",
    citation="Bhagia et al. 2024, Establishing Task Scaling Laws via Compute-Efficient Model Ladders, arXiv 2412.04403",
    domain="one task, one recipe; straight from compute, so it is blind to how compute is split",
)
