"""Costs over a life in three units, by hand sums of hours, dollars and kilowatt-hours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.machine import machine
from foretoken.plans import plan
from foretoken.plans.lifecycle_cost import SHARES, NoSmallerModel, SmallerModel, uses
from foretoken.plans.lifetime import SERVING, Demand, Price, lifetime
from foretoken.plans.loss_model import published

LAW = "besiroglu_2024"


@settings(deadline=None)
@given(st.integers(1, 4096), st.sampled_from(["H100", "A100", "L40S"]))
def test_writing_reaches_its_roofline_and_never_more_than_reading(batch: int, name: str) -> None:
    used = machine(name)
    use = uses(used, batch)
    # A step does 2 FLOP per weight and request, and reads 2 bytes per weight.
    roofline = batch * used.accelerator.bandwidth / used.need("peak")
    assert use.writing.value == pytest.approx(min(use.reading.value, roofline))
    assert use.reading.value == used.need("mfu")


@settings(deadline=None, max_examples=15)
@given(st.floats(9, 14), st.floats(9, 14), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_life_is_the_sum_of_sardana_et_al(read: float, written: float, reading: float, writing: float) -> None:
    """6 N D + 2 N (tokens read and written), each at its price."""
    demand = Demand(10**read, 10**written)
    life = lifetime(published(LAW), 2.1, demand, Price(2.0, reading, writing, "made up"))
    served = SERVING * life.params * (demand.read * reading + demand.written * writing)
    assert life.training == pytest.approx(2.0 * 6 * life.params * life.tokens)
    assert life.serving == pytest.approx(served, rel=1e-9)
    assert life.total == pytest.approx(life.training + life.serving)
    other = life.cheapest_to_train
    assert other.total == pytest.approx(other.training + other.serving)
    assert life.saved == pytest.approx(1 - life.total / other.total)
    assert life.saved >= -1e-6


def test_dollars_of_a_life_are_hours_of_both_machines() -> None:
    found = plan("1e23", law=LAW, serve="1e12", accelerator="H100", mfu=0.4, usd_per_hour=2.0)
    assert found.whole_life is not None
    life = found.whole_life.usd
    assert life is not None
    hours = 6 * life.params * life.tokens / machine("H100", mfu=0.4).flops_per_hour
    assert life.training == pytest.approx(2.0 * hours)
    assert life.serving == pytest.approx(2.0 * 2 * life.params * 1e12 / machine("H100", mfu=0.4).flops_per_hour)


def test_smaller_models_cost_shares_of_the_plan_and_say_when_they_pay() -> None:
    found = plan("1e23", law=LAW, serve="1e12")
    assert found.whole_life is not None
    assert [model.params_factor for model in found.whole_life.smaller] == list(SHARES)
    for model in found.whole_life.smaller:
        assert isinstance(model, SmallerModel)
        assert model.params == pytest.approx(model.params_factor * found.params)
        assert model.flops == pytest.approx(6 * model.params * model.tokens - found.flops, rel=1e-6)
        assert model.usd == pytest.approx(model.overhead * (found.cost.usd or 0.0))
        assert model.pays_after is not None
        # Beyond that many tokens served it is the cheaper one of the two.
        saved = 2 * (found.params - model.params) * model.pays_after
        assert saved == pytest.approx(model.flops, rel=1e-6)


def test_a_share_that_never_gets_there_says_why() -> None:
    assert NoSmallerModel(0.01, "too small").to_json() == {"params_factor": 0.01, "reason": "too small"}
