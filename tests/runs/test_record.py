"""A record read back is the record written, or it is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from foretoken.runs.record import CurvePoint, RunRecord

from .test_spec import SPEC

RECORD = RunRecord(spec=SPEC, status="finished", loss=1.5, curve=(CurvePoint(256.0, 2.0),), tokens_trained=256)


def test_a_record_survives_its_json() -> None:
    values = json.loads(json.dumps(RECORD.to_json()))
    assert RunRecord.from_json(values) == RECORD
    assert json.dumps(RunRecord.from_json(values).to_json()) == json.dumps(values)


@pytest.mark.parametrize(
    "change",
    [{"loss": "low"}, {"loss": math.nan}, {"loss": math.inf}, {"curve": [["a", 1]]}, {"curve": 3}, {"unknown": 1},
     {"status": None}, {"spec": None}, {"spec": {}}, {"events": "x"}],
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
