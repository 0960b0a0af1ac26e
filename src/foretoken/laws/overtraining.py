"""L(C, M) = E + (a M^eta + b M^-eta) C^-eta, M = D / N: Gadre et al. 2024, for runs far from the compute optimum.

With C = 6 N D it is Chinchilla's form with both exponents 2 eta, A = a / 6^eta and B = b / 6^eta.
"""

from __future__ import annotations

from collections.abc import Mapping

from foretoken.laws import chinchilla
from foretoken.laws.formula import IRREDUCIBLE, LogNormal, Parameter, law_from
from foretoken.laws.law import Law, Real, in_numpy


def loss(N: Real, D: Real, *, E: Real, a: Real, b: Real, eta: Real) -> Real:
    """The formula at C = 6 N D and M = D / N.

    >>> round(float(loss(1.0, 4.0, E=1.0, a=24.0**0.5, b=24.0**0.5, eta=0.5)), 9)
    3.5
    """
    # M^eta C^-eta = ((D / N) / (6 N D))^eta = (6 N^2)^-eta, and M^-eta C^-eta = (6 D^2)^-eta.
    return E + a * (6.0 * N**2) ** -eta + b * (6.0 * D**2) ** -eta


@in_numpy
def optimum(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """N* and D* of least loss: at every compute M* = (b / a)^(1 / (2 eta)) tokens per parameter."""
    eta = parameters["eta"]
    terms = {"A": parameters["a"], "B": parameters["b"], "alpha": 2 * eta, "beta": 2 * eta}
    return chinchilla.optimum(terms, C, flops_per_param_token)


def _term(axis: int) -> Parameter:
    return Parameter(kind="term", unit="nats per token x FLOP^eta", falls={"eta": (axis, 2.0)}, high=1e3)


OVERTRAINING: Law = law_from(
    loss,
    name="overtraining",
    formula="L = E + (a M^eta + b M^-eta) C^-eta, M = D / N, C = 6 N D",
    features=("params", "tokens"),
    parameters={
        "E": IRREDUCIBLE,
        "a": _term(0),
        "b": _term(1),
        "eta": Parameter(low=0.01, high=1.5, unit="1", prior=LogNormal(0.165, 1.35)),
    },
    optimum=optimum,
    citation=(
        "Gadre et al. 2024, Language models scale reliably with over-training and on downstream tasks, arXiv 2403.08540"
    ),
    domain="one pass over the data; M from 5 to 640 in the paper; size and data count alike (one exponent)",
)
