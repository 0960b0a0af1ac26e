"""What holds of every law."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.fits.solvers import Problem, solve
from foretoken.laws import CHINCHILLA, COUPLED, FEATURES, LAWS, POWER, PUBLISHED, Law, find_law

_spec = importlib.util.spec_from_file_location("samples", Path(__file__).with_name("samples.py"))
assert _spec
assert _spec.loader
samples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(samples)

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
with_optimum = pytest.mark.parametrize("law", [law for law in LAWS.values() if law.optimum], ids=lambda law: law.name)


def truth(law: Law) -> dict[str, float]:
    return samples.TRUTHS[law.name]


def centred(law: Law, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x around its origin, the origin, and the truth as theta there."""
    origin = law.origin(x)
    theta = law.theta(truth(law))
    with np.errstate(invalid="ignore"):
        return x - origin, origin, law.shift(theta, -origin)


@every_law
def test_a_law_says_what_it_is(law: Law) -> None:
    assert len(law.units) == len(law.parameters)
    assert set(law.features) <= set(FEATURES)
    assert law.formula
    assert law.citation
    assert law.domain
    assert law.unit
    assert set(law.signed) <= set(law.parameters)
    assert LAWS[law.name] is law


@every_law
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_gradient_equals_finite_difference(law: Law, data: st.DataObject) -> None:
    p = len(law.parameters)
    x, _, theta = centred(law, samples.runs(law, 7))
    away = data.draw(st.lists(st.floats(-0.1, 0.1), min_size=2 * p, max_size=2 * p))
    some = theta + np.array(away).reshape(2, p) * np.maximum(np.abs(theta), 0.02) * np.where(np.abs(theta) > 3, 0.2, 1)
    fitted, gradient = law.value_and_grad(some, x)
    scale = max(1.0, float(np.abs(gradient).max()))
    for k in range(p):
        move = 1e-6 * np.eye(p)[k]
        slope = (law.value_and_grad(some + move, x)[0] - law.value_and_grad(some - move, x)[0]) / 2e-6
        np.testing.assert_allclose(gradient[..., k], slope, atol=2e-7 * scale)
    assert fitted.shape == (2, len(x))


@every_law
def test_it_recovers_its_own_parameters_from_noiseless_runs(law: Law) -> None:
    x, origin, theta = centred(law, samples.runs(law))
    y = law.value_and_grad(theta[None], x)[0][0]
    p = len(theta)
    problem = Problem(law, x, y[None], np.ones((1, len(y))), 10.0, np.zeros((1, p)), np.zeros(p), *law.bounds(y))
    found, value = solve(problem, law.starts(x, y), 1e-9)
    best = law.named(law.shift(solve(problem, found[value.argmin()][None], 1e-13, 2000)[0][0], origin))
    assert problem.objective(found[value.argmin()][None])[0] < 1e-9
    if law.name not in ("broken_2", "broken_3"):  # their breaks come in any order
        assert best == pytest.approx(truth(law), rel=1e-5)
    for i in (1, 2, 3) if law.name.startswith("broken") else ():
        if f"d{i}" in best:
            assert min(abs(best[f"d{j}"] / truth(law)[f"d{i}"] - 1) for j in (1, 2, 3) if f"d{j}" in best) < 1e-5


@every_law
def test_shift_undoes_the_centring_of_features(law: Law) -> None:
    x, origin, theta = centred(law, samples.runs(law, 9))
    np.testing.assert_allclose(
        law.value_and_grad(law.shift(theta, origin)[None], x + origin)[0],
        law.value_and_grad(theta[None], x)[0],
        rtol=1e-9,
        atol=1e-9,
    )
    several = np.stack([theta, theta + 0.01])
    np.testing.assert_array_equal(law.shift(several, origin)[1], law.shift(several[1], origin))


@every_law
def test_names_and_theta_are_inverses(law: Law) -> None:
    assert law.named(law.theta(truth(law))) == pytest.approx(truth(law), rel=1e-12)


@every_law
def test_bounds_and_prior_have_a_place_for_every_parameter(law: Law) -> None:
    x, _, theta = centred(law, samples.runs(law))
    y = law.value_and_grad(theta[None], x)[0][0]
    low, high = law.bounds(y)
    assert (low < high).all()
    assert ((low <= theta + 1e-9) & (theta <= high + 1e-9)).all()
    mean, scale = law.prior(y)
    assert mean.shape == scale.shape == theta.shape
    assert (scale > 0).all()
    assert (law.prior_text == "nothing") == bool(np.isinf(scale).all())


