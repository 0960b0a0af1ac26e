from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.spec import NOT_IN_KEY, RouterLosses, RunSpec, SpikePolicy

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
OTHER = {
    "shape": replace(SPEC.shape, layers=3), "tokens": 102_400, "batch_tokens": 1024, "learning_rate": 2e-2,
    "warmup_tokens": 512, "schedule": "cosine", "cooldown": 0.1, "final_learning_rate_share": 0.1, "weight_decay": 0.0,
    "beta1": 0.8, "beta2": 0.99, "clip": 2.0, "precision": "bfloat16", "threads": 2, "seed": 1,
    "objective": Objective(kind="masked"),
    "corpus": "decaf", "tokenizer": "bpe", "eval_set": "validation-2", "eval_tokens": 8192, "software": "recipe 2",
    "repeat": True, "dropout": 0.1, "spikes": SpikePolicy(policy="skip"), "router_losses": RouterLosses(z=0.0),
}  # fmt: skip


def test_every_field_but_the_labels_moves_the_key() -> None:
    assert set(OTHER) | set(NOT_IN_KEY) == {field.name for field in fields(RunSpec)}
    for name, value in OTHER.items():
        assert replace(SPEC, **{name: value}).key != SPEC.key, name
    assert replace(SPEC, group="elsewhere").key == SPEC.key


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
