"""What a Law does with parameters and features: shapes, units of its columns, refusals, the group of shifts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.laws import CHINCHILLA, COUPLED, LAWS, POWER, PUBLISHED, Law, find_law
from foretoken.laws import chinchilla as chinchilla_module
from foretoken.laws.broken import curve
from foretoken.laws.formula import differentiated, term
from foretoken.laws.learning_rate import straight

_spec = importlib.util.spec_from_file_location("samples", Path(__file__).with_name("samples.py"))
assert _spec
assert _spec.loader
samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(samples)

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
BESIROGLU = PUBLISHED["besiroglu_2024"].parameters


def inside(law: Law, x: np.ndarray, y: np.ndarray, seed: int, count: int = 4) -> np.ndarray:
    """Random theta within the bounds, and locations among the runs: [count, p]."""
    low, high = law.bounds(y)
    middle = law.theta(samples.TRUTHS[law.name])
    middle = law.shift(middle, -law.origin(x))
    away = np.random.default_rng(seed).uniform(-0.5, 0.5, (count, len(low)))
    return np.clip(middle + away * np.minimum(high - low, 1.0), low, high)


def centred(law: Law, count: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Features around their origin, and what the truth gives there."""
    runs = samples.runs(law, count)
    if law.sequence_input:
        runs = runs[::25]
    origin = law.origin(runs)
    with np.errstate(invalid="ignore"):
        x = runs - origin
    return x, law.value_and_grad(law.shift(law.theta(samples.TRUTHS[law.name]), -origin)[None], x)[0][0]


@every_law
@pytest.mark.parametrize("seed", range(3))
def test_gradient_far_from_the_truth(law: Law, seed: int) -> None:
    x, y = centred(law)
    theta = inside(law, x, y, seed)
    gradient = law.value_and_grad(theta, x)[1]
    for k in range(theta.shape[1]):
        step = np.zeros(theta.shape[1])
        step[k] = 1e-5
        slope = (law.value_and_grad(theta + step, x)[0] - law.value_and_grad(theta - step, x)[0]) / 2e-5
        np.testing.assert_allclose(gradient[..., k], slope, rtol=1e-4, atol=1e-6 * max(1.0, np.abs(slope).max()))


@every_law
def test_each_candidate_and_each_run_is_computed_alone(law: Law) -> None:
    x, y = centred(law)
    theta = inside(law, x, y, 0)
    value, gradient = law.value_and_grad(theta, x)
    for b in range(len(theta)):
        alone = law.value_and_grad(theta[b : b + 1], x)
        np.testing.assert_allclose(alone[0][0], value[b], rtol=1e-12)
        np.testing.assert_allclose(alone[1][0], gradient[b], rtol=1e-9, atol=1e-12)
    backwards = law.value_and_grad(theta, x[::-1])
    np.testing.assert_allclose(backwards[0][:, ::-1], value, rtol=1e-12)
    np.testing.assert_allclose(backwards[1][:, ::-1], gradient, rtol=1e-9, atol=1e-12)


