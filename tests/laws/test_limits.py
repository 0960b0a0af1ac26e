"""Each law where its answer is known without it: at infinite size or data, one expert, one epoch, many bits."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.laws import CHINCHILLA, LAWS, PUBLISHED, kaplan, multi_power
from foretoken.laws.repeated_data import unique_params, worth
from foretoken.laws.routing import effective_experts

_spec = importlib.util.spec_from_file_location("samples", Path(__file__).with_name("samples.py"))
assert _spec
assert _spec.loader
samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(samples)

BESIROGLU = PUBLISHED["besiroglu_2024"].parameters
MUENNIGHOFF = PUBLISHED["muennighoff_2023"].parameters
VAST = 1e140
FALLING: dict[str, tuple[str, ...]] = {
    "power": ("flops",),
    "saturating_params": ("params",),
    "saturating_tokens": ("tokens",),
    "saturating_flops": ("flops",),
    "kaplan_params": ("params",),
    "kaplan_tokens": ("tokens",),
    "kaplan_flops": ("flops",),
    "kaplan_flops_min": ("flops_min",),
    "kaplan_joint": ("params", "tokens"),
    "kaplan_steps": ("params", "steps_min"),
    "chinchilla": ("params", "tokens"),
    "coupled": ("params", "tokens"),
    "overtraining": ("params", "tokens"),
    "fine_grained_experts": ("params", "tokens", "granularity"),
    "joint_experts": ("params", "tokens"),
    "routing": ("params",),
    "routing_unsaturated": ("params",),
    "precision": ("params", "tokens"),
}
"""Laws whose logarithm is convex in the logarithms of these features, in which they fall."""


def evaluate(name: str, parameters: dict[str, float] | None = None, **features: float) -> float:
    return float(LAWS[name].evaluate(parameters or samples.TRUTHS[name], **features))


def test_what_is_left_at_infinite_scale_is_the_irreducible_loss() -> None:
    for name, features in FALLING.items():
        truth = samples.TRUTHS[name]
        if "E" in truth:
            vast = {feature: VAST if feature in samples.RANGES else 8.0 for feature in LAWS[name].features}
            assert evaluate(name, **vast) == pytest.approx(truth["E"], rel=1e-9), f"{name} of {features}"


def test_infinite_data_leaves_the_term_of_size_and_infinite_size_that_of_data() -> None:
    p = BESIROGLU
    assert evaluate("chinchilla", p, params=1e8, tokens=VAST) == pytest.approx(p["E"] + p["A"] / 1e8 ** p["alpha"])
    assert evaluate("chinchilla", p, params=VAST, tokens=1e10) == pytest.approx(p["E"] + p["B"] / 1e10 ** p["beta"])
    q = samples.TRUTHS["coupled"]
    assert evaluate("coupled", params=1e8, tokens=VAST) == pytest.approx(q["E"] + q["A"] / 1e8 ** q["alpha"])
    r = PUBLISHED["kaplan_2020"].parameters
    assert evaluate("kaplan_joint", r, params=1e8, tokens=VAST) == pytest.approx((r["N_c"] / 1e8) ** r["alpha_N"])
    assert evaluate("kaplan_joint", r, params=VAST, tokens=1e9) == pytest.approx((r["D_c"] / 1e9) ** r["alpha_D"])
    s = PUBLISHED["kaplan_2020_steps"].parameters
    assert evaluate("kaplan_steps", s, params=1e8, steps_min=VAST) == pytest.approx((s["N_c"] / 1e8) ** s["alpha_N"])


@settings(deadline=None)
@given(params=st.floats(1e6, 1e11), tokens=st.floats(1e8, 1e13))
def test_coupled_terms_lie_between_the_larger_term_and_the_sum(params: float, tokens: float) -> None:
    terms = BESIROGLU["A"] / params ** BESIROGLU["alpha"], BESIROGLU["B"] / tokens ** BESIROGLU["beta"]
    losses = [
        evaluate("coupled", BESIROGLU | {"gamma": gamma}, params=params, tokens=tokens) for gamma in (0.01, 0.5, 1)
    ]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(BESIROGLU["E"] + max(terms), rel=0.01)
    assert losses[1] == pytest.approx(BESIROGLU["E"] + math.hypot(*terms))
    assert losses[2] == pytest.approx(BESIROGLU["E"] + sum(terms))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", FALLING)
def test_loss_falls_with_diminishing_returns(name: str, data: st.DataObject) -> None:
    law = LAWS[name]
    others = {feature: 8.0 for feature in law.features if feature not in FALLING[name]}
    ranges = samples.RANGES | {"granularity": (1.0, 16.0)}
    draw = {f: st.floats(*np.log(ranges[f])) for f in FALLING[name]}
    first, second = ({f: data.draw(draw[f], label=f) for f in FALLING[name]} for _ in range(2))
    path = {f: np.exp(np.linspace(first[f], second[f], 9)) for f in FALLING[name]}
    loss = np.log(law.evaluate(samples.TRUTHS[name], **path, **others))
    assert (np.diff(loss, 2) >= -1e-9).all()  # convex along every straight line of logarithms
    for feature in FALLING[name]:
        point = {f: float(np.exp(first[f])) for f in FALLING[name]}
        larger = point | {feature: 2 * point[feature]}
        assert evaluate(name, **larger, **others) < evaluate(name, **point, **others)


@settings(deadline=None)
@given(epochs=st.floats(1.0, 300.0), longer=st.floats(1.001, 3.0), R=st.floats(0.5, 50.0))
def test_a_repeated_token_is_worth_something_and_less_than_a_fresh_one(epochs: float, longer: float, R: float) -> None:
    worths = [float(worth(e, 1.0, R)) for e in (epochs, longer * epochs)]
    assert worths[0] <= epochs * (1 + 1e-12)
    assert worths[0] <= worths[1] <= 1 + R
    assert float(worth(1.0, 1.0, R)) == 1.0
    assert float(worth(7 * epochs, 7.0, R)) == pytest.approx(7 * worths[0])  # any unit of tokens
    small = 1 + 1e-4 * R
    assert float(worth(small, 1.0, R)) == pytest.approx(small, rel=1e-4)  # the first repeats count like fresh tokens


def test_epochs_without_end_leave_a_floor() -> None:
    p, unique = MUENNIGHOFF, 1e9
    small = 1e6  # fewer than the parameters that suit the tokens, so none is in excess
    assert small < unique_params(unique, A=p["A"], B=p["B"], alpha=p["alpha"])
    floor = p["E"] + p["A"] / small ** p["alpha"] + p["B"] / (unique * (1 + p["R_D"])) ** p["alpha"]
    assert evaluate("repeated_data", p, params=small, tokens=1e15, unique_tokens=unique) == pytest.approx(floor)


def test_more_unique_tokens_than_are_seen_change_nothing() -> None:
    seen = [
        evaluate("repeated_data", MUENNIGHOFF, params=1e8, tokens=1e10, unique_tokens=unique)
        for unique in (1e10, 3e10, 1e13)
    ]
    assert seen[0] == seen[1] == seen[2]


@settings(deadline=None)
@given(experts=st.floats(1.0, 1e4), E_start=st.floats(1.01, 10.0), E_max=st.floats(20.0, 1e4))
def test_effective_experts_rise_from_start_towards_the_most(experts: float, E_start: float, E_max: float) -> None:
    few, more = (float(effective_experts(e, E_start=E_start, E_max=E_max)) for e in (experts, 1.1 * experts))
    assert E_start * (1 - 1e-9) <= few < more < E_max
    assert float(effective_experts(1.0, E_start=E_start, E_max=E_max)) == pytest.approx(E_start)
    assert float(effective_experts(experts, E_start=1.0, E_max=1e15)) == pytest.approx(experts, rel=1e-9)


def test_routing_with_unlimited_experts_is_the_plain_bilinear_law() -> None:
    p = samples.TRUTHS["routing_unsaturated"]
    wide = p | {"E_start": 1.0 + 1e-12, "E_max": 1e15}
    for experts in (1.0, 8.0, 256.0):
        plain = evaluate("routing_unsaturated", p, params=1e8, experts=experts)
        assert evaluate("routing", wide, params=1e8, experts=experts) == pytest.approx(plain, rel=1e-9)
    dense = 10 ** (p["a"] * 8 + p["d"])
    assert evaluate("routing_unsaturated", p, params=1e8, experts=1.0) == pytest.approx(dense)


def test_very_fine_experts_leave_the_coarse_part_of_the_term() -> None:
    p = PUBLISHED["krajewski_2024"].parameters
    base = {"E": p["E"], "A": p["a"], "B": p["b"], "alpha": p["alpha"], "beta": p["beta"]}
    finest = evaluate("fine_grained_experts", p, params=1e9, tokens=1e11, granularity=1e30)
    assert finest == pytest.approx(float(CHINCHILLA.evaluate(base, params=1e9, tokens=1e11)))
    coarse = evaluate("fine_grained_experts", p, params=1e9, tokens=1e11, granularity=1.0)
    assert coarse - finest == pytest.approx(p["g"] / 1e9 ** p["alpha"])


def test_many_bits_cost_nothing_and_few_act_like_fewer_parameters() -> None:
    p = PUBLISHED["kumar_2024"].parameters
    base = {name: p[name] for name in ("E", "A", "B", "alpha")} | {"beta": p["alpha"]}
    many = {"bits_weights": 500.0, "bits_activations": 500.0, "bits_kv": 500.0}
    exact = float(CHINCHILLA.evaluate(base, params=1e8, tokens=1e10))
    assert evaluate("precision", p, params=1e8, tokens=1e10, **many) == pytest.approx(exact, rel=1e-12)
    half = p["gamma_w"] * math.log(2)  # so many bits of the weights are worth half of the parameters
    smaller = float(CHINCHILLA.evaluate(base, params=5e7, tokens=1e10))
    told = evaluate("precision", p, params=1e8, tokens=1e10, **(many | {"bits_weights": half}))
    assert told == pytest.approx(smaller, rel=1e-12)


def test_quantising_afterwards_hurts_more_the_longer_and_the_smaller() -> None:
    p = PUBLISHED["kumar_2024_post"].parameters
    added = evaluate("quantisation", p, params=1e8, tokens=1e10, bits_post=4.0)
    longer = evaluate("quantisation", p, params=1e8, tokens=1e11, bits_post=4.0)
    larger = evaluate("quantisation", p, params=1e9, tokens=1e10, bits_post=4.0)
    coarser = evaluate("quantisation", p, params=1e8, tokens=1e10, bits_post=3.0)
    assert longer / added == pytest.approx(10 ** p["gamma_D"])
    assert added / larger == pytest.approx(10 ** p["gamma_N"])
    assert coarser / added == pytest.approx(math.exp(1 / p["gamma_post"]))


def test_slopes_of_a_broken_power_law_change_at_its_breaks() -> None:
    p = {"a": 1e-9, "b": 3.0, "c0": 0.1, "c1": 0.4, "d1": 1e3, "f1": 0.1, "c2": -0.3, "d2": 1e9, "f2": 0.1}
    sizes = np.array([1.0, 1e6, 1e12])
    lower, upper = (np.log(LAWS["broken_2"].evaluate(p, size=sizes * step)) for step in (0.9, 1.1))
    np.testing.assert_allclose((lower - upper) / math.log(1.1 / 0.9), [0.1, 0.5, 0.2], atol=1e-6)
    none = {**p, "c1": 0.0, "c2": 0.0}
    np.testing.assert_allclose(LAWS["broken_2"].evaluate(none, size=sizes), 1e-9 + 3 / sizes**0.1)


def test_scores_go_from_guessing_to_their_ceiling() -> None:
    p = samples.TRUTHS["accuracy_flops"]
    assert evaluate("accuracy_flops", flops=1e-30) == pytest.approx(p["b"])
    assert evaluate("accuracy_flops", flops=p["X_0"]) == pytest.approx(p["b"] + p["a"] / 2)
    assert evaluate("accuracy_flops", flops=1e80) == pytest.approx(p["b"] + p["a"])
    q = samples.TRUTHS["accuracy_sigmoid"]
    assert evaluate("accuracy_sigmoid", loss=q["L_0"]) == pytest.approx(q["b"] + q["a"] / 2)
    assert evaluate("accuracy_sigmoid", loss=100.0) == pytest.approx(q["b"])
    for shift in (0.2, 0.7):  # symmetric around its middle
        sides = [evaluate("accuracy_sigmoid", loss=q["L_0"] + sign * shift) for sign in (-1, 1)]
        assert sum(sides) == pytest.approx(2 * q["b"] + q["a"])
    error = PUBLISHED["gadre_2024_c4_error17"].parameters
    assert evaluate("error_exponential", error, loss=1e3) == pytest.approx(error["epsilon"])


def test_a_constant_learning_rate_leaves_a_power_law_of_its_sum() -> None:
    p = PUBLISHED["luo_2025_100m"].parameters
    curve = multi_power.loss_curve(p, [2e-4] * 50, 0.01)
    total = 0.01 + 2e-4 * np.arange(1, 51)
    np.testing.assert_allclose(curve, p["E"] + p["A"] * total ** -p["alpha"])
    assert (np.diff(curve) < 0).all()


def test_a_drop_of_the_learning_rate_gains_at_most_its_share_of_b() -> None:
    p = PUBLISHED["luo_2025_100m"].parameters
    rates = np.array([3e-4] * 60 + [3e-5] * 300)
    total = np.cumsum(rates)
    gain = p["E"] + p["A"] * total ** -p["alpha"] - multi_power.loss_curve(p, rates)
    assert gain[:60] == pytest.approx(0, abs=1e-12)
    assert (np.diff(gain[59:]) > 0).all()
    assert gain[-1] < p["B"] * 2.7e-4


@settings(deadline=None)
@given(steps=st.floats(1e2, 1e6), batch=st.floats(1e4, 1e8), critical=st.floats(1e4, 1e8))
def test_least_steps_and_least_compute_of_a_batch(steps: float, batch: float, critical: float) -> None:
    fewest = float(kaplan.min_steps(steps, batch, critical))
    least = float(kaplan.min_compute(steps * batch, batch, critical))
    assert fewest < steps
    assert least < steps * batch
    assert least / fewest == pytest.approx(critical)
    assert (steps / fewest - 1) * (steps * batch / least - 1) == pytest.approx(1)
    assert float(kaplan.min_steps(steps, critical, critical)) == pytest.approx(steps / 2)
    assert float(kaplan.min_compute(1e18, critical, critical)) == pytest.approx(5e17)
