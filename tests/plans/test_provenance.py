"""Where numbers come from, what is doubted, and reasons beside nulls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.compute.machine import machine
from foretoken.plans.loss_model import published
from foretoken.plans.provenance import FAR, GIVEN, MANY, checks_of, intervals_json, sources_of
from foretoken.plans.split import allocate
from foretoken.results import with_reasons_json

LAW = published("besiroglu_2024")
SPLIT = allocate(LAW, 1e22)


@given(st.dictionaries(st.sampled_from("abcd"), st.one_of(st.none(), st.floats(0, 1))))
def test_beside_a_null_and_only_there_stands_its_reason(values: dict[str, float | None]) -> None:
    told = with_reasons_json(values, **dict.fromkeys(values, "because"))
    assert {name for name in told if name.endswith("_reason")} == {
        f"{n}_reason" for n, v in values.items() if v is None
    }
    assert {name: told[name] for name in values} == values


def test_an_interval_is_missing_for_want_of_draws_or_because_the_value_was_given() -> None:
    assert intervals_json({"loss": None}, "no draws") == {"loss": None, "loss_reason": "no draws"}
    assert intervals_json({"loss": None}, None)["loss_reason"] == GIVEN


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"extrapolation": {"params": 1.0, "flops": FAR * 1.01}}, {"far_extrapolation"}),
        ({"extrapolation": {"params": FAR, "flops": 1.0}}, set()),
        ({"extrapolation": {}}, {"unknown_range"}),
        ({"epochs": MANY + 0.1}, {"many_epochs"}),
        ({"epochs": MANY}, set()),
    ],
    ids=str,
)
def test_each_doubt_has_its_edge(changed: dict[str, object], codes: set[str]) -> None:
    inside = replace(SPLIT, extrapolation={"params": 1.0}, epochs=1.0, interval_reason=None)
    own = replace(LAW, name="fit")
    assert checks_of(own, inside) == []
    found = checks_of(own, replace(inside, **changed))
    assert {check.code for check in found} == codes
    assert all(check.evidence and check.cure for check in found)


def test_a_published_law_is_borrowed_and_has_no_interval() -> None:
    assert {"borrowed_law", "no_interval"} <= {check.code for check in checks_of(LAW, SPLIT)}


def test_every_number_of_a_plan_has_a_source() -> None:
    training = machine("H100")
    sources = sources_of(LAW, training, training)
    assert sources.law.value == LAW.parameters
    assert "Besiroglu" in sources.law.source
    assert all(number.source for number in sources.numbers)
    other = sources_of(LAW, training, machine("A100"))
    more = [number.name for number in other.numbers[len(sources.numbers) :]]
    assert set(more) == {"peak", "usd_per_hour", "watts"}
    assert all("low" not in row or row["low"] is not None for row in other.to_json())
    assert sources_of(replace(LAW, name="fit"), training, training).law.status == "fitted"
