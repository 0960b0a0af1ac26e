"""Loss at low precision, Kumar et al. 2024: few bits act like fewer parameters, and quantising afterwards adds loss."""

from __future__ import annotations

from foretoken.laws.dual import exp
from foretoken.laws.formula import IRREDUCIBLE, USUAL_EXPONENT, Parameter, exponent, law_from, term
from foretoken.laws.law import Law, Real

CITATION = "Kumar et al. 2024, Scaling Laws for Precision, arXiv 2411.04330"


def kept(bits: Real, gamma: Real) -> Real:
    """The share of the parameters that so many bits are worth.

    >>> round(float(kept(4.0, 2.6745)), 3)
    0.776
    """
    return 1 - exp(-bits / gamma)


def loss(
    N: Real,
    D: Real,
    P_w: Real,
    P_a: Real,
    P_kv: Real,
    *,
    E: Real,
    A: Real,
    B: Real,
    alpha: Real,
    gamma_w: Real,
    gamma_a: Real,
    gamma_kv: Real,
) -> Real:
    """The formula: N parameters trained on D tokens with these bits for weights, activations, keys and values."""
    effective = N * kept(P_w, gamma_w) * kept(P_a, gamma_a) * kept(P_kv, gamma_kv)
    return E + A / effective**alpha + B / D**alpha


def increase(N: Real, D: Real, P_post: Real, *, C_T: Real, gamma_D: Real, gamma_N: Real, gamma_post: Real) -> Real:
    """Loss added when the weights of a finished model are quantised to P_post bits."""
    return C_T * D**gamma_D / N**gamma_N * exp(-P_post / gamma_post)


BITS = Parameter(low=0.1, high=20.0, unit="bits")
PRECISION: Law = law_from(
    loss,
    name="precision",
    formula="L = E + A / (N q_w q_a q_kv)^alpha + B / D^alpha, q = 1 - e^(-P / gamma)",
    features=("params", "tokens", "bits_weights", "bits_activations", "bits_kv"),
    not_centred=("bits_weights", "bits_activations", "bits_kv"),
    parameters={
        "E": IRREDUCIBLE,
        "A": term("nats per token x parameters^alpha", alpha=(0, 1.0)),
        "B": term("nats per token x tokens^alpha", alpha=(1, 1.0)),
        "alpha": exponent(prior=USUAL_EXPONENT),
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
    not_centred=("bits_post",),
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
