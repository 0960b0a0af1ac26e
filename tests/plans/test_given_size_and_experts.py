from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.plans.constraints import Limits
from foretoken.plans.experts import mixtures, total_params
from foretoken.plans.given_size import best_tokens, given_params, given_tokens
from foretoken.plans.loss_model import fitted, published
from foretoken.plans.split import allocate
from foretoken.runs.table import RunTable

BESIROGLU = published("besiroglu_2024")


@settings(deadline=None, max_examples=25)
@given(st.floats(7, 12))
def test_a_given_size_is_the_best_at_its_budget(power: float) -> None:
    found = given_params(BESIROGLU, 10.0**power)
    assert allocate(BESIROGLU, found.flops).params == pytest.approx(10.0**power, rel=1e-6)
    assert given_tokens(BESIROGLU, found.tokens).params == pytest.approx(10.0**power, rel=1e-6)


@pytest.mark.parametrize("half", ["tokens", "params"])
def test_more_of_the_open_half_helps_ever_less_and_is_ever_further_from_the_best_split(half: str) -> None:
    found = given_params(BESIROGLU, 7e9) if half == "tokens" else given_tokens(BESIROGLU, 1e12)
    losses = [choice.loss for choice in found.choices]
    assert losses == sorted(losses, reverse=True)
    gains = [choice.gain_of_doubling for choice in found.choices]
    assert gains == sorted(gains, reverse=True)
    best = [choice for choice in found.choices if getattr(choice, half) == pytest.approx(getattr(found, half))]
    assert best[0].regret_loss == pytest.approx(0, abs=1e-9)
    later = [choice.regret_loss for choice in found.choices[found.choices.index(best[0]) :]]
    assert later == sorted(later)


def test_draws_give_intervals(ladder: Callable[..., RunTable]) -> None:
    found = given_params(fitted(fit(ladder(noise=0.003), draws=50)), 1e5)
    interval = found.intervals["tokens"]
    assert interval is not None
    assert interval[0] < found.tokens < interval[1]


def test_a_size_that_is_none() -> None:
    with pytest.raises(ForetokenError, match="params"):
        given_params(BESIROGLU, -1.0)
    with pytest.raises(ForetokenError):
        best_tokens(BESIROGLU, 1e-3)


def test_the_papers_mixtures_at_1e21() -> None:
    """Ludziejewski et al. 2025, table 1: at 1e21 FLOP dense 5.7B on 29B tokens, 8 experts 3.8B active on 44B."""
    dense, eight = mixtures(1e21, counts=(1, 8))
    assert (dense.active_params, dense.tokens) == pytest.approx((5.7e9, 29e9), rel=0.03)
    assert (eight.active_params, eight.tokens) == pytest.approx((3.8e9, 44e9), rel=0.03)
    assert dense.gain == 0
    assert eight.gain > 0


@settings(deadline=None, max_examples=15)
@given(st.floats(19, 24), st.floats(0.1, 3))
def test_at_equal_memory_all_parameters_fit(power: float, share: float) -> None:
    flops = 10.0**power
    dense = allocate(published("ludziejewski_2025"), flops)
    room = share * dense.params
    for found in mixtures(flops, max_total=room):
        assert found.total_params <= room * (1 + 1e-9)
        assert found.total_params == pytest.approx(total_params(found.active_params, found.experts))


def test_limits_on_mixtures_and_bad_numbers() -> None:
    (found,) = mixtures(1e22, counts=(4,), limits=Limits(max_params=1e9))
    assert found.active_params == pytest.approx(1e9)
    with pytest.raises(ForetokenError, match="experts must be 1"):
        mixtures(1e22, counts=(0,))
    with pytest.raises(ForetokenError, match="says nothing of experts"):
        mixtures(1e22, loss_model=BESIROGLU)


def test_finer_experts_are_better_by_their_law() -> None:
    """Krajewski et al. 2024: loss falls with granularity; 64 experts use 12 of 516 parts of the parameters."""
    coarse, fine = (published("krajewski_2024", granularity=g) for g in (1.0, 8.0))
    assert coarse.flops_per_param_token == pytest.approx(6 * 12 / 516)
    assert (allocate(fine, 1e21).loss or 9) < (allocate(coarse, 1e21).loss or 0)
