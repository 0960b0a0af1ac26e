"""From a request to numbers: files, units, machines, limits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.plans.inputs import PlanInputs, read_inputs, read_machines
from foretoken.plans.machines import holding_count, usual_count, whole_number
from foretoken.plans.request import PlanRequest

LAW = "besiroglu_2024"


def inputs(compute: str | float | None = "1e22", **options: object) -> PlanInputs:
    return read_inputs(PlanRequest(compute, law=LAW, **options))


@settings(deadline=None, max_examples=20)
@given(st.floats(20, 26), st.sampled_from(["7B", "300B", "1.5T", None]))
def test_texts_and_numbers_are_the_same_request(power: float, cap: str | None) -> None:
    number = {"7B": 7e9, "300B": 3e11, "1.5T": 1.5e12}.get(cap or "")
    by_text = inputs(f"{10**power!r} FLOP", max_params=cap)
    by_number = inputs(10**power, max_params=number)
    assert by_text.given.flops == by_number.given.flops == 10**power
    assert by_text.given.limits == by_number.given.limits


def test_limits_are_the_tightest_of_all_that_were_given() -> None:
    limits = inputs(max_params="20B", latency="5 ms", accelerator="H100").given.limits
    assert limits.max_params == pytest.approx(0.005 * 3.35e12 / 2, rel=1e-3)
    assert inputs(max_params="1B", latency="5 ms", accelerator="H100").given.limits.max_params == 1e9
    assert inputs(unique="1e11", max_epochs=2, max_tokens="1e13").given.limits.max_tokens == 2e11
    assert inputs(unique="1e11", max_epochs=2, max_tokens="1e10").given.limits.max_tokens == 1e10


def test_a_deadline_is_kept_by_the_layout_unless_the_mfu_is_yours() -> None:
    assert inputs(count=512, deadline="10 days").deadline_hours == 240
    assert inputs(count=512, deadline="10 days", mfu=0.4).deadline_hours == math.inf
    assert inputs().deadline_hours == math.inf


def test_who_counts_the_machines_is_told_apart() -> None:
    assert not inputs().count_is_fixed
    assert inputs(count="1k").count_is_fixed
    assert inputs("512 H100 for 30 days").count_is_fixed
    assert inputs("512 H100 for 30 days").count == 512
    assert any("side by side" in sentence for sentence in inputs().assumed)


def test_the_file_of_accelerators_is_read_once_and_used(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[accelerator.h100_sxm]\nprice = 1.25\n[site]\npue = 1.7\n")
    machines = read_machines(PlanRequest(accelerators=tmp_path / "mine.toml"))
    assert machines.trained_on("H100", 1e9).value("usd_per_hour") == 1.25
    read = inputs(accelerators=str(tmp_path / "mine.toml"))
    assert read.training.value("pue") == 1.7
    with pytest.raises((ForetokenError, OSError), match=r"absent\.toml"):
        read_machines(PlanRequest(accelerators=tmp_path / "absent.toml"))


def test_another_machine_serves_with_the_site_of_the_first() -> None:
    read = inputs(accelerator="H100", serve_accelerator="A100", pue=1.3)
    assert read.serving.accelerator.name != read.training.accelerator.name
    assert read.serving.value("pue") == 1.3
    same = inputs(accelerator="H100")
    assert same.serving is same.training


def test_demand_is_what_is_read_and_written() -> None:
    assert inputs().demand is None
    demand = inputs(serve="1T").demand
    assert demand is not None
    assert (demand.read, demand.written) == (1e12, 0.0)
    both = inputs(serve="1T", write="2B").demand
    assert both is not None
    assert both.written == 2e9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 1.0}, "distinct tokens"),
        ({"unique": "1T", "max_epochs": 0.5}, "at least 1"),
        ({"active": 2}, "active experts"),
        ({"count": 2.5}, "whole"),
        ({"max_params": "many"}, "not a quantity"),
        ({"deadline": "3 days"}, "number of accelerators"),
        ({"ladder": "1e22"}, "ladder"),
        ({"estimator": "map", "level": 0.0}, "level"),
        ({"family": "encoder"}, "laws are of decoders"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(options: dict[str, object], message: str) -> None:
    with pytest.raises(ForetokenError, match=message):
        inputs(**options)


@settings(deadline=None)
@given(st.floats(1, 1e9))
def test_the_usual_number_of_machines_is_a_power_of_two_and_takes_at_most_a_month(hours: float) -> None:
    count = usual_count(hours)
    assert math.log2(count) == int(math.log2(count))
    assert hours / count <= 720 * (1 + 1e-9)
    assert count == 1 or hours / (count / 2) > 720


def test_machines_that_hold_a_model_and_whole_numbers() -> None:
    used = inputs(accelerator="H100").training
    counts = [holding_count(params, used) for params in (1e8, 1e10, 1e12)]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert whole_number(None) is None
    assert whole_number("2k") == 2000
