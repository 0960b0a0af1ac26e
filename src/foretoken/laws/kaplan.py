"""The laws of Kaplan et al. 2020: L(N), L(D), L(C), L(C_min), L(N, D), L(N, S_min), and what a batch size costs.

They count parameters without embeddings and have no irreducible loss. Compute is in FLOP here; the paper's tables are
in PF-days of 8.64e19 FLOP.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretoken.laws import chinchilla
from foretoken.laws.formula import Parameter, exponent, law_from
from foretoken.laws.law import FEATURES, Array, Law, Real, in_numpy
from foretoken.laws.starts import even_cloud, least_squares

PF_DAY = 8.64e19
"""FLOP in a petaFLOP-day."""
CITATION = "Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv 2001.08361"


def power_law(X: Real, *, X_c: Real, alpha: Real) -> Real:
    """L(X) = (X_c / X)^alpha, for parameters, tokens or FLOP.

    >>> power_law(25.0, X_c=100.0, alpha=0.5)
    2.0
    """
    return (X_c / X) ** alpha


def joint(N: Real, D: Real, *, N_c: Real, D_c: Real, alpha_N: Real, alpha_D: Real) -> Real:
    """L(N, D) = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D (equation 1.5)."""
    return ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D


def steps(N: Real, S_min: Real, *, N_c: Real, S_c: Real, alpha_N: Real, alpha_S: Real) -> Real:
    """L(N, S_min) = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S (equation 1.6)."""
    return (N_c / N) ** alpha_N + (S_c / S_min) ** alpha_S


def min_steps(S: Real, B: Real, B_crit: Real) -> Real:
    """Steps that a very large batch would need for the same loss, from S steps of B tokens (section 5.1)."""
    return S / (1 + B_crit / np.asarray(B))


def min_compute(C: Real, B: Real, B_crit: Real) -> Real:
    """Compute that a very small batch would need for the same loss, from C at batches of B tokens (section 5.1).

    >>> float(min_compute(3e18, 2e6, 1e6))
    1e+18
    """
    return C / (1 + np.asarray(B) / B_crit)


@in_numpy
def optimum(parameters: Mapping[str, float], C: Real, flops_per_param_token: float = 6.0) -> tuple[Real, Real]:
    """N* and D* of least L(N, D) at compute C. The paper's own advice is another: it comes from L(N, S_min)."""
    # L^(1/alpha_D) = N_c^inner / N^inner + D_c / D is Chinchilla's form with E = 0, and least where L is.
    inner = parameters["alpha_N"] / parameters["alpha_D"]
    terms = {"A": parameters["N_c"] ** inner, "B": parameters["D_c"], "alpha": inner, "beta": 1.0}
    return chinchilla.optimum(terms, C, flops_per_param_token)


def _location(unit: str, axis: int = 0) -> Parameter:
    return Parameter(kind="location", unit=unit, axis=axis)


def _line_starts(x: Array, y: Array) -> Array:
    """The least-squares line, and two steeper and flatter ones: theta [3, 2]."""
    # ln L = alpha (ln X_c - ln X): the line's slope is -alpha, and ln X_c the mean of ln X + ln L / alpha.
    slope = max(-float(np.polyfit(x[:, 0], y, 1)[0]), 1e-3)
    return np.array([[np.mean(x[:, 0] + y / b), np.log(b)] for b in (slope, slope / 2, slope * 2)])


def _joint_starts(x: Array, y: Array) -> Array:
    """For pairs of exponents, N_c and D_c in closed form: theta [starts, 4], the best first."""
    # alpha [g, 2]: candidate pairs (alpha_N, alpha_D) from 0.02 to 1, evenly in logarithms.
    alpha = np.exp(np.log(0.02) + np.log(50) * even_cloud(1500, 2))
    # With inner = alpha_N / alpha_D, L^(1 / alpha_D) = N_c^inner N^-inner + D_c D^-1: linear in N_c^inner and D_c.
    # Divided by itself it is 1 for every run, so that the squares are of relative errors.
    inner = alpha[:, 0] / alpha[:, 1]
    wanted = np.exp(np.clip(y / alpha[:, 1:], -300, 300))
    columns = np.stack([np.exp(-inner[:, None] * x[:, 0]), np.exp(-x[:, 1]) * np.ones_like(inner)[:, None]], axis=-1)
    scales, _ = least_squares(columns / wanted[..., None], np.ones(len(y)), (False, False))
    scales = np.log(np.maximum(scales, 1e-100))
    theta = np.column_stack([scales[:, 0] / inner, scales[:, 1], np.log(alpha)])
    fitted = alpha[:, 1:] * np.logaddexp(scales[:, :1] - inner[:, None] * x[:, 0], scales[:, 1:] - x[:, 1])
    order = np.argsort(((fitted - y) ** 2).sum(axis=1), kind="stable")
    return np.asarray(np.clip(theta, -300, 300)[order[:24]])


def _steps_starts(x: Array, y: Array) -> Array:
    """Chinchilla's starts with its irreducible loss left out, in the places that Kaplan's terms have."""
    # A / N^alpha = (N_c / N)^alpha with ln N_c = ln A / alpha.
    theta = chinchilla.starts(x, y)[:, 1:]
    return np.column_stack([theta[:, :2] / np.exp(theta[:, 2:]), theta[:, 2:]])


def _one_law(name: str, feature: str, symbol: str, domain: str) -> Law:
    known = FEATURES[feature]
    location, power = f"{symbol}_c", f"alpha_{symbol}"
    return law_from(
        lambda X, **p: power_law(X, X_c=p[location], alpha=p[power]),
        name=name,
        formula=f"L = ({location} / {known.symbol})^{power}",
        features=(feature,),
        parameters={location: _location(known.unit), power: exponent(1e-4)},
        starts=_line_starts,
        citation=CITATION,
        domain=domain,
    )


KAPLAN_PARAMS = _one_law("kaplan_params", "params", "N", "trained to convergence on ample data, N without embeddings")
KAPLAN_TOKENS = _one_law("kaplan_tokens", "tokens", "D", "large models, stopped where the validation loss is least")
KAPLAN_FLOPS = _one_law("kaplan_flops", "flops", "C", "the best run of each budget at one fixed batch size")
KAPLAN_FLOPS_MIN = _one_law("kaplan_flops_min", "flops_min", "C", "the best run of each budget, C by `min_compute`")
KAPLAN_JOINT = law_from(
    joint,
    name="kaplan_joint",
    formula="L = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D",
    features=("params", "tokens"),
    parameters={
        "N_c": _location("parameters"),
        "D_c": _location("tokens", 1),
        "alpha_N": exponent(1e-3),
        "alpha_D": exponent(1e-2),
    },
    starts=_joint_starts,
    optimum=optimum,
    citation=CITATION,
    domain="stopped where the validation loss is least; N without embeddings",
)
KAPLAN_STEPS = law_from(
    steps,
    name="kaplan_steps",
    formula="L = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S",
    features=("params", "steps_min"),
    parameters={
        "N_c": _location("parameters"),
        "S_c": _location("steps", 1),
        "alpha_N": exponent(1e-3),
        "alpha_S": exponent(1e-2),
    },
    starts=_steps_starts,
    citation=CITATION,
    domain="ample data, after the warm-up, S_min by `min_steps`; N without embeddings",
)
