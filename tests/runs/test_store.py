from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import StoreError, StudyBusyError
from foretoken.runs import store as store_module
from foretoken.runs.record import RunRecord
from foretoken.runs.store import COMMIT, Store, delete_commit, read_commit, write_commit, write_file, write_json

from .test_spec import SPEC


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_file(path, b"new")
    assert path.read_text() == '{\n "old": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_never_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})


@given(
    damage=st.sampled_from(["truncate", "flip", "zero", "remove", "no mark"]),
    where=st.integers(min_value=0, max_value=63),
)
def test_a_damaged_commit_is_never_read(damage: str, where: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("commit")
    contents = {"a.bin": bytes(range(1, 65)), "b.bin": b"second"}
    write_commit(folder, contents)
    assert read_commit(folder) == contents
    path = folder / "a.bin"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:where])
    elif damage == "flip":
        path.write_bytes(bytes(b ^ (1 if i == where else 0) for i, b in enumerate(path.read_bytes())))
    elif damage == "zero":
        path.write_bytes(path.read_bytes()[:where] + bytes(64 - where))
    elif damage == "remove":
        path.unlink()
    else:
        (folder / COMMIT).unlink()
    assert read_commit(folder) is None
    delete_commit(folder)
    assert not folder.exists()


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
    again.put_record(RunRecord(spec=runs[0], status="finished", loss=1.0))
    assert store.table().digest != again.table().digest


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_record(RunRecord(spec=SPEC, status="finished", loss=1.0))
    store.record_path(SPEC.key).write_text('{"spec": ')
    with pytest.raises(StoreError, match=r"record\.json"):
        store.records()


def test_a_record_of_something_else_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_json(store.record_path("a"), {"loss": 1.0})
    with pytest.raises(StoreError, match="no record of this version"):
        store.records()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"), Store(tmp_path / "file" / "study").lock():
        pass
    with pytest.raises(StoreError, match="cannot write"):
        write_file(tmp_path / "file" / "a.json", b"")


def test_one_owner_at_a_time_and_a_dead_one_owns_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    code = (
        "from foretoken.runs.store import Store\n"
        f"with Store({str(tmp_path)!r}).lock(): print('mine', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "mine\n"
        assert store.busy
        with pytest.raises(StudyBusyError, match=f"pid {other.pid}"), store.lock():
            pass
        other.kill()
    assert not store.busy
    with store.lock():
        pass
