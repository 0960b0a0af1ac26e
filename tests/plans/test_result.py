"""The parts of a plan: what they hold, and what they say where a number is missing."""

from __future__ import annotations

import dataclasses
import json

import pytest

from foretoken.compute.machine import machine
from foretoken.compute.price import cost
from foretoken.plans import Plan, plan
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.loss_model import published
from foretoken.plans.provenance import GIVEN, intervals_json, with_reasons_json
from foretoken.plans.recipe import recipe, serve_request
from foretoken.plans.repetition import with_unique
from foretoken.plans.result import Alternative, Extrapolation, Intervals, PlanCost, PlanLimits

LAW = "besiroglu_2024"


@pytest.fixture(scope="module")
def decision() -> Plan:
    return plan("1e21", law=LAW)


def test_a_plan_is_whole_when_it_is_built(decision: Plan) -> None:
    assert dataclasses.fields(decision)[0].name == "params"
    with pytest.raises(TypeError, match="missing"):
        Plan(params=1.0, tokens=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.params = 2.0


def test_parts_of_a_plan_are_objects_and_json_keeps_their_keys(decision: Plan) -> None:
    told = decision.to_json()
    assert told["cost"]["usd"] == decision.cost.usd
    assert told["cost"]["days"] == pytest.approx(decision.cost.hours / 24)
    assert told["extrapolation"] == decision.extrapolation.known
    assert [row["source"] for row in told["sources"][1:]] == [number.source for number in decision.sources.numbers]
    assert told["sources"][0]["value"] == decision.sources.law.value
    assert set(told["interval"]) >= {"params", "tokens", "flops", "loss"}
    json.dumps(told, allow_nan=False)


def test_a_price_that_is_not_known_says_so_beside_every_null() -> None:
    tpu = machine("TPU v4")
    unknown = dataclasses.replace(PlanCost.of(cost(tpu, 100.0, 4), tpu, 4), memory=None)
    told = unknown.to_json()
    assert unknown.hours == 25.0
    assert unknown.usd is None
    for name in ("usd", "usd_low", "usd_high"):
        assert "price" in told[f"{name}_reason"]
    assert "memory" in told["memory_reason"]
    assert told["hours_reason"] is None


def test_the_farthest_of_what_is_known() -> None:
    assert Extrapolation(params=2.0, flops=9.0).farthest == ("flops", 9.0)
    assert Extrapolation(params=2.0).to_json() == {"params": 2.0}
    assert Extrapolation().farthest is None


@pytest.mark.parametrize(
    ("limits", "unique", "binds", "told"),
    [
        (NO_LIMITS, None, False, {}),
        (NO_LIMITS, 1e12, False, {"unique_tokens": 1e12}),
        (Limits(max_params=8e9), None, True, {"max_params": 8e9}),
        (Limits(max_tokens=1e12), None, True, {"max_tokens": 1e12}),
        (Limits(sizes=(1e9, 7e9)), None, True, {"sizes": (1e9, 7e9)}),
    ],
)
def test_limits_say_what_was_given_and_lead_back(
    limits: Limits, unique: float | None, binds: bool, told: dict[str, object]
) -> None:
    losses = published(LAW)
    found = PlanLimits.of(limits, losses if unique is None else with_unique(losses, unique))
    assert found.to_json() == told
    assert found.bind == binds
    assert found.limits == limits


def test_intervals_say_why_they_are_missing() -> None:
    told = Intervals(None, [1.0, 2.0], None, None, reason=None).to_json()
    assert told["tokens"] == [1.0, 2.0]
    assert told["params_reason"] == GIVEN
    assert Intervals(None, None, None, None, reason="no draws").to_json()["loss_reason"] == "no draws"
    assert intervals_json({"total": None}, "no draws") == {"total": None, "total_reason": "no draws"}


def test_reasons_stand_beside_nulls_alone() -> None:
    told = with_reasons_json({"usd": None, "kwh": 2.0}, usd="no price", kwh="no power")
    assert told == {"usd": None, "usd_reason": "no price", "kwh": 2.0}
    alone = Alternative("mine", 1e9, 2e10, reason="the law gives no loss").to_json()
    assert alone["regret_usd_reason"] == alone["regret_loss_interval_reason"] == "the law gives no loss"


def test_a_model_that_is_served_on_nothing_says_why() -> None:
    made = recipe(1e9, 2e10)
    served = serve_request(made, machine("H100"))
    assert served.serving is not None
    assert served.to_json()["tokens_per_second"] == served.serving.tokens_per_second
    assert served.count == 1
    refused = dataclasses.replace(served, serving=None, reason="no room")
    assert refused.to_json() == {"count": 1, "reason": "no room"}
    unpriced = serve_request(made, machine("L40S")).to_json()
    assert unpriced["usd_per_million"] is None
    assert "L40S" in unpriced["usd_per_million_reason"]