@with_optimum
@pytest.mark.parametrize("per", [2.0, 6.0])
def test_the_optimum_spends_the_budget(law: Law, per: float) -> None:
    assert law.optimum
    for name, one in PUBLISHED.items():
        if one.law == law.name:
            N, D = law.optimum(one.parameters, np.array([1e20, 1e24]), per)
            np.testing.assert_allclose(per * N * D, [1e20, 1e24], err_msg=name)


@settings(max_examples=25, deadline=None)
@given(law=st.sampled_from([law for law in LAWS.values() if law.optimum and law.column == "loss"]),
       exponent=st.floats(18, 26), per=st.floats(2.0, 12.0), experts=st.sampled_from([1.0, 8.0, 32.0]))  # fmt: skip
def test_the_closed_optimum_is_the_one_found_by_search(law: Law, exponent: float, per: float, experts: float) -> None:
    assert law.optimum
    others = {"experts": experts} if "experts" in law.features else {}
    N, D = law.optimum(truth(law), 10**exponent, per, **others)
    found = samples.searched_optimum(law, truth(law), 10**exponent, per, **others)
    assert found == pytest.approx((float(N), float(D)), rel=1e-4)


def test_a_missing_feature_is_asked_for() -> None:
    with pytest.raises(ForetokenError, match="unique_tokens"):
        LAWS["repeated_data"].evaluate(truth(LAWS["repeated_data"]), params=1e9, tokens=1e11)


def test_coupled_holds_the_forms_of_chinchilla_and_kaplan() -> None:
    p = {"E": 1.2, "A": 40.0, "B": 300.0, "alpha": 0.3, "beta": 0.35, "gamma": 1.0}
    assert COUPLED.evaluate(p, params=1e6, tokens=2e7) == pytest.approx(
        CHINCHILLA.evaluate(p, params=1e6, tokens=2e7), rel=1e-12
    )
    q = PUBLISHED["kaplan_2020"].parameters
    same = {"E": 1e-12, "A": q["N_c"] ** q["alpha_N"], "B": q["D_c"] ** q["alpha_D"]}
    same |= {"alpha": q["alpha_N"], "beta": q["alpha_D"], "gamma": q["alpha_D"]}
    assert COUPLED.evaluate(same, params=1e8, tokens=1e10) == pytest.approx(
        LAWS["kaplan_joint"].evaluate(q, params=1e8, tokens=1e10), rel=1e-9
    )


def test_chinchilla_is_its_formula() -> None:
    p = PUBLISHED["besiroglu_2024"].parameters
    expected = 1.8172 + 482.01 / 1e9**0.3478 + 2085.43 / 2e10**0.3658
    assert CHINCHILLA.evaluate(p, params=1e9, tokens=2e10) == pytest.approx(expected, rel=1e-12)


def test_power_is_its_formula_in_the_flops_given_or_6nd() -> None:
    p = {"a": 20.0, "b": 0.05}
    assert POWER.evaluate(p, params=1e6, tokens=1e8, flops=3e15) == pytest.approx(20 * 3e15**-0.05)
    np.testing.assert_allclose(
        POWER.evaluate(p, params=[1e6, 2e6], tokens=1e8), 20 * (6e8 * np.array([1e6, 2e6])) ** -0.05
    )


def test_a_law_of_any_table_reads_other_columns() -> None:
    law = LAWS["table_error"].on("params", "tokens", name="mine")
    assert law.name == "mine"
    assert law.evaluate(samples.TRUTHS["table_error"], params=1e4, tokens=1e6) == pytest.approx(
        0.05 + 3 / 1e4**0.4 + 9 / 1e6**0.3
    )


def test_an_unknown_law_names_the_near_ones() -> None:
    with pytest.raises(ForetokenError, match=r"chinchilla[\s\S]*foretoken laws"):
        find_law("chinchila")
    with pytest.raises(ForetokenError, match="table_score"):
        find_law("qqq")


def test_laws_need_neither_scipy_nor_pandas() -> None:
    code = (
        "import sys, foretoken.laws as l; l.PUBLISHED['besiroglu_2024'], l.cite('chinchilla')\n"
        "heavy = {'scipy', 'pandas', 'matplotlib', 'torch', 'pydantic'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
