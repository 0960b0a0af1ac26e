from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.laws import CHINCHILLA, COUPLED, LAWS, POWER, PUBLISHED, Law, find_law

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
RUNS = np.log([[1e4, 1e6], [3e4, 5e6], [2e5, 8e6]])


def some_theta(law: Law) -> np.ndarray:
    return np.random.default_rng(3).uniform(-1.2, 0.8, (4, len(law.parameters)))


def some_features(law: Law) -> np.ndarray:
    x = RUNS - RUNS.mean(axis=0)
    return x if len(law.features) == 2 else x.sum(axis=1, keepdims=True)


@every_law
def test_gradient_equals_finite_difference(law: Law) -> None:
    theta, x, step = some_theta(law), some_features(law), 1e-6
    gradient = law.log_loss(theta, x)[1]
    for k in range(len(law.parameters)):
        move = step * np.eye(len(law.parameters))[k]
        slope = (law.log_loss(theta + move, x)[0] - law.log_loss(theta - move, x)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[..., k], slope, atol=1e-8)


@every_law
def test_shift_undoes_the_centring_of_features(law: Law) -> None:
    theta, x, origin = some_theta(law), some_features(law), np.full(len(law.features), 9.0)
    np.testing.assert_allclose(law.log_loss(law.shift(theta, origin), x + origin)[0], law.log_loss(theta, x)[0])


@every_law
def test_names_and_theta_are_inverses(law: Law) -> None:
    theta = some_theta(law)[0]
    np.testing.assert_allclose(law.theta(law.named(theta)), theta)


@every_law
def test_a_noiseless_law_is_among_its_own_starts(law: Law) -> None:
    truth = np.log(
        {"chinchilla": [1.0, 0.5, 0.7, 0.4, 0.3], "coupled": [1.0, 0.5, 0.7, 0.4, 0.3, 1.0], "power": [2.0, 0.1]}[
            law.name
        ]
    )
    n, d = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4))
    x = np.stack([n.ravel(), d.ravel()], axis=1)[:, : len(law.features)]
    y = law.log_loss(truth[None], x)[0][0]
    fitted = law.log_loss(law.starts(x, y), x)[0]
    assert np.abs(fitted - y).max(axis=1).min() < 0.01


def test_coupled_holds_the_forms_of_chinchilla_and_kaplan() -> None:
    p = {"E": 1.2, "A": 40.0, "B": 300.0, "alpha": 0.3, "beta": 0.35, "gamma": 1.0}
    assert COUPLED.predict(p, 1e6, 2e7) == pytest.approx(CHINCHILLA.predict(p, 1e6, 2e7), rel=1e-12)
    n_c, d_c, a_n, a_d = 6.4e13, 1.8e13, 0.076, 0.103
    kaplan = ((n_c / 1e8) ** (a_n / a_d) + d_c / 1e10) ** a_d
    same = {"E": 1e-12, "A": n_c**a_n, "B": d_c**a_d, "alpha": a_n, "beta": a_d, "gamma": a_d}
    assert COUPLED.predict(same, 1e8, 1e10) == pytest.approx(kaplan, rel=1e-9)


def test_chinchilla_is_its_formula() -> None:
    p = PUBLISHED["besiroglu_2024"].parameters
    expected = 1.8172 + 482.01 / 1e9**0.3478 + 2085.43 / 2e10**0.3658
    assert CHINCHILLA.predict(p, 1e9, 2e10) == pytest.approx(expected, rel=1e-12)


def test_power_is_its_formula_in_the_flops_given_or_6nd() -> None:
    p = {"a": 20.0, "b": 0.05}
    assert POWER.predict(p, 1e6, 1e8, 3e15) == pytest.approx(20 * 3e15**-0.05)
    np.testing.assert_allclose(POWER.predict(p, [1e6, 2e6], 1e8), 20 * (6e8 * np.array([1e6, 2e6])) ** -0.05)


@given(st.floats(18, 26), st.floats(2.0, 12.0))
def test_optimum_spends_the_budget_and_cannot_be_improved(exponent: float, per: float) -> None:
    p = PUBLISHED["hoffmann_2022_tex"].parameters
    assert CHINCHILLA.optimum is not None
    N, D = CHINCHILLA.optimum(p, 10**exponent, per)
    assert per * N * D == pytest.approx(10**exponent)
    best = CHINCHILLA.predict(p, N, D)
    for factor in (0.9, 1.1):
        assert CHINCHILLA.predict(p, N * factor, D / factor) > best


@pytest.mark.parametrize(("name", "ratio"), [("hoffmann_2022_tex", 59), ("besiroglu_2024", 18.4)])
def test_tokens_per_parameter_at_the_gopher_budget(name: str, ratio: float) -> None:
    assert CHINCHILLA.optimum is not None
    N, D = CHINCHILLA.optimum(PUBLISHED[name].parameters, 5.76e23)
    assert abs(D / N / ratio - 1) < 0.01


def test_an_unknown_law_names_the_known_ones() -> None:
    with pytest.raises(ForetokenError, match="chinchilla, coupled, power"):
        find_law("chinchila")
