"""Which checkpoints count: the newest whole one; a damaged one is set aside, and none is lost before its successor."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from foretoken.errors import StoreError
from foretoken.store import atomic, checkpoints

from .test_atomic import Failing


def save(folder: Path, step: int, attempt: int = 1) -> None:
    checkpoints.commit(folder, step, attempt, {"state": b"%d by %d" % (step, attempt)})


def kept(folder: Path) -> list[tuple[int, int]]:
    return [(place.step, place.attempt) for place in checkpoints.in_folder(folder)]


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 9, 10, 100):
        save(tmp_path, step)
    assert kept(tmp_path) == [(10, 1), (100, 1)]
    assert checkpoints.newest(tmp_path) == ({"state": b"100 by 1"}, [])
    assert checkpoints.newest(tmp_path, at_most=99) == ({"state": b"10 by 1"}, [])
    assert checkpoints.newest(tmp_path, at_most=9) == (None, [])
    checkpoints.delete_all(tmp_path)
    assert kept(tmp_path) == []


def test_attempts_do_not_write_into_each_others(tmp_path: Path) -> None:
    for attempt in (1, 2, 1):
        save(tmp_path, 10, attempt)
    assert kept(tmp_path) == [(10, 1), (10, 2)]
    assert checkpoints.newest(tmp_path) == ({"state": b"10 by 2"}, [])
    save(tmp_path, 8, 1)
    assert (10, 2) in kept(tmp_path), "what another attempt wrote, or what is further on, is not ours to delete"


@pytest.mark.parametrize("how", ["flip", "truncate", "zero the tail", "remove", "garble the mark"])
def test_a_damaged_one_is_set_aside_and_the_one_before_taken(how: str, tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    newest = checkpoints.in_folder(tmp_path)[-1].path
    damage(newest, how)
    contents, (trouble,) = checkpoints.newest(tmp_path)
    assert contents == {"state": b"1 by 1"}
    assert "step 2 is damaged and was set aside" in trouble
    assert kept(tmp_path) == [(1, 1)]
    assert newest.with_name(newest.name + ".corrupt").is_dir()
    save(tmp_path, 2, 2)
    assert checkpoints.newest(tmp_path) == ({"state": b"2 by 2"}, [])


def damage(checkpoint: Path, how: str) -> None:
    state = checkpoint / "state"
    content = state.read_bytes()
    if how == "remove":
        state.unlink()
    elif how == "garble the mark":
        (checkpoint / atomic.COMMIT).write_bytes(b'["state"]')
    else:
        new: dict[str, Any] = {
            "flip": bytes([content[0] ^ 1]) + content[1:],
            "truncate": content[:-1],
            "zero the tail": content[:-2] + bytes(2),
        }
        state.write_bytes(new[how])


def test_one_that_was_never_committed_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    atomic.write_file(tmp_path / "step-000000002-1" / "state", b"half")
    assert checkpoints.newest(tmp_path) == ({"state": b"1 by 1"}, [])
    assert not checkpoints.in_folder(tmp_path)[-1].is_committed


@pytest.mark.parametrize("call", ["write", "rename", "unlink", "make_folder"])
def test_the_one_before_stays_until_the_new_one_is_whole(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    with monkeypatch.context() as broken:
        broken.setattr(atomic, "system", Failing(call, errno.ENOSPC))
        with pytest.raises(StoreError, match="disk full"):
            save(tmp_path, 3)
    contents, troubles = checkpoints.newest(tmp_path)
    assert contents in ({"state": b"2 by 1"}, {"state": b"3 by 1"})
    assert troubles == []


def test_names_that_are_no_checkpoints_are_left_alone(tmp_path: Path) -> None:
    for name in ("step-1-1", "step-000000001", "step-000000001-1.corrupt", "other"):
        (tmp_path / name).mkdir()
    assert kept(tmp_path) == []
    checkpoints.delete_all(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
