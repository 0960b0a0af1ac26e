"""Numbers that papers print, held against the published entries and against what follows from them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foretoken.laws import LAWS, PUBLISHED
from foretoken.laws.chinchilla import optimum
from foretoken.laws.cite import cite, works

Numbers = dict[str, float]
DIGITS: dict[str, tuple[str, Numbers]] = {
    "kaplan_2020": ("table 2", {"alpha_N": 0.076, "alpha_D": 0.103, "N_c": 6.4e13, "D_c": 1.8e13}),
    "kaplan_2020_steps": ("table 3", {"alpha_N": 0.077, "alpha_S": 0.76, "N_c": 6.5e13, "S_c": 2.1e3}),
    "kaplan_2020_batch": ("table 5", {"alpha_B": 0.21, "B_star": 2.1e8}),
    "kaplan_2020_learning_rate": ("equation D.1", {"c_0": 0.003239, "c_1": -0.0001395}),
    "hoffmann_2022_rounded": (
        "equation 10",
        {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    ),
    "hoffmann_2022_tex": ("source of the paper", {"alpha": 0.33917084, "beta": 0.2849083}),
    "besiroglu_2024": ("table", {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}),
    "muennighoff_2023": ("parametric fit", {"alpha": 0.3526596, "R_D": 15.387756, "R_N": 5.309743}),
    "gadre_2024_c4_error17": ("table", {"epsilon": 0.850, "k": 2.08, "gamma": 0.756}),
    "gadre_2024_c4_error46": ("table", {"epsilon": 0.759, "k": 1.29, "gamma": 0.972}),
    "gadre_2024_redpajama_error17": ("table", {"epsilon": 0.857, "k": 2.21, "gamma": 0.715}),
    "gadre_2024_redpajama_error46": ("table", {"epsilon": 0.761, "k": 1.32, "gamma": 0.891}),
    "gadre_2024_refinedweb_error17": ("table", {"epsilon": 0.865, "k": 2.21, "gamma": 0.707}),
    "gadre_2024_refinedweb_error46": ("table", {"epsilon": 0.768, "k": 1.13, "gamma": 0.822}),
    "deepseek_2024": ("equation of M", {"k": 0.1715, "a": 0.5243}),
    "deepseek_2024_tokens": ("equation of D", {"k": 5.8316, "b": 0.4757}),
    "deepseek_2024_learning_rate": ("equation of the rate", {"k": 0.3118, "a": -0.1250}),
    "deepseek_2024_batch": ("equation of the batch", {"k": 0.2920, "a": 0.3271}),
    "llama3_2024": ("figure", {"k": 0.299, "b": 0.537}),
    "clark_2022_sbase": (
        "table 3",
        {"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478},
    ),
    "clark_2022_rlr": (
        "table 3",
        {"a": -0.083, "b": -0.126, "c": 0.012, "d": 1.111, "E_start": 1.880, "E_max": 469.982},
    ),
    "clark_2022_hash": (
        "table 3",
        {"a": -0.087, "b": -0.136, "c": 0.012, "d": 1.157, "E_start": 4.175, "E_max": 477.741},
    ),
    "clark_2022_dense": ("dense power law", {"alpha_N": 0.078, "N_c": 3.568e13}),
    "krajewski_2024": (
        "table 1",
        {"a": 18.1, "alpha": 0.115, "b": 30.8, "beta": 0.147, "g": 2.1, "gamma": 0.58, "E": 0.47},
    ),
    "krajewski_2024_dense": ("table 1", {"A": 16.3, "alpha": 0.126, "B": 26.7, "beta": 0.127, "E": 0.47}),
    "ludziejewski_2025": (
        "table 3",
        {
            "a": 35.91,
            "alpha": -0.1889,
            "delta": -0.2285,
            "gamma": 0.0098,
            "b": 35.98,
            "beta": -0.1775,
            "omega": 0.5529,
            "zeta": -0.0259,
            "E_start": 2.0732,
            "E_max": 290.4521,
            "E": 1.3637,
        },
    ),
    "kumar_2024": (
        "table 2",
        {
            "E": 2.7648,
            "A": 4.299e3,
            "B": 1.806e4,
            "alpha": 0.4965,
            "gamma_w": 2.6745,
            "gamma_a": 2.2102,
            "gamma_kv": 0.9578,
        },
    ),
    "kumar_2024_post": ("table 2", {"C_T": 0.0598, "gamma_D": 0.5068, "gamma_N": 0.3439, "gamma_post": 0.5907}),
    "luo_2025_25m": (
        "repository",
        {"E": 3.040, "A": 0.525, "alpha": 0.508, "B": 363.788, "C": 2.066, "beta": 0.583, "gamma": 0.641},
    ),
    "luo_2025_100m": (
        "repository",
        {"E": 2.651, "A": 0.601, "alpha": 0.453, "B": 437.946, "C": 2.132, "beta": 0.598, "gamma": 0.655},
    ),
    "luo_2025_400m": (
        "repository",
        {"E": 2.375, "A": 0.654, "alpha": 0.429, "B": 523.425, "C": 2.025, "beta": 0.594, "gamma": 0.635},
    ),
}
"""Place in the paper and numbers as printed there, of entries whose numbers need no conversion of units."""


@pytest.mark.parametrize("name", DIGITS)
def test_digits_are_those_that_were_printed(name: str) -> None:
    place, printed = DIGITS[name]
    kept = PUBLISHED[name].parameters
    assert {key: kept[key] for key in printed} == printed, place


def test_every_verified_entry_has_its_digits_here_or_is_converted() -> None:
    converted = {name for name, entry in PUBLISHED.items() if name not in DIGITS}
    assert converted == {
        "kaplan_2020_params", "kaplan_2020_tokens", "kaplan_2020_flops", "kaplan_2020_flops_min",
        "kaplan_2020_allocation", "kaplan_2020_allocation_fixed_batch", "kaplan_2020_allocation_tokens",
        "kaplan_2020_allocation_steps", "kaplan_2020_batch_flops", "hoffmann_2022_approach1",
        "hoffmann_2022_approach2", "gadre_2024_c4", "gadre_2024_redpajama", "gadre_2024_refinedweb",
        "steplaw_2025_learning_rate", "steplaw_2025_batch", "porian_2024_learning_rate", "porian_2024_batch",
        "minicpm_2024_batch", "ludziejewski_2025_learning_rate",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "p", "q", "eta2"),
    [
        ("gadre_2024_c4", 113.7, 189.5, 0.2425),
        ("gadre_2024_redpajama", 166.2, 366.7, 0.2729),
        ("gadre_2024_refinedweb", 125.1, 246.2, 0.2544),
    ],
)
def test_gadre_in_the_form_of_the_authors_code(name: str, p: float, q: float, eta2: float) -> None:
    kept = PUBLISHED[name].parameters
    assert 2 * kept["eta"] == pytest.approx(eta2, abs=5e-5)
    assert kept["a"] / 6 ** kept["eta"] == pytest.approx(p, abs=0.06)
    assert kept["b"] == pytest.approx(q, abs=0.06)
    N, M = 1.4e9, 640.0
    code = kept["E"] + p * N**-eta2 + q * 6 ** (-eta2 / 2) * (M * N) ** -eta2
    assert float(LAWS["overtraining"].evaluate(kept, params=N, tokens=M * N)) == pytest.approx(code, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "exponent", "low", "high"),
    [("hoffmann_2022_approach1", 0.50, 0.488, 0.502), ("hoffmann_2022_approach2", 0.49, 0.462, 0.534)],
)
def test_hoffmann_exponents_of_the_first_two_approaches(name: str, exponent: float, low: float, high: float) -> None:
    entry = PUBLISHED[name]  # Hoffmann et al. 2022, table 2
    assert entry.parameters["a"] == exponent
    assert entry.intervals["a"] == [low, high]


def test_besiroglu_intervals_and_errors() -> None:
    entry = PUBLISHED["besiroglu_2024"]  # the authors' notebook; the paper rounds the errors
    printed = {"A": (285.2, 743.6), "B": (1042, 5810), "E": (1.769, 1.871), "alpha": (0.317, 0.373),
               "beta": (0.331, 0.415)}  # fmt: skip
    for name, (low, high) in printed.items():
        assert entry.intervals[name] == pytest.approx([low, high], rel=2e-3)
    assert entry.standard_errors["A"] == pytest.approx(124.58)
    p = entry.parameters
    assert p["beta"] / (p["alpha"] + p["beta"]) == pytest.approx(0.5126, abs=1e-4)


# What follows from the numbers, and is printed elsewhere in the same papers


def test_kaplan_overfitting_guard_follows_from_the_joint_law() -> None:
    """Section 4.2: an increase of the loss below 2 % needs D of 5e3 N^0.74 or more."""
    p = PUBLISHED["kaplan_2020"].parameters
    law = LAWS["kaplan_joint"]
    for N in (1e7, 1e9):
        needed = np.geomspace(1e8, 1e12, 4001)
        endless = float(law.evaluate(p, params=N, tokens=1e40))
        enough = needed[law.evaluate(p, params=N, tokens=needed) < 1.02 * endless][0]
        assert enough == pytest.approx(5e3 * N**0.74, rel=0.15)
    assert p["alpha_N"] / p["alpha_D"] == pytest.approx(0.74, abs=0.005)


def test_kaplan_exponent_of_compute_follows_from_steps_and_batch() -> None:
    """1 / (1/alpha_S + 1/alpha_B + 1/alpha_N): appendix B prints 0.052; over alpha_N it is the exponent of N*."""
    steps, batch = PUBLISHED["kaplan_2020_steps"].parameters, PUBLISHED["kaplan_2020_batch"].parameters
    exponent = 1 / (1 / steps["alpha_S"] + 1 / batch["alpha_B"] + 1 / steps["alpha_N"])
    assert round(exponent, 3) == 0.052
    assert PUBLISHED["kaplan_2020_flops_min"].parameters["alpha_C"] == 0.050  # as measured
    assert exponent / steps["alpha_N"] == pytest.approx(PUBLISHED["kaplan_2020_allocation"].parameters["a"], abs=0.05)


def test_kaplan_stops_a_tenth_above_the_converged_loss_and_sizes_near_the_best_cost_a_fifth() -> None:
    """Appendix B: alpha_N / alpha_S is about 10 %; 0.6 to 2.2 times the best size take about 20 % more compute."""
    p = PUBLISHED["kaplan_2020_steps"].parameters
    law, budget = LAWS["kaplan_steps"], 1e14  # N x S
    sizes = np.geomspace(1e7, 1e12, 200_001)
    loss = law.evaluate(p, params=sizes, steps_min=budget / sizes)
    N = float(sizes[loss.argmin()])
    converged = float(law.evaluate(p, params=N, steps_min=1e100))
    assert loss.min() / converged - 1 == pytest.approx(p["alpha_N"] / p["alpha_S"], rel=1e-3)
    for factor in (0.6, 2.2):
        left = float(loss.min()) - (p["N_c"] / (factor * N)) ** p["alpha_N"]
        steps = p["S_c"] / left ** (1 / p["alpha_S"])
        assert float(law.evaluate(p, params=factor * N, steps_min=steps)) == pytest.approx(float(loss.min()))
        assert 1.1 < factor * N * steps / budget < 1.21


def test_clark_routing_stops_helping_at_the_printed_sizes() -> None:
    """Table 3: b + c log10 N is 0 at the cut-off size, 937B, 85B and 83B; the printed digits allow a wide range."""
    for name, printed in (("sbase", 937e9), ("rlr", 85e9), ("hash", 83e9)):
        p = PUBLISHED[f"clark_2022_{name}"].parameters
        lower, upper = (10 ** (-(p["b"] + db) / (p["c"] - dc)) for db, dc in ((5e-4, -5e-4), (-5e-4, 5e-4)))
        assert lower < printed < upper
        at = 10 ** (-p["b"] / p["c"])
        few, many = LAWS["routing"].evaluate(p, params=at, experts=np.array([2.0, 256.0]))
        assert few == pytest.approx(many, rel=1e-12)
        few, many = LAWS["routing"].evaluate(p, params=at / 100, experts=np.array([2.0, 256.0]))
        assert many < few


def test_deepseek_exponents_of_model_and_data_add_up_to_one() -> None:
    model, data = (PUBLISHED[name].parameters for name in ("deepseek_2024", "deepseek_2024_tokens"))
    assert model["a"] + data["b"] == pytest.approx(1.0)
    assert model["k"] * data["k"] == pytest.approx(1.0, rel=2e-3)


def test_optimum_sits_where_both_terms_fall_equally_fast() -> None:
    """Hoffmann et al. 2022, equation 4: alpha A / N^alpha = beta B / D^beta along C = 6 N D."""
    for name in ("hoffmann_2022_tex", "besiroglu_2024", "krajewski_2024_dense"):
        p = PUBLISHED[name].parameters
        for flops in (1e18, 1e22, 1e26):
            N, D = optimum(p, flops)
            assert p["alpha"] * p["A"] / N ** p["alpha"] == pytest.approx(p["beta"] * p["B"] / D ** p["beta"])
            assert optimum(p, flops / 3, 2.0) == pytest.approx((N, D))  # only C / flops_per_param_token counts


@pytest.mark.parametrize("name", [*LAWS, *PUBLISHED])
def test_a_citation_prints_each_paper_once_as_text_and_as_bibtex(name: str) -> None:
    citation = cite(name)
    keys = [line.removeprefix("@misc{").rstrip(",") for line in citation.bibtex.splitlines() if line.startswith("@")]
    assert keys
    assert len(keys) == len(set(keys))
    for key in keys:
        assert citation.text.count(works()[key].title) == 1
        assert works()[key].authors[0].split(",")[0].strip("{}") in citation.text
    assert str(citation) == f"{citation.text}\n\n{citation.bibtex}"
    if name in PUBLISHED:
        assert keys == [PUBLISHED[name].work]
        assert citation.text.endswith(PUBLISHED[name].source)


def test_the_kaplan_learning_rate_falls_in_a_straight_line_to_zero() -> None:
    p = PUBLISHED["kaplan_2020_learning_rate"].parameters
    zero = math.exp(-p["c_0"] / p["c_1"])
    rate = LAWS["learning_rate_log_params"].evaluate(p, params=np.array([zero**0.5, zero]))
    assert rate == pytest.approx([p["c_0"] / 2, 0.0], abs=1e-12)