@every_law
@settings(max_examples=10, deadline=None)
@given(first=st.floats(-5, 5), second=st.floats(-5, 5))
def test_shifts_add_up(law: Law, first: float, second: float) -> None:
    x, _ = centred(law, 3)
    theta = law.shift(law.theta(samples.TRUTHS[law.name]), -law.origin(x))
    one, two = (move * (law.origin(x + 1.0) != 0) for move in (first, second))  # features that may be centred
    both = law.shift(law.shift(theta, one), two)
    np.testing.assert_allclose(both, law.shift(theta, one + two), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(law.shift(theta, 0.0 * one), theta)


@every_law
def test_starts_hold_a_good_one(law: Law) -> None:
    x, y = centred(law, 60)
    starts = law.starts(x, y)
    assert starts.ndim == 2
    assert starts.shape[1] == len(law.parameters)
    assert np.isfinite(starts).all()
    error = np.sqrt(np.mean((law.value_and_grad(starts, x)[0] - y) ** 2, axis=1))
    # Routed laws are bilinear in what is fitted: from anywhere within their bounds there is one way down.
    assert np.nanmin(error) < (3.0 if law.name.startswith("routing") else 0.25) * y.std()


@every_law
def test_prior_is_in_the_units_of_the_runs(law: Law) -> None:
    """Losses twice as large move the assumed irreducible loss by ln 2, and no exponent."""
    if not law.is_logarithmic:
        assert law.prior_text == "nothing" or "irreducible" not in law.prior_text
        return
    y = np.log(np.array([4.0, 3.0, 2.5]))
    (mean, scale), (moved, same) = law.prior(y), law.prior(y + np.log(2))
    np.testing.assert_array_equal(scale, same)
    held = np.isfinite(scale)
    expected = [np.log(2) if name == "E" else 0.0 for name in np.array(law.parameters)[held]]
    np.testing.assert_allclose((moved - mean)[held], expected, atol=1e-12)
    for name in np.array(law.parameters)[held]:
        assert f"{name} near" in law.prior_text or f"{name} and" in law.prior_text


@every_law
def test_bounds_follow_the_units_of_the_runs(law: Law) -> None:
    y = np.array([1.2, 0.9, 0.7])
    low, high = law.bounds(y)
    moved = law.bounds(y + 1.5) if law.is_logarithmic else law.bounds(y * 3.0)
    assert (low < high).all()
    assert (moved[1] >= high - 1e-12).all() or not law.is_logarithmic
    if law.is_logarithmic:  # a scale moves with the losses, a shape does not
        assert set(np.round(moved[1] - high, 9)) <= {0.0, 1.5}
        assert set(np.round(moved[0] - low, 9)) <= {0.0, 1.5}


# evaluate


@settings(deadline=None)
@given(N=st.floats(1e3, 1e13), D=st.floats(1e5, 1e15))
def test_the_law_in_logarithms_is_the_formula(N: float, D: float) -> None:
    plain = chinchilla_module.loss(N, D, **BESIROGLU)
    assert float(CHINCHILLA.evaluate(BESIROGLU, params=N, tokens=D)) == pytest.approx(plain, rel=1e-12)
    derived = differentiated(
        chinchilla_module.loss, {name: term("") for name in CHINCHILLA.parameters}
    )  # the general way to a gradient, for a law that has one of its own
    x = np.log([[N, D]])
    theta = CHINCHILLA.theta(BESIROGLU)[None]
    for own, general in zip(CHINCHILLA.value_and_grad(theta, x), derived(theta, x), strict=True):
        np.testing.assert_allclose(own, general, rtol=1e-8, atol=1e-12)


def test_a_law_fitted_as_it_is_gives_its_formula() -> None:
    p = PUBLISHED["kaplan_2020_learning_rate"].parameters
    rates = LAWS["learning_rate_log_params"].evaluate(p, params=np.array([1e6, 1e9]))
    np.testing.assert_allclose(rates, [straight(1e6, **p), straight(1e9, **p)])
    broken = samples.TRUTHS["broken_2"]
    np.testing.assert_allclose(LAWS["broken_2"].evaluate(broken, size=3e3), curve(3e3, **broken))


def test_flops_are_only_made_up_where_a_law_reads_them() -> None:
    with np.errstate(over="raise"):
        assert np.isfinite(CHINCHILLA.evaluate(BESIROGLU, params=1e200, tokens=1e200))
    with pytest.raises(ForetokenError, match="flops"):
        POWER.evaluate({"a": 1.0, "b": 0.1}, params=1e6)


@every_law
def test_a_missing_parameter_is_named_beside_what_was_meant(law: Law) -> None:
    truth = samples.TRUTHS[law.name]
    for name in law.parameters:
        wrong = {key: value for key, value in truth.items() if key != name} | {f"{name}_": truth[name]}
        with pytest.raises(ForetokenError, match=f"did you mean '{name}'") as caught:
            law.theta(wrong)
        assert caught.value.code == "missing_parameters"
        assert law.name in str(caught.value)
    with pytest.raises(ForetokenError, match="nothing"):
        law.theta({})


@every_law
def test_a_missing_feature_is_named_beside_what_was_meant(law: Law) -> None:
    name = law.features[-1]
    known = {feature: 8.0 for feature in law.features[:-1]} | {f"{name}s": 8.0}
    with pytest.raises(ForetokenError, match=f"did you mean '{name}'"):
        law.evaluate(samples.TRUTHS[law.name], **known)
    with pytest.raises(ForetokenError, match="got: nothing"):
        law.evaluate(samples.TRUTHS[law.name])


def test_further_parameters_and_features_go_unused() -> None:
    plain = CHINCHILLA.evaluate(BESIROGLU, params=1e8, tokens=1e10)
    more = CHINCHILLA.evaluate(BESIROGLU | {"gamma": 0.5}, params=1e8, tokens=1e10, experts=8.0, flops=None)
    assert float(more) == float(plain)


def test_other_columns_leave_the_law_as_it_is() -> None:
    moved = LAWS["size_error"].on("params")
    assert moved.name == "size_error"
    assert moved.parameters == LAWS["size_error"].parameters
    truth = samples.TRUTHS["size_error"]
    assert float(moved.evaluate(truth, params=50.0)) == float(LAWS["size_error"].evaluate(truth, size=50.0))
    with pytest.raises(ForetokenError, match="params"):
        moved.evaluate(truth, size=50.0)


@every_law
def test_units_say_what_a_law_gives(law: Law) -> None:
    assert law.unit
    assert all(unit for unit in law.units)
    for name, unit in zip(law.parameters, law.units, strict=True):
        if name in ("alpha", "beta", "gamma", "eta", "delta", "omega", "zeta") and law.column == "loss":
            assert unit == "1", name
        if name == "E" and law.column == "loss":
            assert unit == "nats per token"


@every_law
def test_a_misspelt_law_is_named(law: Law) -> None:
    assert find_law(law.name) is law
    with pytest.raises(ForetokenError, match=law.name) as caught:
        find_law(f"{law.name}x")
    assert caught.value.code == "unknown_law"


@settings(deadline=None)
@given(gamma=st.floats(0.1, 2.0), flops=st.floats(1e18, 1e26))
def test_coupling_moves_the_loss_and_not_the_exponent_of_the_best_size(gamma: float, flops: float) -> None:
    assert COUPLED.optimum is not None
    p = BESIROGLU | {"gamma": gamma}
    sizes = [float(COUPLED.optimum(p, C)[0]) for C in (flops, 10 * flops)]
    exponent = np.log10(sizes[1] / sizes[0])
    assert exponent == pytest.approx(p["beta"] / (p["alpha"] + p["beta"]))
