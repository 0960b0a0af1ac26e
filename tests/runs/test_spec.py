from __future__ import annotations

import json
from dataclasses import field, fields, make_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.spec import NOT_IN_KEY, OwnTrainer, RouterLosses, RunSpec, SpikePolicy, values_to_json

SPEC = RunSpec(
    shape=ModelShape(layers=2, width=16, heads=2, context=32, vocabulary=64),
    tokens=51_200,
    batch_tokens=512,
    learning_rate=1e-2,
    warmup_tokens=2560,
    schedule="wsd",
    cooldown=0.2,
    final_learning_rate_share=0.0,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    clip=1.0,
    precision="float32",
    threads=1,
    seed=0,
    corpus="c0ffee",
    tokenizer="byte",
    eval_set="validation-1",
    eval_tokens=4096,
    software="recipe 1, torch 2.13.0",
    group="1e9 FLOP",
)
OTHER: dict[str, Any] = {
    "shape": replace(SPEC.shape, layers=3),
    "tokens": 102_400,
    "batch_tokens": 1024,
    "learning_rate": 2e-2,
    "warmup_tokens": 512,
    "schedule": "cosine",
    "cooldown": 0.1,
    "final_learning_rate_share": 0.1,
    "weight_decay": 0.0,
    "beta1": 0.8,
    "beta2": 0.99,
    "clip": 2.0,
    "precision": "bfloat16",
    "threads": 2,
    "seed": 1,
    "objective": Objective(kind="masked"),
    "corpus": "decaf",
    "tokenizer": "bpe",
    "eval_set": "validation-2",
    "eval_tokens": 8192,
    "software": "recipe 2",
    "repeat": True,
    "dropout": 0.1,
    "spikes": SpikePolicy(policy="skip"),
    "router_losses": RouterLosses(z=0.0),
    "trainer": OwnTrainer(command="train"),
}


def test_every_field_but_the_labels_moves_the_key() -> None:
    assert set(OTHER) | set(NOT_IN_KEY) == {field.name for field in fields(RunSpec)}
    for name, value in OTHER.items():
        assert replace(SPEC, **{name: value}).key != SPEC.key, name
    assert replace(SPEC, group="elsewhere").key == SPEC.key


PARTS: dict[str, dict[str, Any]] = {
    "shape": {"layers": 3, "width": 32, "context": 64, "norm": "rms", "tied": False, "norm_epsilon": 1e-6},
    "spikes": {"policy": "roll_back", "sigmas": 5.0, "window": 64, "rewind": 50, "skip_batches": 9, "max_spikes": 3},
    "objective": {"separate_documents": True},
    "router_losses": {"load_balance": 0.0, "z": 0.1},
}


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, values in PARTS.items() for name in values])
def test_a_field_of_a_part_moves_the_key_too(part: str, name: str) -> None:
    moved = replace(SPEC, **{part: replace(getattr(SPEC, part), **{name: PARTS[part][name]})})
    assert moved.key != SPEC.key
    assert moved.trunk != SPEC.trunk


def like_a_spec(more: dict[str, object] | None = None, *, backwards: bool = False) -> Any:
    """A record with the fields and values of SPEC, in another order or with more fields."""
    own = [(one.name, one.type, field(default=one.default)) for one in fields(RunSpec)]
    added = [(name, "object", field(default=value)) for name, value in (more or {}).items()]
    ordered = [*added, *(reversed(own) if backwards else own)]
    kind = make_dataclass("Like", ordered, kw_only=True, namespace={"has_trunk": True})
    return kind(**{one.name: getattr(SPEC, one.name) for one in fields(RunSpec)})


def test_the_place_of_a_field_in_its_class_is_no_part_of_the_key() -> None:
    other = like_a_spec(backwards=True)
    assert [one.name for one in fields(other)] != [one.name for one in fields(SPEC)]
    assert RunSpec.key.func(other) == SPEC.key
    assert RunSpec.trunk.func(other) == SPEC.trunk


def test_a_field_that_a_later_version_adds_leaves_the_key_while_it_is_at_its_default() -> None:
    later = like_a_spec({"momentum": 0.5})
    assert RunSpec.key.func(later) == SPEC.key
    later.momentum = 0.9
    assert RunSpec.key.func(later) != SPEC.key


def test_a_default_that_a_later_version_changes_is_told_apart() -> None:
    """What was at its default is written into the record all the same, so it is not read as the new default."""
    assert values_to_json(SPEC)["dropout"] == 0.0
    assert "dropout" not in values_to_json(SPEC, only_changed=True)


