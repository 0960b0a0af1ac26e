"""A request for a ladder in numbers: every notation, what is refused, and what is assumed in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import DesignError, ForetokenError
from foretoken.ladders.order import LOST, TUNED, read_order
from foretoken.ladders.request import FEWEST, GOALS, MOST, NextRunRequest
from foretoken.laws import FORECAST_LAW


@pytest.mark.parametrize(
    ("text", "flops"),
    [("1e22", 1e22), ("1e22 FLOP", 1e22), (1e22, 1e22), ("100 PF-days", 8.64e21), (10**22, 1e22)],
)
def test_every_way_to_write_the_target_and_the_ladder(text: str | float, flops: float) -> None:
    order = read_order(NextRunRequest(text, spend="1e19", largest=2e18))
    assert order.target_flops == order.flops == pytest.approx(flops)
    assert (order.spend, order.largest) == (1e19, 2e18)


@settings(deadline=None)
@given(st.floats(7, 12), st.floats(9, 14))
def test_size_and_length_stand_for_six_flop_each(size: float, length: float) -> None:
    order = read_order(NextRunRequest(params=10**size, tokens=10**length))
    assert order.flops is None
    assert order.target_flops == pytest.approx(6 * 10 ** (size + length))


@pytest.mark.parametrize(
    ("texts", "sizes"), [(["10M", "25M", 6e7], (1e7, 2.5e7, 6e7)), ([], ()), (["1.5B"], (1.5e9,)), (["7k"], (7e3,))]
)
def test_sizes_are_read_one_by_one(texts: list[str | float], sizes: tuple[float, ...]) -> None:
    assert read_order(NextRunRequest(1e22, sizes=texts)).sizes == pytest.approx(sizes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"compute": "much"}, "much"),
        ({"compute": 1e22, "spend": "a little"}, "a little"),
        ({"compute": 1e22, "sizes": ["10 Q"]}, "sizes"),
        ({"params": "7 boxes", "tokens": "1T"}, "params"),
        ({"compute": -1e22}, "-1e"),
        ({"compute": 1e22, "spend": "512 H1OO for 3 days"}, "H100"),
    ],
)
def test_texts_that_are_no_quantity_are_refused_in_words(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        read_order(NextRunRequest(**fields))


def test_a_ladder_may_cost_its_target_and_no_more() -> None:
    assert read_order(NextRunRequest(1e20, spend=1e20)).spend == 1e20
    with pytest.raises(DesignError, match="train the target itself"):
        read_order(NextRunRequest(1e20, spend=1.01e20))


@pytest.mark.parametrize("goal", GOALS)
def test_what_counts_as_lost_is_said(goal: str) -> None:
    assert f"what is lost: {LOST[goal]}" in read_order(NextRunRequest(1e22, goal=goal)).assumed[0]


def test_a_rule_of_learning_rates_costs_nothing_unless_told() -> None:
    assert TUNED in read_order(NextRunRequest(1e22)).assumed
    told = read_order(NextRunRequest(1e22, learning_rate_error=0.01)).assumed
    assert "a rule's learning rate costs 1 %" in told
    assert TUNED not in told


def test_machines_of_budgets_are_said_once() -> None:
    assumed = read_order(NextRunRequest("512 H100 for 30 days", spend="8 H100 for 3 days")).assumed
    assert len(assumed) == len(set(assumed))
    assert sum(sentence.startswith("mfu ") for sentence in assumed) == 1


def test_the_price_is_that_of_the_dollars_spent() -> None:
    order = read_order(NextRunRequest(1e23, spend="$1000 of H100"))
    assert order.usd_per_flop == pytest.approx(1000 / (order.spend or 0))
    assert read_order(NextRunRequest(1e23, spend=1e20)).usd_per_flop is None


def test_the_law_is_that_of_forecasts_unless_named() -> None:
    assert read_order(NextRunRequest(1e22)).formula == FORECAST_LAW
    assert read_order(NextRunRequest(1e22, formula="chinchilla")).formula == "chinchilla"
    assert read_order(NextRunRequest(1e22, law="besiroglu_2024")).known == "besiroglu_2024"


@pytest.mark.parametrize(("runs", "seeds"), [(FEWEST - 1, 1), (MOST + 1, 1), (20, 0)])
def test_so_few_or_so_many_runs_are_no_ladder(runs: int, seeds: int) -> None:
    with pytest.raises(DesignError, match=f"{FEWEST} to {MOST} runs"):
        NextRunRequest(1e22, runs=runs, seeds=seeds)


@pytest.mark.parametrize("name", ["noise", "usd_per_flop"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_numbers_that_are_none_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ForetokenError, match=name):
        NextRunRequest(1e22, **{name: value})


@pytest.mark.parametrize("value", [-0.01, float("inf"), float("nan")])
def test_an_error_of_a_rule_is_zero_or_more(value: float) -> None:
    with pytest.raises(ForetokenError, match="learning_rate_error"):
        NextRunRequest(1e22, learning_rate_error=value)
