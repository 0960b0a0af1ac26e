"""Splits from what is given: every pair leads to the same run, limits hold, and other halves lose what they lose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.laws import LAWS, PUBLISHED
from foretoken.plans.constraints import Given, Limits
from foretoken.plans.given_size import MULTIPLES, Choice, other_halves, solve_split
from foretoken.plans.loss_model import published
from foretoken.plans.split import allocate

LAW = published("besiroglu_2024")


@settings(deadline=None, max_examples=20)
@given(st.floats(8, 12), st.floats(0, 3))
def test_every_pair_of_a_run_leads_back_to_it(size: float, ratio: float) -> None:
    params, tokens = 10**size, 10 ** (size + ratio)
    run = solve_split(LAW, Given(params=params, tokens=tokens))
    assert run.loss == pytest.approx(float(LAW.loss(params, tokens)))
    for pair in (
        Given(flops=run.flops, params=params),
        Given(flops=run.flops, tokens=tokens),
        Given(loss=run.loss, params=params),
    ):
        again = solve_split(LAW, pair)
        assert (again.params, again.tokens, again.flops) == pytest.approx((params, tokens, run.flops), rel=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.floats(19, 26))
def test_each_quantity_of_the_best_split_alone_leads_to_the_others(power: float) -> None:
    best = allocate(LAW, 10**power)
    for alone in (Given(loss=best.loss), Given(params=best.params), Given(tokens=best.tokens)):
        found = solve_split(LAW, alone)
        assert (found.params, found.tokens, found.flops) == pytest.approx(
            (best.params, best.tokens, best.flops), rel=1e-5
        )


@pytest.mark.parametrize(
    ("params", "flops", "tokens"),
    [(400e6, 1.92e19, 8.0e9), (10e9, 1.23e22, 205.1e9), (67e9, 5.76e23, 1.5e12), (520e9, 3.43e25, 11.0e12)],
)
def test_a_size_has_the_compute_and_tokens_of_the_papers_table(params: float, flops: float, tokens: float) -> None:
    """Hoffmann et al. 2022 (arXiv 2203.15556), table 3, approach 1: a law that says how to split, and no loss."""
    split_alone = published("hoffmann_2022_approach1")
    found = solve_split(split_alone, Given(params=params))
    assert (found.flops, found.tokens) == (pytest.approx(flops, rel=0.07), pytest.approx(tokens, rel=0.07))
    assert found.loss is None
    assert "says how to split compute" in str(found.loss_reason)
    assert solve_split(split_alone, Given(tokens=found.tokens)).params == pytest.approx(params)
    assert allocate(split_alone, found.flops).params == pytest.approx(params)


@pytest.mark.parametrize("name", [id for id, entry in PUBLISHED.items() if LAWS[entry.law].optimum])
def test_every_law_that_splits_answers_a_size(name: str) -> None:
    found = solve_split(published(name), Given(params=7e9))
    assert allocate(published(name), found.flops).params == pytest.approx(7e9, rel=1e-3)


@pytest.mark.parametrize(
    ("given_half", "message"),
    [
        (Given(params=7e9, limits=Limits(max_params=1e9)), "size does not keep to the limits"),
        (Given(params=7e9, limits=Limits(min_params=1e10)), "size does not keep to the limits"),
        (Given(params=7e9, limits=Limits(sizes=(1e9, 8e9))), "size does not keep to the limits"),
        (Given(tokens=2e12, limits=Limits(max_tokens=1e12)), "more than the limit"),
        (Given(loss=1.5, params=7e9), "no number of tokens"),
        (Given(loss=2.2, tokens=1e12), "do not make a plan"),
        (Given(loss=2.2, flops=1e22), "do not make a plan"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value.names),
)
def test_what_is_given_and_not_allowed_is_refused(given_half: Given, message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        solve_split(LAW, given_half)


@pytest.mark.parametrize("half", ["params", "tokens"])
def test_choices_are_multiples_and_lose_what_the_best_split_would_save(half: str) -> None:
    best = allocate(LAW, 1e22)
    for choice, factor in zip(other_halves(LAW, best.params, best.tokens, half), MULTIPLES, strict=True):
        fixed = "tokens" if half == "params" else "params"
        assert getattr(choice, half) == pytest.approx(factor * getattr(best, half))
        assert getattr(choice, fixed) == getattr(best, fixed)
        least = allocate(LAW, choice.flops).loss
        assert choice.regret_loss == pytest.approx(choice.loss - (least or 0.0), abs=1e-6)
        assert choice.regret_flops is not None
        cheaper = allocate(LAW, choice.flops - choice.regret_flops).loss
        assert cheaper == pytest.approx(choice.loss, rel=1e-6)


def test_a_choice_without_numbers_says_why() -> None:
    told = Choice(1e9, 1e9, 6e18, 3.0, None, 0.1, None, 0.0).to_json("no draws")
    assert told["loss_interval_reason"] == "no draws"
    assert "no compute" in told["regret_flops_reason"]
