"""One owner at a time: decided by a lease and the kernel's lock, never by a process id."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from foretoken.errors import LeaseLostError, StoreError, StudyBusyError
from foretoken.store import atomic, lease
from foretoken.store.lease import Lease, check_owner, is_owned, newest_attempt
from foretoken.store.store import Store

from .test_atomic import Failing

OWNER = (
    "import sys; from pathlib import Path; from foretoken.store.lease import Lease\n"
    "with Lease(Path(sys.argv[1]), 60): print('mine', flush=True); input()"
)


def attempts(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "attempts"))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def elsewhere(folder: Path, attempt: int = 1, **changes: Any) -> Path:
    """The file of an owner on another machine, whose process id is here that of this test."""
    path = folder / "attempts" / f"{attempt:09d}.json"
    values = {"attempt": attempt, "host": "far away", "pid": os.getpid(), "since": "long ago", "ended_at": None}
    atomic.write_json(path, values | changes)
    return path


def test_a_lease_is_taken_and_given_back(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with Lease(tmp_path, 60) as mine:
            assert mine.attempt == number == newest_attempt(tmp_path / "attempts")
            assert attempts(tmp_path) == [f"{number:09d}.json"]
            assert is_owned(tmp_path, 60)
            mine.check()
        assert not is_owned(tmp_path, 60)
        assert atomic.read_json(mine.path)["ended_at"]


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with Lease(tmp_path, 60), pytest.raises(StudyBusyError, match=rf"pid {os.getpid()} on \S+ since 20\d\d-"):
        Lease(tmp_path, 60).__enter__()
    assert attempts(tmp_path) == ["000000001.json"]


def test_a_dead_owner_on_this_machine_owns_nothing_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "mine\n"
        assert is_owned(tmp_path, 60)
        with pytest.raises(StudyBusyError, match=f"pid {other.pid}"):
            Lease(tmp_path, 60).__enter__()
        other.kill()
    assert not is_owned(tmp_path, 60)
    with Lease(tmp_path, 60) as mine:
        assert mine.attempt == 2


def test_a_process_id_says_nothing(tmp_path: Path) -> None:
    """That a process of the owner's number lives here, or that none does, decides nothing: the file's age does."""
    for pid in (os.getpid(), 2**30):
        path = elsewhere(tmp_path, newest_attempt(tmp_path / "attempts") + 1, pid=pid)
        assert is_owned(tmp_path, 60)
        with pytest.raises(StudyBusyError, match=f"pid {pid} on far since long ago"):
            Lease(tmp_path, 60).__enter__()
        age(path, 61)
        assert not is_owned(tmp_path, 60)
        with Lease(tmp_path, 60):
            assert not path.exists()


def test_without_locks_of_the_system_the_lease_alone_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with Lease(tmp_path, 60):
        assert is_owned(tmp_path, 60)
        with pytest.raises(StudyBusyError):
            Lease(tmp_path, 60).__enter__()
    assert not is_owned(tmp_path, 60)
    Lease(tmp_path, 60).__enter__().__exit__()


def test_the_age_is_measured_by_the_clock_of_the_file_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = elsewhere(tmp_path)
    monkeypatch.setattr(time, "time", lambda: path.stat().st_mtime + 600)
    with pytest.raises(StudyBusyError):
        Lease(tmp_path, 60).__enter__()


def test_a_clock_that_was_set_back_makes_no_owner_immortal(tmp_path: Path) -> None:
    """Its last sign of life is of a later time than now: it must show another one within the lease."""
    path = elsewhere(tmp_path)
    age(path, -10 * 365 * 86_400)
    assert not is_owned(tmp_path, 60)
    with pytest.raises(StudyBusyError):
        Lease(tmp_path, 60).__enter__()
    assert abs(time.time() - path.stat().st_mtime) < 50
    age(path, 61)
    with Lease(tmp_path, 60) as mine:
        assert mine.attempt == 2


def test_an_owner_that_has_ended_or_cannot_be_read_owns_nothing(tmp_path: Path) -> None:
    elsewhere(tmp_path, ended_at="today")
    assert not is_owned(tmp_path, 60)
    with Lease(tmp_path, 60) as mine:
        pass
    for content in (b"", b"[]", b"{}"):
        mine.path.write_bytes(content)
        assert not is_owned(tmp_path, 60)
        with Lease(tmp_path, 60) as mine:
            pass


def test_a_lease_is_renewed(tmp_path: Path) -> None:
    with Lease(tmp_path, 0.3) as mine:
        age(mine.path, 100)
        deadline = time.monotonic() + 5
        while time.time() - mine.path.stat().st_mtime > 50:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_late_owner_finds_out_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = Lease(tmp_path, 0.3).__enter__()
    touch = os.utime
    monkeypatch.setattr(
        lease.os, "utime", lambda path, *times: path == late.path or touch(path, *times)
    )  # it stands still
    time.sleep(0.02)
    touch(late.path, (1e9, 1e9))
    with Lease(tmp_path, 60) as newer:
        assert (newer.attempt, attempts(tmp_path)) == (2, ["000000002.json"])
        with pytest.raises(LeaseLostError, match=f"pid {os.getpid()}"):
            check_owner(tmp_path, late.attempt)
        with pytest.raises(LeaseLostError):
            Store(tmp_path, late.attempt).check_owner()
        with pytest.raises(LeaseLostError, match="taken over"):
            check_until_lost(late)
        before = newer.path.read_bytes()
        late.__exit__()
        newer.check()
        assert (newer.path.read_bytes(), attempts(tmp_path)) == (before, ["000000002.json"])


@pytest.mark.parametrize("how", ["removed", "renamed", "a file in its place", "an empty folder in its place"])
def test_a_folder_that_is_gone_is_called_gone(how: str, tmp_path: Path) -> None:
    study, mine = tmp_path / "study", Lease(tmp_path / "study", 60).__enter__()
    study.rename(tmp_path / "elsewhere")
    if how == "removed":
        shutil.rmtree(tmp_path / "elsewhere")
    elif how == "a file in its place":
        study.write_text("")
    elif how == "an empty folder in its place":
        study.mkdir()
    for ask in (mine.check, Store(study, mine.attempt).check_owner):
        with pytest.raises(LeaseLostError, match=r"(?s)the folder .*study is gone: .*cure") as gone:
            ask()
        assert "another process" not in str(gone.value)
    mine.__exit__()
    assert not (study / "attempts").exists()


def test_a_folder_that_was_begun_anew_in_the_place_is_the_others(tmp_path: Path) -> None:
    """Its attempts are counted from 1 again, and the number alone tells nothing."""
    with Lease(tmp_path, 60) as mine:
        mine.path.unlink()
        elsewhere(tmp_path, mine.attempt)
        with pytest.raises(LeaseLostError, match=r"(?s)taken over.*on far"):
            mine.check()


def check_until_lost(late: Lease) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        late.check()


def test_whoever_was_slower_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the grasp somebody else takes the attempt: the slower one is told who has it."""
    mine, look = Lease(tmp_path, 60), Lease._must_be_over
    elsewhere(tmp_path, ended_at="today")

    def overtaken(self: Lease, attempt: int) -> None:
        look(self, attempt)
        elsewhere(tmp_path, attempt + 1)

    monkeypatch.setattr(Lease, "_must_be_over", overtaken)
    with pytest.raises(StudyBusyError, match="far"):
        mine.__enter__()
    assert attempts(tmp_path) == ["000000001.json", "000000002.json"]


def test_asking_writes_nothing(tmp_path: Path) -> None:
    assert not is_owned(tmp_path, 60)
    assert os.listdir(tmp_path) == []
    with Lease(tmp_path, 60):
        before = (tmp_path / "attempts").stat().st_mtime_ns
        assert is_owned(tmp_path, 60)
        assert (tmp_path / "attempts").stat().st_mtime_ns == before


@pytest.mark.parametrize("call", ["write", "rename", "link"])
def test_a_folder_that_cannot_hold_a_study_is_told_at_the_start(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "system", Failing(call, errno.EPERM))
    with pytest.raises(StoreError, match=r"(?s)cannot hold a study.*atomic rename and hard links.*cure"):
        Lease(tmp_path / "study", 60).__enter__()
    assert attempts(tmp_path / "study") == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot hold a study"):
        Lease(tmp_path / "file" / "study", 60).__enter__()
