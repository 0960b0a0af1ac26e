"""What is read off the text of a record is what the whole record says, or nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import StoreError
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.store import atomic
from foretoken.store.format import FORMAT, format_json
from foretoken.store.seals import sha256_of
from foretoken.store.store import Store, Summary, quick_summary

from ..runs.test_spec import SPEC

POINTS = (CurvePoint(1.0, 2.0),)
LOSSES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ['\n "status": "failed",\n', '"status": "finished",', '\n "loss": 1.0,\n']
)


def written(folder: Path, record: RunRecord) -> Path:
    store = Store(folder)
    path = store.record_path(record.spec.key)
    atomic.write_file(path, format_json(record.to_json()))
    return path


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(status=st.sampled_from(["finished", "diverged", "failed"]), loss=LOSSES, text=TEXTS)
def test_it_is_what_the_record_says(
    status: str, loss: float | None, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = RunRecord(spec=SPEC, status=status, loss=loss, error=text, events=(text,), curve=POINTS)  # type: ignore[arg-type]
    path = written(tmp_path_factory.mktemp("study"), record)
    expected = Summary(record.status, record.loss)
    assert quick_summary(path, sha256_of(path), None) == expected
    assert quick_summary(path, None, dataclasses.replace(SPEC, group="another label")) == expected


def test_nothing_vouches_for_another_run_or_for_no_run(tmp_path: Path) -> None:
    path = written(tmp_path, RunRecord(spec=SPEC, status="finished", loss=2.0))
    assert quick_summary(path, None, None) is None
    assert quick_summary(path, None, dataclasses.replace(SPEC, seed=7)) is None
    assert quick_summary(path, "0" * 64, SPEC) is None
    assert quick_summary(tmp_path / "none.json", None, SPEC) is None


def test_every_flipped_byte_of_a_record_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, RunRecord(spec=SPEC, status="finished", loss=2.0))
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert quick_summary(path, None, SPEC) is None, place


def test_a_record_of_other_lines_is_read_whole(tmp_path: Path) -> None:
    """Another layout of the JSON, with its checksum, says the same: by the whole record, and not by its lines."""
    store = Store(tmp_path)
    record = RunRecord(spec=SPEC, status="finished", loss=2.0)
    body = json.dumps({"format": FORMAT, **record.to_json()}).encode().removeprefix(b"{") + b"\n"
    path = store.record_path(SPEC.key)
    atomic.write_file(path, atomic._first_line(body) + body)
    assert quick_summary(path, None, SPEC) is None
    assert store.summary(SPEC.key, SPEC) == Summary("finished", 2.0)
    assert store.is_done(SPEC)


def test_one_that_was_edited_under_its_seal_is_refused(tmp_path: Path) -> None:
    record = RunRecord(spec=SPEC, status="finished", loss=2.0)
    written(tmp_path, record)
    Store(tmp_path).seal_records()
    written(tmp_path, dataclasses.replace(record, loss=1.0))
    with pytest.raises(StoreError) as refused:
        Store(tmp_path).summary(SPEC.key, SPEC)
    assert refused.value.code == "edited"
    assert Store(tmp_path, mended=True).summary(SPEC.key, SPEC) is None


@pytest.mark.parametrize(
    "body",
    [
        b'\n "format": 1,\n "spec": {no json},\n "status": "finished",\n "loss": 2.0\n}\n',
        b'\n "format": 1,\n "spec": {"a": "\xff"},\n "status": "finished",\n "loss": 2.0\n}\n',
        b'\n "spec": ' + b"[" * 100_000 + b',\n "status": "finished",\n "loss": 2.0\n}\n',
    ],
)
def test_what_is_no_record_is_none_though_its_checksum_is_right(tmp_path: Path, body: bytes) -> None:
    path = Store(tmp_path).record_path(SPEC.key)
    atomic.write_file(path, atomic._first_line(body) + body)
    assert quick_summary(path, None, SPEC) is None
    assert Store(tmp_path).summary(SPEC.key, SPEC) is None
