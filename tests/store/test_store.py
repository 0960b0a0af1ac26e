"""Records: written once, a fold, and only a failed or damaged one is ever replaced."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foretoken.errors import LeaseLostError, StoreError
from foretoken.runs.record import RunRecord
from foretoken.store import atomic
from foretoken.store.format import FORMAT, format_json
from foretoken.store.store import Store, read_record

from ..runs.test_spec import SPEC

DONE = RunRecord(spec=SPEC, status="finished", loss=1.0)
FAILED = RunRecord(spec=SPEC, status="failed", error="no memory")


def test_records_are_a_fold(tmp_path: Path) -> None:
    store = Store(tmp_path)
    runs = [SPEC.with_tokens(512 * n) for n in (100, 200, 300)]
    for run in runs:
        store.put_record(RunRecord(spec=run, status="finished", loss=1.0 + run.tokens / 1e6, seconds=1.0))
    again = Store(tmp_path / "again")
    for run in reversed(runs):
        again.put_record(RunRecord(spec=run, status="finished", loss=1.0 + run.tokens / 1e6, seconds=2.0))
    assert len(store.table()) == 3
    assert store.table().digest == again.table().digest
    other = Store(tmp_path / "other")
    for run in runs:
        other.put_record(RunRecord(spec=run, status="finished", loss=1.0))
    assert store.table().digest != other.table().digest


def test_a_record_is_written_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.put_record(DONE)
    before = store.record_path(SPEC.key).stat().st_mtime_ns
    assert store.put_record(replace(DONE, seconds=9.0, finished_at="later"))
    assert store.put_record(FAILED)
    assert store.record_path(SPEC.key).stat().st_mtime_ns == before
    assert store.records() == [DONE]
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_another_result_of_the_same_run_is_kept_and_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_record(DONE)
    assert not store.put_record(replace(DONE, loss=1.0000001))
    assert store.records() == [DONE]
    (late,) = tmp_path.rglob("record-*.json")
    assert atomic.read_checksummed_json(late)["loss"] == 1.0000001


@pytest.mark.parametrize("there", [format_json({**FAILED.to_json()}), b'{"spec": '])
def test_a_failed_or_damaged_record_is_replaced(there: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path)
    atomic.write_file(store.record_path(SPEC.key), there)
    assert store.put_record(DONE)
    assert store.records() == [DONE]


def test_of_many_that_write_a_record_one_is_kept(tmp_path: Path) -> None:
    barrier, told = threading.Barrier(8), []

    def put(loss: float) -> None:
        barrier.wait()
        told.append(Store(tmp_path).put_record(replace(DONE, loss=loss)))

    writers = [threading.Thread(target=put, args=(1.0 + n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(told) == [False] * 7 + [True]
    assert len(Store(tmp_path).records()) == 1


def test_who_has_lost_the_study_records_nothing(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "attempts" / "000000002.json", {})
    with pytest.raises(LeaseLostError):
        Store(tmp_path, 1).put_record(DONE)
    assert Store(tmp_path, 2).put_record(DONE)


def _newer(values: dict[str, Any]) -> bytes:
    return atomic.checksummed_json({**values, "format": "foretoken study 3"})


def _other_run(values: dict[str, Any]) -> bytes:
    return atomic.checksummed_json({**values, "spec": {**values["spec"], "seed": 99}})


def _edited(values: dict[str, Any]) -> bytes:
    return atomic.checksummed_json(values).replace(b'"loss": 1.0', b'"loss": 0.5')


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda _: b"", "not JSON"),
        (lambda values: atomic.checksummed_json(values)[:400], "not JSON"),
        (_edited, "does not match its sha256"),
        (_newer, r"another format.*study 2.*study 3"),
        (_other_run, "record of another run"),
        (lambda _: format_json({"loss": 1.0}), "no record of this version"),
        (lambda _: atomic.checksummed_json({"format": 1, "loss": 1.0}), "another format.*format 1"),
        (lambda values: atomic.checksummed_json({**values, "mood": "good"}), "no record of this version"),
    ],
    ids=["empty", "truncated", "edited", "newer", "another run", "something else", "the first format", "unknown field"],
)
def test_a_damaged_record_is_no_record_and_says_why(damage: Any, told: str, tmp_path: Path) -> None:
    store, other = Store(tmp_path), replace(DONE, spec=replace(SPEC, seed=7))
    store.put_record(other)
    path = store.record_path(SPEC.key)
    atomic.write_file(path, damage({"format": FORMAT, **DONE.to_json()}))
    assert store.record(SPEC.key) is None
    assert store.records() == [other]
    with pytest.raises(StoreError, match=f"(?s)record.json.*{told}|{told}"):
        read_record(path)
