"""The machines of a plan: what a user says of them, how many are needed, what serves within a latency."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.machine import machine
from foretoken.errors import ForetokenError
from foretoken.plans.machines import (
    HELD,
    USUAL_MACHINE,
    Machines,
    holding_count,
    require_in_time,
    usual_count,
    whole_number,
)

NOTHING_SAID = Machines(known=read_accelerators())


@pytest.mark.parametrize(
    ("name", "value"),
    [("mfu", 0.31), ("usd_per_hour", 1.7), ("watts", 512.0), ("pue", 1.4), ("kg_co2e_per_kwh", 0.05)],
)
def test_what_a_user_says_replaces_the_registry_and_nothing_else(name: str, value: float) -> None:
    usual = NOTHING_SAID.trained_on("H100", 7e9)
    own = replace(NOTHING_SAID, **{name: value}).trained_on("H100", 7e9)
    assert own.value(name) == value
    others = {item.name for item in usual.assumed} - {name}
    assert {other: own.value(other) for other in others} == {other: usual.value(other) for other in others}
    assert next(item.source for item in own.assumed if item.name == name) == "yours"


def test_a_precision_moves_the_peak() -> None:
    usual = NOTHING_SAID.trained_on("H100", 7e9).need("peak")
    eight_bit = replace(NOTHING_SAID, precision="fp8").trained_on("H100", 7e9).need("peak")
    assert eight_bit == pytest.approx(2 * usual, rel=1e-3)
    with pytest.raises(ForetokenError, match="in fp7 is known"):
        replace(NOTHING_SAID, precision="fp7").trained_on("H100", 7e9)


def test_an_unknown_machine_is_refused_with_near_names() -> None:
    with pytest.raises(ForetokenError, match="H100"):
        NOTHING_SAID.trained_on("H10O", 7e9)


def test_what_serves_is_what_trains_unless_another_is_named() -> None:
    training = NOTHING_SAID.trained_on("H100", 7e9)
    assert NOTHING_SAID.served_on(training) is training
    other = replace(NOTHING_SAID, serve_accelerator="A100", usd_per_hour=9.0, pue=1.5).served_on(training)
    assert other.accelerator.id != training.accelerator.id
    assert other.value("pue") == 1.5  # the site is one
    assert other.value("usd_per_hour") != 9.0  # the price was of the machine that trains


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        (1e22, 1e22),
        ("1e22", 1e22),
        ("1e22 FLOP", 1e22),
        ("2 PF-days", 2 * 8.64e19),
        ("8 H100 for 10 hours", 8 * 10 * 3600 * 989.4e12 * 0.4),
    ],
)
def test_every_way_to_write_a_budget(text: str | float, flops: float) -> None:
    assert replace(NOTHING_SAID, mfu=0.4).budget(text, 1e9).flops == pytest.approx(flops, rel=2e-3)


def test_dollars_buy_hours_at_the_price_of_the_machine() -> None:
    budget = replace(NOTHING_SAID, mfu=0.5, usd_per_hour=2.0).budget("$1000 of H100", 1e9)
    peak = machine("H100").need("peak")
    assert budget.flops == pytest.approx(1000 / 2.0 * 3600 * peak * 0.5)


def test_dollars_alone_are_spent_on_the_usual_machine() -> None:
    named = NOTHING_SAID.budget(f"$1000 of {USUAL_MACHINE}", 1e9)
    assert NOTHING_SAID.budget("$1000", 1e9).flops == pytest.approx(named.flops)


@pytest.mark.parametrize(
    ("said", "message"),
    [({"accelerator": "A100"}, "names its own machine"), ({"count": 16.0}, "names its own number of machines")],
)
def test_a_machine_that_is_named_twice_must_be_one(said: dict[str, object], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        replace(NOTHING_SAID, **said).budget("8 H100 for 10 hours", 1e9)
    agreed = replace(NOTHING_SAID, accelerator="H100", count=8.0)
    assert agreed.budget("8 H100 for 10 hours", 1e9) == NOTHING_SAID.budget("8 H100 for 10 hours", 1e9)


def test_without_a_latency_and_a_number_of_machines_any_size_serves() -> None:
    assert NOTHING_SAID.largest_served(None, None) == math.inf


@settings(deadline=None)
@given(st.integers(1, 64), st.floats(1, 8))
def test_memory_holds_all_experts_but_a_token_passes_few(count: int, total: float) -> None:
    dense, mixed = (NOTHING_SAID.largest_served(None, count, factor) for factor in (1.0, total))
    assert mixed == pytest.approx(dense / total)
    assert NOTHING_SAID.largest_served(None, 2 * count) == pytest.approx(2 * dense)


@settings(deadline=None)
@given(st.floats(0.5, 500), st.integers(1, 8))
def test_a_token_reads_every_weight_once_within_the_latency(milliseconds: float, count: int) -> None:
    """2 bytes a weight: params = seconds x bandwidth / 2, unless memory is full before."""
    served = NOTHING_SAID.largest_served(f"{milliseconds} ms", count)
    bandwidth = machine(USUAL_MACHINE).accelerator.bandwidth
    by_memory = NOTHING_SAID.largest_served(None, count)
    assert served == pytest.approx(min(by_memory, milliseconds / 1000 * count * bandwidth / 2))


@settings(deadline=None)
@given(st.floats(8, 13), st.sampled_from(["H100", "A100", "L40S"]))
def test_the_machines_that_hold_a_model_are_the_fewest_power_of_two(power: float, name: str) -> None:
    used = machine(name)
    count = holding_count(10**power, used)
    assert count & (count - 1) == 0
    assert count * used.accelerator.memory >= HELD * 10**power * (1 - 1e-12)
    assert count == 1 or count / 2 * used.accelerator.memory < HELD * 10**power


def test_half_the_days_take_twice_the_machines() -> None:
    assert usual_count(368_640, days=15) == 2 * usual_count(368_640, days=30)
    assert usual_count(1e-3) == 1


@pytest.mark.parametrize(("text", "count"), [("8", 8.0), (8, 8.0), ("2k", 2000.0), ("1.5k", 1500.0), (None, None)])
def test_numbers_of_machines_are_whole(text: str | float | None, count: float | None) -> None:
    assert whole_number(text) == count


@pytest.mark.parametrize("text", ["2.5", 0.5, "-8", "eight", math.inf])
def test_other_numbers_of_machines_are_refused(text: str | float) -> None:
    with pytest.raises(ForetokenError):
        whole_number(text)


def test_a_run_on_the_last_hour_is_in_time_and_one_beyond_it_is_told_by_how_much() -> None:
    require_in_time(1e20, 1e18, 100.0)
    with pytest.raises(ForetokenError, match=r"missed by a factor 1\.25"):
        require_in_time(1e20, 1e18, 80.0)