SPECS = st.builds(
    replace,
    st.just(SPEC),
    tokens=st.integers(2, 10**6).map(lambda steps: steps * 512),
    learning_rate=st.floats(1e-9, 1.0),
    schedule=st.sampled_from(["wsd", "cosine"]),
    cooldown=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**31 - 1),
    spikes=st.builds(
        SpikePolicy,
        policy=st.sampled_from(["stop", "skip", "roll_back"]),
        rewind=st.integers(1, 1000),
        skip_batches=st.integers(1, 1000),
        max_spikes=st.integers(1, 20),
    ),
    objective=st.builds(Objective, kind=st.just("masked"), corruption_rate=st.floats(0.01, 0.99)),
)


@settings(max_examples=100, deadline=None)
@given(SPECS, SPECS)
def test_a_spec_survives_its_json_and_its_key_is_its_name(one: RunSpec, other: RunSpec) -> None:
    again = RunSpec.from_json(json.loads(json.dumps(one.to_json())))
    assert (again, again.key, again.trunk) == (one, one.key, one.trunk)
    assert (one.key == other.key) == (one == other)
    assert len(one.key) == 16


@settings(max_examples=100, deadline=None)
@given(SPECS)
def test_a_run_is_a_trunk_and_a_cooldown(spec: RunSpec) -> None:
    assert spec.fork_step + spec.cooldown_steps == spec.steps
    assert 0 <= spec.fork_step <= spec.steps
    assert (spec.cooldown_steps == 0) == (not spec.has_trunk)
    assert spec.trajectory == (spec.trunk if spec.has_trunk else spec.key)
    assert spec.sequences_read * spec.shape.context >= spec.tokens + spec.reserve_tokens


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 5), st.data())
def test_no_spike_takes_more_batches_than_are_in_reserve(
    rewind: int, skip: int, spikes: int, data: st.DataObject
) -> None:
    """Of the states kept at multiples of `rewind` the last that is `rewind` steps old is gone back to."""
    policy = SpikePolicy(policy="roll_back", rewind=rewind, skip_batches=skip, max_spikes=max(1, spikes))
    skipped, step = 0, 0
    for _ in range(spikes):
        spiked = data.draw(st.integers(step, step + 4 * rewind))
        step = max(0, (spiked - rewind) // rewind * rewind)
        skipped += max(skip, spiked - step + 1)
    assert skipped <= policy.most_skipped_batches


def test_runs_of_one_trunk_differ_in_tokens_only() -> None:
    assert SPEC.with_tokens(102_400).trunk == SPEC.trunk
    assert replace(SPEC, seed=1).trunk != SPEC.trunk
    assert replace(SPEC, schedule="cosine").trunk is None


def test_json_round_trip() -> None:
    assert RunSpec.from_json(SPEC.to_json()) == SPEC
    other = replace(SPEC, **{name: OTHER[name] for name in ("spikes", "objective", "router_losses")})
    assert RunSpec.from_json(json.loads(json.dumps(other.to_json()))) == other
    record = RunRecord(spec=SPEC, status="finished", loss=1.5, curve=(CurvePoint(512.0, 4.1),))
    assert RunRecord.from_json(record.to_json()) == record


@pytest.mark.parametrize(("schedule", "cooldown"), [("wsd", 20), ("cosine", 0)])
def test_steps(schedule: str, cooldown: int) -> None:
    spec = replace(SPEC, schedule=schedule)
    assert (spec.steps, spec.warmup_steps, spec.cooldown_steps) == (100, 5, cooldown)


def test_rolling_back_needs_reserve_tokens() -> None:
    assert SPEC.reserve_tokens == 0
    policy = SpikePolicy(policy="roll_back", rewind=10, skip_batches=5, max_spikes=3)
    assert replace(SPEC, spikes=policy).reserve_tokens == 3 * 21 * SPEC.batch_tokens


@pytest.mark.parametrize("part", [None, *PARTS])
@pytest.mark.parametrize("change", [{"unknown": 1}, {"seed": "x"}])
def test_unknown_names_and_other_types_are_refused_in_every_part(part: str | None, change: dict[str, object]) -> None:
    values = json.loads(json.dumps(SPEC.to_json()))
    (values[part] if part else values).update(change)
    with pytest.raises(TypeError):
        RunSpec.from_json(values)


def test_a_missing_name_is_refused() -> None:
    with pytest.raises(TypeError, match="seed"):
        RunSpec.from_json({name: value for name, value in SPEC.to_json().items() if name != "seed"})


def test_only_the_group_named_target_is_the_target() -> None:
    assert replace(SPEC, group="target").is_target
    assert not SPEC.is_target
    assert replace(SPEC, group="target").key == SPEC.key
