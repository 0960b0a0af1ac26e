from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits import fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.laws.repeated_data import unique_params
from foretoken.plans.loss_model import LossModel, fitted, published
from foretoken.plans.repetition import next_epoch, params_for_unique, repeated, with_unique
from foretoken.plans.split import allocate
from foretoken.runs.table import RunTable

MUENNIGHOFF = published("muennighoff_2023")
P = MUENNIGHOFF.parameters
BASE = LossModel(
    "base",
    CHINCHILLA,
    CHINCHILLA.theta({"E": P["E"], "A": P["A"], "B": P["B"], "alpha": P["alpha"], "beta": P["alpha"]})[None],
)


@pytest.mark.parametrize(("epochs", "share"), [(4, 0.931), (16, 0.661)])
def test_epochs_are_worth_what_muennighoff_et_al_found(epochs: int, share: float) -> None:
    """Muennighoff et al. 2023: 4 epochs are worth 0.931 of fresh data, 16 epochs 0.661; at most 16.39 times."""
    source = with_unique(MUENNIGHOFF, 1e11)
    small = 1e9  # no excess of parameters
    worth = share * epochs * 1e11
    assert float(source.loss(small, epochs * 1e11)) == pytest.approx(float(BASE.loss(small, worth)), rel=1e-4)
    assert float(source.loss(small, 1e18)) == pytest.approx(float(BASE.loss(small, 16.39e11)), rel=1e-4)


@settings(deadline=None)
@given(st.floats(8, 12), st.floats(0, 3), st.floats(9, 13))
def test_lent_decay_on_the_base_law_is_the_law_itself(size: float, epochs: float, unique: float) -> None:
    length = unique + epochs
    own, lent = with_unique(MUENNIGHOFF, 10**unique), with_unique(BASE, 10**unique)
    assert float(lent.loss(10**size, 10**length)) == pytest.approx(float(own.loss(10**size, 10**length)), rel=1e-9)


def test_params_for_unique_are_those_of_the_paper() -> None:
    expected = unique_params(1e11, A=P["A"], B=P["B"], alpha=P["alpha"])
    assert params_for_unique(BASE, 1e11) == pytest.approx(float(expected), rel=1e-6)
    best = allocate(BASE, 6 * 1e11 * float(expected))
    assert best.tokens == pytest.approx(1e11)


def test_with_plenty_of_tokens_nothing_is_repeated() -> None:
    found = repeated(with_unique(MUENNIGHOFF, 1e14), 1e22)
    free = allocate(MUENNIGHOFF, 1e22)
    assert (found.params, found.epochs, found.loss) == pytest.approx((free.params, 1.0, free.loss), rel=1e-6)
    assert found.better == "compute"
    assert found.effective_tokens == pytest.approx(found.tokens)


@settings(deadline=None, max_examples=15)
@given(st.floats(21, 26))
def test_scarce_tokens_are_repeated_and_cost_loss(power: float) -> None:
    flops = 10.0**power
    free = allocate(MUENNIGHOFF, flops)
    found = repeated(with_unique(MUENNIGHOFF, free.tokens / 8), flops)
    assert found.epochs > 1
    assert found.effective_tokens < found.tokens
    assert found.loss > found.loss_if_fresh
    assert found.loss_if_fresh == pytest.approx(free.loss)
    assert found.params < free.params  # Muennighoff et al. 2023: extra compute goes to epochs before parameters
    assert min(found.doubled.compute, found.doubled.data) < found.loss


def test_more_data_beat_more_compute_beyond_the_turning_point() -> None:
    source = with_unique(MUENNIGHOFF, 1e11)
    turning = repeated(source, 1e23).turning_flops
    assert turning is not None
    before, after = repeated(source, turning / 2), repeated(source, turning * 2)
    assert (before.better, after.better) == ("compute", "data")
    doubled = repeated(source, turning).doubled
    assert doubled.compute == pytest.approx(doubled.data, rel=1e-6)


def test_the_next_epoch_is_worth_ever_less() -> None:
    source = with_unique(MUENNIGHOFF, 1e11)
    shares = [next_epoch(source, 1e9, epochs * 1e11).share for epochs in (1, 2, 4, 8, 40)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.97, abs=0.01)
    assert shares[-1] < 0.1


def test_what_is_borrowed_is_said_and_can_be_given() -> None:
    lent = with_unique(published("besiroglu_2024"), 1e11)
    assert any("muennighoff_2023" in said and "says nothing of repeated" in said for said in lent.assumed)
    found = repeated(lent, 1e24)
    assert found.epochs_if["15"] < found.epochs_if["95"]
    patient = with_unique(published("besiroglu_2024"), 1e11, epochs_decay=95.0)
    assert repeated(patient, 1e24).epochs == pytest.approx(found.epochs_if["95"], rel=1e-6)
    assert any("as given" in said for said in patient.assumed)
    with pytest.raises(ForetokenError, match="unique tokens"):
        with_unique(BASE, 0.0)
    with pytest.raises(ForetokenError, match="R_D"):
        with_unique(BASE, 1e9, epochs_decay=-1.0)


def test_an_allocation_tells_its_epochs() -> None:
    found = allocate(with_unique(MUENNIGHOFF, 1e11), 1e23)
    assert found.epochs == pytest.approx(found.tokens / 1e11)


def test_draws_give_an_interval_of_epochs(ladder: Callable[..., RunTable]) -> None:
    source = fitted(fit(ladder(noise=0.003), draws=50))
    best = allocate(source, 1e13)
    interval = repeated(with_unique(source, best.tokens / 4), 1e13).intervals["epochs"]
    assert interval is not None
    assert 1 < interval[0] < interval[1]


def test_a_decay_that_the_runs_do_not_hold_is_refused() -> None:
    with pytest.raises(RefusedError, match="flat profile"):
        with_unique(replace(MUENNIGHOFF, unidentified={"R_D": "flat profile"}), 1e11)
    assert PUBLISHED["muennighoff_2023"].parameters["R_D"] == 15.387756
