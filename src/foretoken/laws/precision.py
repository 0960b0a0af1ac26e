"""Loss at low precision, Kumar et al. 2024: few bits act like fewer parameters, and quantising afterwards adds loss."""

from __future__ import annotations

from typing import Any

from foretoken.laws.dual import exp
from foretoken.laws.formula import FLOOR, USUAL, Parameter, exponent, law_from, term
from foretoken.laws.law import Law

CITATION = "Kumar et al. 2024, Scaling Laws for Precision, arXiv 2411.04330"


def kept(bits: Any, gamma: Any) -> Any:
    """The share of the parameters that so many bits are worth.

    >>> round(float(kept(4.0, 2.6745)), 3)
    0.776
    """
    return 1 - exp(-bits / gamma)


def loss(
    N: Any, D: Any, P_w: Any, P_a: Any, P_kv: Any,
    *, E: Any, A: Any, B: Any, alpha: Any, gamma_w: Any, gamma_a: Any, gamma_kv: Any,
) -> Any:  # fmt: skip
    """The formula: N parameters trained on D tokens with these bits for weights, activations, keys and values."""
    effective = N * kept(P_w, gamma_w) * kept(P_a, gamma_a) * kept(P_kv, gamma_kv)
    return E + A / effective**alpha + B / D**alpha


def increase(N: Any, D: Any, P_post: Any, *, C_T: Any, gamma_D: Any, gamma_N: Any, gamma_post: Any) -> Any:
    """Loss added when the weights of a finished model are quantised to P_post bits."""
    return C_T * D**gamma_D / N**gamma_N * exp(-P_post / gamma_post)


BITS = Parameter(low=0.1, high=20.0, unit="bits")
PRECISION: Law = law_from(
    loss,
    name="precision",
    formula="L = E + A / (N q_w q_a q_kv)^alpha + B / D^alpha, q = 1 - e^(-P / gamma)",
    features=("params", "tokens", "bits_weights", "bits_activations", "bits_kv"),
    still=("bits_weights", "bits_activations", "bits_kv"),
    parameters={
        "E": FLOOR,
        "A": term("nats per token x parameters^alpha", alpha=(0, 1.0)),
        "B": term("nats per token x tokens^alpha", alpha=(1, 1.0)),
        "alpha": exponent(assumed=USUAL),
        "gamma_w": BITS,
        "gamma_a": BITS,
        "gamma_kv": BITS,
    },
    citation=CITATION,
    domain="training in integer formats, bits of weights, activations, keys and values varied independently",
)
QUANTISATION: Law = law_from(
    increase,
    name="quantisation",
    formula="dL = C_T D^gamma_D / N^gamma_N e^(-P_post/gamma_post)",
    features=("params", "tokens", "bits_post"),
    still=("bits_post",),
    parameters={
        "C_T": Parameter(
            kind="term", high=1e6, unit="nats per token", falls={"gamma_D": (1, -1.0), "gamma_N": (0, 1.0)}
        ),
        "gamma_D": exponent(),
        "gamma_N": exponent(),
        "gamma_post": BITS,
    },
    column="loss_increase",
    citation=CITATION,
    domain="weights rounded after training; adds to the loss of the same model before",
)
