"""Losses for every size and length: hand sums, draws, intervals, extrapolation, repetition without an end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.laws import PUBLISHED
from foretoken.plans.loss_model import LossModel, published
from foretoken.plans.repetition import next_epoch, with_unique
from foretoken.plans.split import allocate
from foretoken.plans.split_search import best_split, budget_for, tokens_for

BESIROGLU = published("besiroglu_2024")
TRUTH = PUBLISHED["besiroglu_2024"].parameters


def drawn(draws: int = 40) -> LossModel:
    """The law with draws of 1 % about its parameters."""
    theta = BESIROGLU.theta + 0.01 * np.random.default_rng(0).standard_normal((draws + 1, 5)) * np.arange(draws + 1)[
        :, None
    ].clip(0, 1)
    return replace(BESIROGLU, theta=theta)


@settings(deadline=None)
@given(st.floats(6, 13), st.floats(8, 15))
def test_the_loss_is_the_sum_of_its_terms(size: float, length: float) -> None:
    n, d = 10**size, 10**length
    by_hand = TRUTH["E"] + TRUTH["A"] / n ** TRUTH["alpha"] + TRUTH["B"] / d ** TRUTH["beta"]
    assert float(BESIROGLU.loss(n, d)) == pytest.approx(by_hand)


@settings(deadline=None, max_examples=25)
@given(st.floats(18, 27))
def test_the_best_split_is_hoffmanns_closed_form_and_the_best_of_a_grid(power: float) -> None:
    """N* = G (C/6)^a, G = (alpha A / (beta B))^(1 / (alpha + beta)), a = beta / (alpha + beta): Hoffmann et al."""
    alpha, beta = TRUTH["alpha"], TRUTH["beta"]
    g = (alpha * TRUTH["A"] / (beta * TRUTH["B"])) ** (1 / (alpha + beta))
    product = 10**power / 6
    found = allocate(BESIROGLU, 10**power)
    assert found.params == pytest.approx(g * product ** (beta / (alpha + beta)), rel=1e-6)
    assert found.tokens == pytest.approx(product ** (alpha / (alpha + beta)) / g, rel=1e-6)
    sizes = np.geomspace(found.params / 30, found.params * 30, 2001)
    losses = BESIROGLU.loss(sizes, product / sizes)
    assert found.loss is not None
    assert found.loss <= losses.min() * (1 + 1e-12)
    assert sizes[losses.argmin()] == pytest.approx(found.params, rel=0.01)
    # Convex in ln N: any two neighbours lie below the chord of theirs.
    assert (np.diff(losses, 2) > -1e-12).all()


@settings(deadline=None, max_examples=20)
@given(st.floats(1.9, 3.0))
def test_a_loss_its_budget_and_its_tokens_lead_to_each_other(loss: float) -> None:
    budget = budget_for(BESIROGLU, loss)
    params, tokens = (float(half[0]) for half in best_split(BESIROGLU, np.array([budget])))
    assert float(BESIROGLU.loss(params, tokens)) == pytest.approx(loss, rel=1e-8)
    assert tokens_for(BESIROGLU, params, loss) == pytest.approx(tokens, rel=1e-5)
    assert tokens_for(BESIROGLU, params, TRUTH["E"]) == np.inf


def test_losses_have_a_row_for_the_estimate_and_for_every_draw() -> None:
    model = drawn()
    sizes = np.geomspace(1e8, 1e11, 4)[:, None]
    losses = model.losses(sizes, np.geomspace(1e10, 1e12, 3))
    assert losses.shape == (41, 4, 3)
    np.testing.assert_allclose(losses[0], model.loss(sizes, np.geomspace(1e10, 1e12, 3)))
    np.testing.assert_allclose(losses[7], model.draw(7).loss(sizes, np.geomspace(1e10, 1e12, 3)))
    assert [len(one.theta) for one in model.draws()] == [1] * 41


def test_an_interval_is_the_middle_of_the_draws_and_the_estimate_is_none_of_them() -> None:
    model = replace(drawn(), level=0.5)
    values = np.array([1e9, *range(101)], dtype=float)
    assert model.interval(values) == [25.0, 75.0]
    assert model.interval(np.array([1.0, np.nan, 2.0, np.inf, 4.0])) == [2.5, 3.5]
    assert model.interval(np.array([1.0])) is None


def test_a_draw_where_nothing_is_found_is_left_out_and_the_estimate_is_not() -> None:
    model = drawn(3)

    def odd(one: LossModel) -> float:
        if one.theta[0, 0] == model.theta[2, 0]:
            raise ForetokenError("not here")
        return 1.0

    assert np.isnan(model.over_draws(odd)).tolist() == [False, False, True, False]
    with pytest.raises(ForetokenError, match="not here"):
        replace(model, theta=model.theta[2:]).over_draws(odd)


@settings(deadline=None)
@given(st.floats(-3, 3))
def test_extrapolation_is_the_same_factor_below_and_above_the_runs(power: float) -> None:
    model = replace(BESIROGLU, ranges={"params": (1e8, 1e10)})
    factor = 10**power
    far = model.extrapolation(1e9 * factor, 1e12, 1e22)
    assert set(far) == {"params"}
    assert far["params"] == pytest.approx(max(1.0, factor / 10, 1 / factor / 10))


def test_further_features_are_the_usual_ones_unless_given() -> None:
    assert published("ludziejewski_2025").other_features == {"experts": 1.0}
    assert any("experts = 4" in sentence for sentence in published("ludziejewski_2025", experts=4.0).assumed)
    with pytest.raises(ForetokenError, match="does not read experts"):
        published("besiroglu_2024", experts=8.0)
    with pytest.raises(ForetokenError, match="besiroglu_2024"):
        published("besirogly_2024")


# Few distinct tokens


@settings(deadline=None, max_examples=25)
@given(st.floats(8, 11), st.floats(0, 2), st.floats(9, 12))
def test_repetitions_that_never_wear_out_are_no_repetition(size: float, epochs: float, unique: float) -> None:
    """Muennighoff et al. 2023: D' tends to D as R_D grows, and N' to N as R_N does."""
    scarce = with_unique(BESIROGLU, 10**unique, epochs_decay=1e9, params_decay=1e9)
    n, d = 10**size, 10 ** (unique + epochs)
    assert float(scarce.loss(n, d)) == pytest.approx(float(BESIROGLU.loss(n, d)), rel=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.floats(8, 12), st.floats(0, 3), st.floats(9, 13), st.floats(0.5, 100))
def test_repeated_tokens_are_worth_less_than_fresh_ones_and_more_than_none(
    size: float, epochs: float, unique: float, decay: float
) -> None:
    scarce = with_unique(BESIROGLU, 10**unique, epochs_decay=decay)
    n, d = 10**size, 10 ** (unique + epochs)
    assert float(BESIROGLU.loss(n, d)) <= float(scarce.loss(n, d)) * (1 + 1e-12)
    assert float(scarce.loss(n, d)) <= float(scarce.loss(n, 10**unique)) * (1 + 1e-12)


@pytest.mark.parametrize(("epochs", "share"), [(2, 0.984), (4, 0.931), (8, 0.828), (16, 0.661), (40, 0.379)])
def test_effective_tokens_of_muennighoff_et_al(epochs: int, share: float) -> None:
    """R_D 15.387756: what so many epochs are worth, of as many fresh tokens."""
    scarce = with_unique(published("muennighoff_2023"), 1e11)
    worth = sum(next_epoch(scarce, 1e9, k * 1e11).share for k in range(1, epochs)) + 1
    assert worth / epochs == pytest.approx(share, abs=6e-4)


def test_every_epoch_is_worth_the_same_share_of_the_one_before() -> None:
    scarce = with_unique(published("muennighoff_2023"), 1e11)
    shares = [next_epoch(scarce, 1e9, k * 1e11).share for k in range(1, 8)]
    ratios = np.array(shares[1:]) / shares[:-1]
    np.testing.assert_allclose(ratios, np.exp(-1 / 15.387756))
