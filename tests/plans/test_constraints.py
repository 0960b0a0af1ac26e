"""What a plan must keep to: limits that bind and limits that do not, what a deadline and a ladder leave of a budget."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.plans.constraints import LEAST_LEFT, NO_LIMITS, QUANTITIES, SIZES, Given, Limits, usable_flops
from foretoken.plans.loss_model import published
from foretoken.plans.split import allocate

LAW = published("besiroglu_2024")
BUDGET = 1e23
FREE = allocate(LAW, BUDGET)


@settings(deadline=None)
@given(st.floats(2, 17), st.floats(15, 40), st.floats(1, 9), st.floats(0, 13))
def test_tokens_spend_the_budget_on_training_and_serving(
    size: float, budget: float, per_token: float, serving: float
) -> None:
    params, flops, load = 10**size, 10**budget, 10**serving
    tokens = float(NO_LIMITS.tokens(np.array(params), np.array(flops), per_token, load))
    spent = per_token * params * tokens + load * params
    assert spent == pytest.approx(flops, abs=1e-9 * (flops + load * params))  # of the larger term: they may cancel


@settings(deadline=None)
@given(st.floats(18, 27), st.floats(0, 13), st.floats(8, 14))
def test_between_the_ends_every_size_gets_one_token_to_the_most(power: float, serving: float, cap: float) -> None:
    limits = Limits(max_tokens=10**cap)
    budget = np.array([10**power])
    low, high = limits.ends(budget, 6.0, 10**serving)
    assume(float(high[0]) < math.log(SIZES[1]) - 1e-9 and float(low[0]) > math.log(SIZES[0]) + 1e-9)
    assume(float(low[0]) < float(high[0]))
    free = Limits()
    longest, shortest = (float(free.tokens(np.exp(end), budget, 6.0, 10**serving)[0]) for end in (low, high))
    assert longest == pytest.approx(10**cap, rel=1e-6)
    assert shortest == pytest.approx(1.0, rel=1e-3, abs=1e-3 * 10**serving)


def test_a_budget_below_the_smallest_size_has_one_end_only() -> None:
    low, high = Limits(min_params=1e9).ends(np.array([1e9]), 6.0, 0.0)
    assert low.tolist() == high.tolist()
    assert np.exp(high) == pytest.approx([1e9 / 6])


@pytest.mark.parametrize(
    ("limits", "binding"),
    [
        (Limits(max_params=FREE.params * 2), []),
        (Limits(max_params=FREE.params / 2), ["max_params"]),
        (Limits(min_params=FREE.params / 2), []),
        (Limits(min_params=FREE.params * 2), ["min_params"]),
        (Limits(max_tokens=FREE.tokens * 2), []),
        (Limits(max_tokens=FREE.tokens / 2), ["max_tokens"]),
        (Limits(sizes=(1e9, 1e10)), ["sizes"]),
    ],
    ids=str,
)
def test_only_limits_that_stand_in_the_way_of_the_best_split_bind(limits: Limits, binding: list[str]) -> None:
    found = allocate(LAW, BUDGET, limits)
    assert found.binding == binding
    assert found.loss is not None
    assert FREE.loss is not None
    if binding:
        assert found.loss > FREE.loss
    else:
        assert (found.params, found.loss) == pytest.approx((FREE.params, FREE.loss), rel=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_bound_size_is_the_bound_itself_on_all_that_the_budget_leaves(share: float) -> None:
    found = allocate(LAW, BUDGET, Limits(max_params=share * FREE.params))
    assert found.params == pytest.approx(share * FREE.params)
    assert 6 * found.params * found.tokens == pytest.approx(BUDGET)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_bound_tokens_are_used_up_by_a_larger_model(share: float) -> None:
    found = allocate(LAW, BUDGET, Limits(max_tokens=share * FREE.tokens))
    assert found.tokens == pytest.approx(share * FREE.tokens)
    assert found.params > FREE.params


def test_the_tighter_of_two_caps_gives_the_higher_loss() -> None:
    losses = [allocate(LAW, BUDGET, Limits(max_params=share * FREE.params)).loss for share in (0.8, 0.4, 0.2, 0.1)]
    assert losses == sorted(losses, key=lambda loss: loss or 0.0)


def test_admissible_sizes_are_sorted_and_inside() -> None:
    assert Limits(min_params=2e9, max_params=2e10, sizes=(7e9, 1e9, 3e9, 7e10)).admissible == (3e9, 7e9)
    assert Limits().admissible == ()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"min_params": 0.0}, "min_params must be above 0"),
        ({"max_params": math.inf}, "max_params must be above 0 and finite"),
        ({"max_params": math.nan}, "max_params"),
        ({"max_tokens": -1.0}, "max_tokens"),
        ({"sizes": (1e9, -1e9)}, "sizes"),
        ({"min_params": 2e9, "max_params": 1e9}, "no size meets all limits"),
        ({"max_params": 1e9, "sizes": (7e9,)}, "no size meets all limits"),
    ],
)
def test_limits_that_nothing_meets_are_refused_when_they_are_made(bad: dict[str, float], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        Limits(**bad)


@settings(deadline=None)
@given(st.floats(1e18, 1e26), st.floats(0, 0.9), st.floats(1.0, 9000.0), st.floats(1e14, 1e20))
def test_what_is_usable_is_what_the_ladder_leaves_or_what_the_deadline_allows(
    flops: float, share: float, hours: float, speed: float
) -> None:
    ladder, reach = share * flops, 3600 * hours * speed
    assume(reach >= 1.001 * LEAST_LEFT * (flops - ladder))
    left, reasons = usable_flops(flops, ladder_flops=ladder, hours=hours, flops_per_second=speed)
    assert left == pytest.approx(min(flops - ladder, reach))
    assert len(reasons) == bool(ladder) + (reach < flops - ladder)


def test_without_a_ladder_and_a_deadline_all_is_usable_and_nothing_is_said() -> None:
    assert usable_flops(1e22) == (1e22, [])


def test_what_takes_flop_away_is_said_in_its_order() -> None:
    left, (paid, late) = usable_flops(1e24, ladder_flops=1e22, hours=1000, flops_per_second=1e17)
    assert left == pytest.approx(3.6e23)
    assert "1.00%" in paid
    assert late.startswith("the deadline: 1000 h")
    assert late.endswith("by a factor 2.75")  # 0.99e24 / 3.6e23


def test_a_hopeless_deadline_is_refused_with_the_accelerators_it_would_take() -> None:
    with pytest.raises(ForetokenError, match=r"missed by a factor 2\.78e\+03") as refused:
        usable_flops(1e24, hours=1, flops_per_second=1e17)
    assert "2.78e+03 times as many accelerators" in str(refused.value)


@pytest.mark.parametrize("ladder", [-1.0, 1e22, 2e22])
def test_a_ladder_that_costs_all_of_the_budget_is_refused(ladder: float) -> None:
    with pytest.raises(ForetokenError, match="cost less than the whole budget"):
        usable_flops(1e22, ladder_flops=ladder)


@pytest.mark.parametrize(
    "bad", [{"flops": 0.0}, {"flops": math.inf}, {"hours": -1.0}, {"flops_per_second": 0.0}], ids=str
)
def test_amounts_that_are_none_are_refused_by_name(bad: dict[str, float]) -> None:
    (name,) = bad
    with pytest.raises(ForetokenError, match=f"{name} must be above 0"):
        usable_flops(**{"flops": 1e22, **bad})


@pytest.mark.parametrize("name", QUANTITIES)
def test_one_quantity_alone_is_enough_and_only_halves_of_the_split_fix_it(name: str) -> None:
    only = Given(**{name: 2.0})
    assert only.names == (name,)
    assert only.fixed == (name if name in ("params", "tokens") else "")
    with pytest.raises(ForetokenError, match=name):
        Given(**{name: -2.0})


def test_none_and_three_quantities_are_no_plan() -> None:
    assert Given(params=1e9, tokens=2e10).fixed == "params and tokens"
    for wrong in ({}, {"flops": 1e20, "params": 1e9, "tokens": 1e9}):
        with pytest.raises(ForetokenError, match="starts from a budget"):
            Given(**wrong)
