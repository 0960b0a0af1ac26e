"""Costs as laws of scale: budgets in every notation, serving by hand, layouts that divide, shapes as JSON, energy."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.budget import needs_machine, parse_budget
from foretoken.compute.choices import ACTIVATIONS, HEADS, NORMS, POSITIONS
from foretoken.compute.energy import JOULES_PER_KWH, WATTS_PER_CORE, EnergyMeter
from foretoken.compute.flops import FLOPS_PER_TOKEN, inference_flops, training_flops
from foretoken.compute.layout import find_layout, lay_out
from foretoken.compute.machine import machine
from foretoken.compute.memory import OPTIMIZER_BYTES, Split, training_memory
from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.price import cost
from foretoken.compute.serving import bytes_read, kv_cache_bytes, most_params, serve
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.errors import DesignError, ForetokenError

KNOWN = read_accelerators()
TIMED = [name for name, entry in KNOWN.items() if entry.link_gb_s]
PRICED = [name for name, entry in KNOWN.items() if entry.price and entry.watts]
LLAMA = ModelShape(layers=8, width=1024, heads=16, context=1024, vocabulary=32_000, **PRESETS["llama"])
OF_ALL_FAMILIES = ("matmul", "6nd", "6nd_non_embedding", "6nd_active")
SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}


@pytest.mark.parametrize("name", KNOWN)
def test_every_accelerator_is_a_budget_by_its_name(name: str) -> None:
    entry = KNOWN[name]
    budget = parse_budget(f"2 {entry.name} for 3 days", mfu=0.5)
    assert budget.machine
    assert budget.machine.accelerator is entry
    assert budget.flops == pytest.approx(2 * 72 * 3600 * 0.5 * entry.peak())


@pytest.mark.parametrize("name", PRICED)
@pytest.mark.parametrize("hours", [1.0, 1234.5, 1e7])
def test_a_price_is_hours_times_rate_and_energy_hours_times_watts(name: str, hours: float) -> None:
    entry = KNOWN[name]
    found = cost(machine(name), hours, count=8)
    assert entry.price
    assert entry.watts
    assert found.usd == pytest.approx(hours * entry.price.usd)
    assert found.usd_low is not None
    assert found.usd_high is not None
    assert found.usd_low <= (found.usd or 0) <= found.usd_high
    assert found.kwh == pytest.approx(hours * entry.watts * KNOWN.site.pue / 1000)
    # kilograms per kWh, and a tonne is 1000 kg
    assert found.tco2e == pytest.approx((found.kwh or 0) * KNOWN.site.kg_co2e_per_kwh / 1000)
    assert found.hours == hours / 8


@settings(max_examples=40, deadline=None)
@given(exponent=st.floats(15.0, 27.0), mfu=st.floats(0.05, 1.0), count=st.integers(1, 10_000))
def test_flops_on_a_machine_and_machines_for_a_time_are_inverse(exponent: float, mfu: float, count: int) -> None:
    budget = parse_budget(10**exponent, accelerator="A100", count=count, mfu=mfu)
    assert budget.days
    again = parse_budget(f"{count} A100 for {budget.days:.17g} days", mfu=mfu)
    assert again.flops == pytest.approx(budget.flops)
    assert again.cost
    assert budget.cost
    assert again.cost.usd == pytest.approx(budget.cost.usd)


@pytest.mark.parametrize(
    ("text", "near"), [("5 H10 for 3 days", "H100"), ("$2M of A10", "A100"), ("3 TPU v55 for 2 h", "TPU v5")]
)
def test_a_misspelled_accelerator_shows_the_right_one(text: str, near: str) -> None:
    with pytest.raises(ForetokenError, match=f"(?s)unknown accelerator.*{near}"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["$2M", "2M USD", "2 million dollars", "  $5  "])
def test_dollars_alone_need_a_machine(text: str) -> None:
    assert needs_machine(text)
    assert not needs_machine(f"{text} of H100")
    with pytest.raises(ForetokenError, match="needs an accelerator") as caught:
        parse_budget(text)
    assert caught.value.cure == f"write {text.strip()} of H100, or name an accelerator"
    assert parse_budget(text, accelerator="H100").flops == parse_budget(f"{text} of H100").flops


@settings(max_examples=30, deadline=None)
@given(
    prompt=st.integers(1, 4000), answer=st.integers(1, 500), name=st.sampled_from(["A100", "H100", "H200", "MI300X"])
)
def test_one_request_is_bound_by_what_it_reads(prompt: int, answer: int, name: str) -> None:
    """By hand: at batch 1 a step reads every weight once and the cache up to the middle of the answer."""
    used = machine(name)
    found = serve(LLAMA, used, prompt=prompt, answer=answer)
    kv = 2 * LLAMA.layers * LLAMA.kv_width * 2
    read = 2 * count_parameters(LLAMA).total + kv * (prompt + answer / 2)
    assert found.bound == "bandwidth"
    assert found.decode_seconds == pytest.approx(read / used.accelerator.bandwidth)
    flops = prompt * inference_flops(LLAMA, prompt / 2)
    assert found.prefill_seconds == pytest.approx(
        max(flops / used.need("peak"), found.weight_bytes / used.accelerator.bandwidth)
    )
    assert found.cache_bytes == kv * (prompt + answer)


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(1, 500), experts=st.integers(2, 16))
def test_a_larger_batch_touches_more_experts_and_never_all_that_there_are(batch: int, experts: int) -> None:
    shape = ModelShape(**SMALL, experts=experts, active_experts=1)
    count = count_parameters(shape)
    one, some, more = (bytes_read(shape, tokens) for tokens in (1, batch, batch + 1))
    assert one == pytest.approx(2 * count.active)
    assert one * (1 - 1e-12) <= some <= more <= 2 * count.total


@pytest.mark.parametrize("bytes_each", [0.5, 1.0, 2.0])
def test_fewer_bits_make_room_for_more_parameters(bytes_each: float) -> None:
    used = machine("H100")
    assert most_params(used, bytes_each=bytes_each) * bytes_each == pytest.approx(most_params(used, bytes_each=1.0))
    assert most_params(used, bytes_each=bytes_each, seconds_per_token=1e9) == most_params(used, bytes_each=bytes_each)
    assert kv_cache_bytes(LLAMA, 10, bytes_each) == 10 * kv_cache_bytes(LLAMA, 1, 1.0) * bytes_each


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_layouts_divide_what_they_cut(name: str, count: int) -> None:
    used = machine(name)
    if count > used.accelerator.node and used.accelerator.network_gb_s is None:
        with pytest.raises(DesignError, match="network_gb_s"):
            find_layout(LLAMA, used, count, 64 * LLAMA.context, even=True)
        return
    layout = find_layout(LLAMA, used, count, 64 * LLAMA.context, even=True)
    split = layout.split
    assert split.tensor * split.pipeline * split.data == count
    assert LLAMA.layers % (split.pipeline * split.interleave) == 0
    assert all(size % split.tensor == 0 for size in (LLAMA.heads, LLAMA.feed_forward))
    again = lay_out(LLAMA, used, split, layout.micro_batch, 64 * LLAMA.context)
    assert again == layout


def test_twice_the_batch_takes_at_most_twice_as_long() -> None:
    used, split = machine("H100"), Split(tensor=2, data=4, zero=1, sequence_parallel=True)
    steps = [lay_out(LLAMA, used, split, 1, n * 64 * LLAMA.context).step_seconds for n in (1, 2, 4)]
    assert steps[0] < steps[1] <= 2 * steps[0]
    assert steps[1] < steps[2] <= 2 * steps[1]


@settings(max_examples=40, deadline=None)
@given(
    data=st.sampled_from([2, 8, 64]),
    optimizer=st.sampled_from(list(OPTIMIZER_BYTES)),
    gradients=st.sampled_from([2.0, 4.0]),
)
def test_sharded_memory_lies_below_whole_memory_stage_by_stage(data: int, optimizer: Any, gradients: float) -> None:
    held = [
        training_memory(LLAMA, 1, Split(data=data, zero=zero), optimizer=optimizer, gradient_bytes=gradients)
        for zero in (0, 1, 2, 3)
    ]
    totals = [memory.total for memory in held]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == 4
    assert len({memory.activations for memory in held}) == 1
    assert held[3].total - held[3].activations == pytest.approx((held[0].total - held[0].activations) / data)


@settings(max_examples=40, deadline=None)
@given(sequences=st.integers(1, 32), factor=st.integers(2, 5))
def test_activations_are_proportional_to_the_micro_batch(sequences: int, factor: int) -> None:
    one, more = (training_memory(LLAMA, n).activations for n in (sequences, factor * sequences))
    assert more == pytest.approx(factor * one)


@pytest.mark.parametrize("convention", FLOPS_PER_TOKEN)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_convention_counts_about_six_per_parameter_or_says_it_cannot(convention: str, preset: str) -> None:
    choices = {**PRESETS[preset], "heads": 1 if preset == "lstm" else 16}
    shape = ModelShape(**{"layers": 24, "width": 1024, "context": 512, "vocabulary": 32_000, **choices})
    if not shape.family_record.plain_transformer and convention not in (
        "matmul",
        "6nd",
        "6nd_non_embedding",
        "6nd_active",
    ):
        with pytest.raises(DesignError, match=f"'{convention}' is not defined"):
            training_flops(shape, 1, convention)
        return
    count = count_parameters(shape)
    of_all = convention in ("6nd", "6nd_non_embedding")  # these count experts that a token does not pass
    per_param = training_flops(shape, 1, convention) / (count.total if of_all else count.active)
    # a token of two stacks passes one of them, so about half
    assert 2.4 < per_param < 8.0


@pytest.mark.parametrize(
    ("field", "known"), [("norm", NORMS), ("positions", POSITIONS), ("activation", ACTIVATIONS), ("head", HEADS)]
)
def test_a_word_that_a_shape_does_not_know_shows_the_nearest(field: str, known: dict[str, object]) -> None:
    for word in known:
        wrong = f"{word}x"
        with pytest.raises(DesignError, match=f"unknown {field}") as caught:
            ModelShape(**SMALL, **{field: wrong})
        assert caught.value.cure
        assert caught.value.cure.startswith("did you mean ")
        assert set(known) >= {caught.value.cure.split("'")[1]}


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.shape])
def test_shapes_of_the_registry_come_back_from_json(name: str) -> None:
    shape = MODELS[name].shape
    assert shape
    assert ModelShape.from_json(shape.to_json()) == shape
    assert shape.chosen <= {field.name for field in fields(ModelShape)}
    deeper = replace(shape, layers=2 * shape.layers, decoder_layers=2 * shape.decoder_layers)
    assert count_parameters(deeper).non_embedding == pytest.approx(2 * count_parameters(shape).non_embedding, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(threads=st.integers(1, 64), seconds=st.floats(0.1, 1e6))
def test_estimated_energy_is_watts_times_time(threads: int, seconds: float) -> None:
    kwh, source = EnergyMeter(threads, threads, rapl=Path("nowhere")).read(seconds)
    assert source == "estimate"
    assert kwh * JOULES_PER_KWH == pytest.approx(WATTS_PER_CORE * threads * seconds)
    assert math.isclose(JOULES_PER_KWH, 1000 * 3600)


def test_packages_of_one_machine_are_added_up(tmp_path: Path) -> None:
    def set_counters(joules: list[float]) -> None:
        for number, value in enumerate(joules):
            (tmp_path / f"intel-rapl:{number}").mkdir(exist_ok=True)
            (tmp_path / f"intel-rapl:{number}" / "energy_uj").write_text(str(int(value * 1e6)))

    set_counters([10.0, 20.0])
    meter = EnergyMeter(threads=2, busy_threads=4, rapl=tmp_path)
    set_counters([10.0 + 3.6e6, 20.0 + 7.2e6])
    assert meter.read(seconds=1.0) == (1.5, "measured")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("rubbish")
    assert meter.read(seconds=3600.0)[1] == "estimate"
