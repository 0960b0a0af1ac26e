"""A record read back is the record written, or it is refused."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any, get_args

import pytest

from foretoken.runs.record import DETERMINED, CurvePoint, PositionLoss, RunRecord, RunStatus

from .test_spec import SPEC

RECORD = RunRecord(spec=SPEC, status="finished", loss=1.5, curve=(CurvePoint(256.0, 2.0),), tokens_trained=256)
CHANGED: dict[str, Any] = {
    "status": "diverged",
    "loss": 1.5000001,
    "loss_se": 0.1,
    "bits_per_byte": 2.0,
    "curve": (CurvePoint(256.0, 2.0000001),),
    "by_position": (PositionLoss(1.0, 1.0, 3.0),),
    "label_loss": 0.6,
    "parent": "a trunk",
    "tokens_trained": 512,
    "unique_tokens": 9,
    "corpus_sha256": "c0ffee",
    "seconds": 9.0,
    "tokens_per_second": 1e3,
    "mfu": 0.5,
    "kwh": 1.0,
    "kwh_source": "measured",
    "device": "another",
    "started_at": "2026-01-01T00:00:00+00:00",
    "finished_at": "2026-01-02T00:00:00+00:00",
    "version": "9.9",
    "skipped_steps": 1,
    "events": ("resumed at step 3",),
    "error": "no memory",
}


def test_a_record_survives_its_json() -> None:
    values = json.loads(json.dumps(RECORD.to_json()))
    assert RunRecord.from_json(values) == RECORD
    assert json.dumps(RunRecord.from_json(values).to_json()) == json.dumps(values)


@pytest.mark.parametrize(
    "change",
    [{"loss": "low"}, {"loss": math.nan}, {"loss": math.inf}, {"curve": [["a", 1]]}, {"curve": 3}, {"unknown": 1},
     {"status": None}, {"status": "paused"}, {"kwh_source": "guess"}, {"by_position": [[1, 2]]},
     {"curve": [[1, 2, 3]]}, {"spec": None}, {"spec": {}}, {"events": "x"}],
    ids=str,
)  # fmt: skip
def test_other_types_and_unknown_keys_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, KeyError)):
        RunRecord.from_json(RECORD.to_json() | change)


@pytest.mark.parametrize("change", [{"tokens": "x"}, {"unknown": 1}, {"learning_rate": [1]}], ids=str)
def test_a_spec_of_other_types_is_refused(change: dict[str, Any]) -> None:
    values = RECORD.to_json()
    with pytest.raises((TypeError, KeyError)):
        RunRecord.from_json(values | {"spec": values["spec"] | change})


def test_every_field_is_tried_here() -> None:
    assert set(CHANGED) == {field.name for field in fields(RunRecord)} - {"spec"}


@pytest.mark.parametrize("name", CHANGED)
def test_two_trainings_agree_when_what_the_spec_determines_is_equal(name: str) -> None:
    other = replace(RECORD, **{name: CHANGED[name]})
    assert RECORD.agrees(other) == other.agrees(RECORD) == (name not in DETERMINED)


@pytest.mark.parametrize("name", CHANGED)
def test_each_field_survives_json_with_its_type(name: str) -> None:
    other = replace(RECORD, **{name: CHANGED[name]})
    again = RunRecord.from_json(json.loads(json.dumps(other.to_json())))
    assert again == other
    assert type(getattr(again, name)) is type(CHANGED[name])


def test_points_have_names_and_are_short_in_json() -> None:
    record = replace(RECORD, by_position=(PositionLoss(1.0, 2.0, 3.0),))
    values = json.loads(json.dumps(record.to_json()))
    assert (values["curve"], values["by_position"]) == ([[256.0, 2.0]], [[1.0, 2.0, 3.0]])
    again = RunRecord.from_json(values)
    assert (again.curve[0].tokens, again.curve[0].loss, again.by_position[0].last) == (256.0, 2.0, 2.0)


@pytest.mark.parametrize("status", get_args(RunStatus))
def test_a_record_is_in_one_state(status: RunStatus) -> None:
    record = replace(RECORD, status=status)
    states = {"finished": record.is_finished, "diverged": record.has_diverged, "failed": record.has_failed}
    assert [name for name, holds in states.items() if holds] == [status]
    assert record.to_row()["status"] == status
