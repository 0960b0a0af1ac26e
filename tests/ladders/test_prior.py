"""Draws before the first run: within what is known of a law, centred on its best run, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.ladders.prior import (
    ANYTHING,
    DISCREPANCY_RATE,
    DRAWS,
    EXPONENTS,
    FLOORS,
    GAMMAS,
    LOOSER_FLOOR,
    RATIO,
    TERMS,
    Prior,
    best_params,
    can_be_drawn,
    has_best_size,
    make_prior,
)
from foretoken.laws import LAWS, PUBLISHED, find_law

FORMULAS = ("chinchilla", "coupled")
NEAR = [name for name, entry in PUBLISHED.items() if LAWS[entry.law].parameters == TERMS]


def prior(formula: str = "chinchilla", known: str | None = None, largest: float = 1e20, seed: int = 0) -> Prior:
    return make_prior(known, formula, largest, None, seed)


def at_origin(drawn: Prior) -> dict[str, np.ndarray]:
    return dict(zip(drawn.law.parameters, np.exp(drawn.theta).T, strict=True))


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(FORMULAS), st.floats(15, 25), st.integers(0, 1000))
def test_draws_of_next_to_nothing_keep_to_the_ends_of_what_can_be(formula: str, power: float, seed: int) -> None:
    drawn = prior(formula, largest=10**power, seed=seed)
    values = at_origin(drawn)
    low, high = ANYTHING.floor
    assert low - 1e-9 <= values["E"].min() <= values["E"].max() <= high + 1e-9  # the loss at the origin is 1
    for name in ("alpha", "beta"):
        assert EXPONENTS[0] - 1e-9 <= values[name].min() <= values[name].max() <= EXPONENTS[1] + 1e-9
    if formula == "coupled":
        assert GAMMAS[0] - 1e-9 <= values["gamma"].min() <= values["gamma"].max() <= GAMMAS[1] + 1e-9


@pytest.mark.parametrize("known", NEAR)
def test_a_published_law_lies_within_its_own_draws(known: str) -> None:
    drawn, entry = prior("chinchilla", known), PUBLISHED[known]
    best = LAWS[entry.law].optimum(entry.parameters, 1e20, 6.0)
    np.testing.assert_allclose(drawn.origin, np.log([float(half) for half in best]))
    loss = float(LAWS[entry.law].evaluate(entry.parameters, params=best[0], tokens=best[1]))
    share, floors = entry.parameters["E"] / loss, at_origin(drawn)["E"]
    assert floors.min() >= max(FLOORS[0], share * (1 - LOOSER_FLOOR)) - 1e-9
    assert floors.max() <= min(FLOORS[1], share * (1 + LOOSER_FLOOR)) + 1e-9
    for name in ("alpha", "beta"):
        assert at_origin(drawn)[name].min() < entry.parameters[name] < at_origin(drawn)[name].max()


@pytest.mark.parametrize("formula", FORMULAS)
def test_draws_are_even_in_what_is_drawn_evenly(formula: str) -> None:
    floors = np.sort(at_origin(prior(formula))["E"])
    even = np.linspace(*ANYTHING.floor, DRAWS)
    assert np.abs(floors - even).max() < 0.05  # less than two of 64 steps of 0.8


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("largest", [1e17, 1e20, 1e24])
def test_twenty_tokens_per_parameter_in_the_middle(formula: str, largest: float) -> None:
    drawn = prior(formula, largest=largest)
    sizes = drawn.best_sizes(largest)
    ratios = np.log(largest / 6 / sizes**2 / RATIO)
    assert float(np.median(ratios)) == pytest.approx(0.0, abs=0.2)
    assert float(ratios.std()) == pytest.approx(ANYTHING.offset, rel=0.25)


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_best_size_is_the_best_of_a_grid(formula: str) -> None:
    drawn = prior(formula)
    theta = drawn.law.shift(drawn.theta, drawn.origin)
    sizes = np.geomspace(1e7, 1e11, 4001)
    x = np.log(np.stack([sizes, 3e20 / 6 / sizes], axis=1))
    losses = drawn.law.value_and_grad(theta, x)[0]
    best = [float(best_params(drawn, row, 3e20)) for row in theta]
    np.testing.assert_allclose(np.log(sizes[losses.argmin(axis=1)]), np.log(best), atol=0.01)


def test_best_size_is_the_median_and_grows_with_compute() -> None:
    drawn = prior()
    budgets = np.geomspace(1e18, 1e24, 4)
    middle = drawn.best_size(budgets)
    assert (np.diff(middle) > 0).all()
    assert middle[1] == pytest.approx(np.exp(np.median(np.log(drawn.best_sizes(1e20)))))


def test_another_seed_moves_all_draws_and_keeps_what_is_known() -> None:
    one, other = prior(seed=0), prior(seed=1)
    assert not np.isclose(one.theta, other.theta).all(axis=1).any()
    np.testing.assert_allclose(one.theta[:, 0].mean(), other.theta[:, 0].mean(), atol=0.1)
    assert np.array_equal(one.origin, other.origin)


def test_noise_is_the_users_where_it_is_given_and_said() -> None:
    own = make_prior(None, "chinchilla", 1e20, 0.02, 0)
    assert own.noise.run_sd == 0.02
    assert any("noise of a run 2 %" in sentence for sentence in own.assumed)
    assert any("noise of a run 0.4 %" in sentence for sentence in prior().assumed)
    assert prior().past_runs.shape == (0, 2)
    assert prior().past_variance.shape == (0,)


def test_the_discrepancy_is_nothing_at_the_target_and_one_rate_an_e_fold_away() -> None:
    drawn, target = prior(), np.array([23.0, 26.0])
    here, size, length = drawn.discrepancy(target, target + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]))
    assert here.tolist() == [0.0, 0.0, 0.0]
    assert size.tolist() == pytest.approx([DISCREPANCY_RATE, 0.0, 0.0])
    assert length.tolist() == pytest.approx([0.0, 0.0, 4 * DISCREPANCY_RATE])


def test_taken_elsewhere_gradients_change_and_draws_do_not() -> None:
    drawn = prior()
    moved = drawn.linearised_at(drawn.theta + 0.1)
    x = drawn.origin + np.array([[1.0, -2.0]])
    assert np.array_equal(moved.theta, drawn.theta)
    assert not np.allclose(moved.gradient(x), drawn.gradient(x))


@pytest.mark.parametrize("name", list(LAWS))
def test_what_can_be_drawn_has_a_best_size(name: str) -> None:
    law = find_law(name)
    assert has_best_size(law) or not can_be_drawn(law)
    if not can_be_drawn(law):
        with pytest.raises(ForetokenError, match="chinchilla"):
            prior(name)


@pytest.mark.parametrize(
    ("wrong", "near"), [("besiroglu2024", "besiroglu_2024"), ("hofmann_2022_tex", "hoffmann_2022_tex")]
)
def test_a_wrong_id_is_refused_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ForetokenError, match=f"did you mean '{near}'"):
        prior("chinchilla", wrong)


def test_a_law_of_splits_is_no_prior_of_losses() -> None:
    with pytest.raises(ForetokenError, match="no published law of loss"):
        prior("chinchilla", "deepseek_2024")
