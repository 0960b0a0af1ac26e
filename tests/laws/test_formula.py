from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.laws import CHINCHILLA, COUPLED, FORECAST_LAW, LAWS, POWER, chinchilla, forecasting_laws
from foretoken.laws.formula import (
    IRREDUCIBLE,
    LogNormal,
    Parameter,
    differentiated,
    either_sign,
    exponent,
    law_from,
    term,
)
from foretoken.laws.starts import even_cloud, least_squares

HAND_WRITTEN: dict[str, Any] = {
    "chinchilla": chinchilla.loss,
    "coupled": lambda N, D, *, E, A, B, alpha, beta, gamma: (
        E + ((A / N**alpha) ** (1 / gamma) + (B / D**beta) ** (1 / gamma)) ** gamma
    ),
    "power": lambda C, *, a, b: a * C**-b,
}


def mine(**changes: Any) -> Any:
    """A law of one feature, as a stranger would write it."""
    fields: dict[str, Any] = {
        "name": "mine",
        "formula": "L = E + a N^-b",
        "features": ("params",),
        "parameters": {"E": IRREDUCIBLE, "a": term("nats", b=(0, 1.0)), "b": exponent(prior=LogNormal(0.3, 1.5))},
        "citation": "nobody",
        "domain": "a test",
    }
    return law_from(lambda N, *, E, a, b: E + a * N**-b, **(fields | changes))


@pytest.mark.parametrize("name", HAND_WRITTEN)
@given(seed=st.integers(0, 1000))
def test_hand_written_gradients_are_those_of_the_general_form(name: str, seed: int) -> None:
    law, generator = LAWS[name], np.random.default_rng(seed)
    x, theta = generator.normal(size=(9, len(law.features))), generator.normal(-1, 0.4, (3, len(law.parameters)))
    general = differentiated(HAND_WRITTEN[name], {parameter: Parameter() for parameter in law.parameters})
    for ours, theirs in zip(law.value_and_grad(theta, x), general(theta, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_words_of_a_prior_are_its_numbers() -> None:
    law = mine()
    assert (
        law.prior_text
        == "E near 0.5 of the smallest loss (log-normal, factor 1.5), b near 0.3 (log-normal, factor 1.5)"
    )
    mean, scale = law.prior(np.log([3.0, 2.0]))
    np.testing.assert_allclose(np.exp(mean), [1.0, 1.0, 0.3])
    np.testing.assert_allclose(scale, [np.log(1.5), np.inf, np.log(1.5)])


def test_a_law_of_scores_assumes_nothing_about_its_level() -> None:
    assert mine(target="raw").prior_text == "b near 0.3 (log-normal, factor 1.5)"
    assert not mine(target="raw").is_logarithmic


@pytest.mark.parametrize("target", ["log", "raw"])
@pytest.mark.parametrize(
    "parameter",
    [IRREDUCIBLE, term("nats"), exponent(), either_sign(-1, 1), Parameter(kind="location")],
    ids=lambda p: p.kind,
)
def test_every_kind_of_parameter_has_bounds_that_grow_with_the_values(parameter: Parameter, target: Any) -> None:
    low, high = parameter.bounds(np.log([2.0, 3.0]), target)
    assert low < high
    assert parameter.is_scale == (parameter.kind in ("irreducible", "term"))


def test_a_feature_that_is_not_centred_stays() -> None:
    x = np.log([[1e6], [1e8]])
    assert mine().origin(x).tolist() == [x.mean()]
    assert mine(not_centred=("params",)).origin(x).tolist() == [0.0]


def test_flops_are_six_times_size_and_data_unless_given() -> None:
    p = {"a": 20.0, "b": 0.05}
    assert POWER.evaluate(p, params=1e6, tokens=1e8) == POWER.evaluate(p, flops=6e14)
    assert POWER.evaluate(p, params=1e6, tokens=1e8, flops=1e14) == POWER.evaluate(p, flops=1e14)
    assert POWER.evaluate(p, params=1e6, tokens=1e8, flops=None) == POWER.evaluate(p, flops=6e14)


def test_a_misspelt_feature_shows_the_right_one() -> None:
    with pytest.raises(ForetokenError, match="did you mean 'tokens' by 'tokns'"):
        CHINCHILLA.evaluate({"E": 1.0, "A": 1.0, "B": 1.0, "alpha": 0.3, "beta": 0.3}, params=1e6, tokns=1e8)


def test_evaluation_broadcasts_and_keeps_shapes() -> None:
    p = {"E": 1.0, "A": 10.0, "B": 100.0, "alpha": 0.3, "beta": 0.3}
    grid = CHINCHILLA.evaluate(p, params=np.array([[1e6], [1e7]]), tokens=np.array([1e8, 1e9, 1e10]))
    assert grid.shape == (2, 3)
    assert grid[1, 2] == CHINCHILLA.evaluate(p, params=1e7, tokens=1e10)


def test_forecasts_of_studies_need_size_and_data_alone() -> None:
    assert FORECAST_LAW in forecasting_laws()
    assert all(set(law.features) == {"params", "tokens"} for law in forecasting_laws().values())
    assert COUPLED.name == FORECAST_LAW


@given(count=st.integers(1, 200), dimensions=st.integers(1, 6))
def test_the_cloud_fills_the_cube_without_repeating(count: int, dimensions: int) -> None:
    cloud = even_cloud(count, dimensions)
    assert cloud.shape == (count, dimensions)
    assert ((cloud >= 0) & (cloud < 1)).all()
    assert len(np.unique(cloud.round(9), axis=0)) == count


@given(seed=st.integers(0, 500))
def test_least_squares_are_not_negative_unless_free(seed: int) -> None:
    generator = np.random.default_rng(seed)
    columns, y = generator.normal(size=(4, 20, 2)), generator.normal(size=20)
    bounded, _ = least_squares(columns, y, (False, False))
    assert (bounded >= 0).all()
    free, squares = least_squares(columns, y, (True, True))
    for g in range(4):
        exact, residual, *_ = np.linalg.lstsq(columns[g], y, rcond=None)
        np.testing.assert_allclose(free[g], exact, atol=1e-6)
        assert squares[g] == pytest.approx(float(residual[0]), rel=1e-6)


def test_a_law_read_from_other_columns_needs_as_many() -> None:
    assert replace(LAWS["table_error"].on("params", "tokens")).features == ("params", "tokens")
    with pytest.raises(AssertionError):
        LAWS["table_error"].on("params")
