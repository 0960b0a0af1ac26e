"""The one atomic: whole or not at all, once or not at all, and nothing changed goes unnoticed."""

from __future__ import annotations

import errno
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.bounded import LARGEST_JSON
from foretoken.errors import StoreError
from foretoken.store import atomic

VALUE = {"loss": 1.25, "name": "ünï", "list": [1, None, True], "inner": {"sha256": "not this one"}}


class Failing(atomic.System):
    """The system calls, one of which fails."""

    def __init__(self, name: str, number: int) -> None:
        def fail(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        setattr(self, name, fail)


@pytest.mark.parametrize("call", ["write", "rename", "flush_folder"])
@pytest.mark.parametrize(("number", "cure"), [(errno.ENOSPC, "free space"), (errno.EIO, "check the disk")])
def test_a_failed_write_leaves_what_was_there(
    call: str, number: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    atomic.write_json(path, {"old": 1})
    monkeypatch.setattr(atomic, "system", Failing(call, number))
    with pytest.raises(StoreError, match=cure) as told:
        atomic.write_file(path, b"new")
    assert str(path) in told.value.message
    if number == errno.ENOSPC:
        assert re.search(r"room for 3 bytes more.*disk full: \d+ bytes are free", str(told.value), re.S)
    assert path.read_text() == ("new" if call == "flush_folder" else '{\n "old": 1\n}\n')
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["", ".", "/", "folder"])
def test_a_folder_is_not_written_over(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(StoreError, match="give the name of a file"):
        atomic.write_output(Path(name), b"new")
    assert os.listdir() == ["folder"]


def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    atomic.write_output(tmp_path / "pipe", b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_is_written_into_and_stays() -> None:
    atomic.write_output(Path(os.devnull), b"new")
    assert Path(os.devnull).is_char_device()


def test_a_temporary_that_cannot_be_removed_does_not_hide_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing("rename", errno.ENOSPC)
    monkeypatch.setattr(failing, "unlink", Failing("unlink", errno.EIO).unlink)
    monkeypatch.setattr(atomic, "system", failing)
    with pytest.raises(StoreError, match="disk full"):
        atomic.write_file(tmp_path / "a.json", b"new")
    (left,) = tmp_path.iterdir()
    assert atomic.is_temporary(left)


def test_folders_are_made_and_what_stands_in_their_way_is_named(tmp_path: Path) -> None:
    atomic.write_file(tmp_path / "deep" / "er" / "a", b"1")
    assert (tmp_path / "deep" / "er" / "a").read_bytes() == b"1"
    with pytest.raises(StoreError, match=r"(?s)cannot write .*deep/er/a/b.*cure:"):
        atomic.write_file(tmp_path / "deep" / "er" / "a" / "b", b"")


def test_of_many_that_create_a_file_one_wins(tmp_path: Path) -> None:
    threads, rounds = 8, 10
    barrier, won = threading.Barrier(threads), []

    def create(mine: int) -> None:
        for number in range(rounds):
            barrier.wait()
            if atomic.create_file(tmp_path / str(number), b"%d" % mine):
                won.append((number, mine))

    workers = [threading.Thread(target=create, args=(mine,)) for mine in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {number: int((tmp_path / str(number)).read_text()) for number in range(rounds)} == dict(won)
    assert len(won) == rounds == len(os.listdir(tmp_path))


def test_json_never_holds_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"x": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        atomic.checksummed_json({"x": float("inf")})


def test_what_is_sealed_is_read_as_it_was(tmp_path: Path) -> None:
    atomic.write_file(tmp_path / "a.json", atomic.checksummed_json(VALUE))
    assert atomic.read_checksummed_json(tmp_path / "a.json") == VALUE
    assert atomic.read_json(tmp_path / "a.json")["sha256"] in (tmp_path / "a.json").read_text().splitlines()[0]


@given(where=st.integers(0, len(atomic.checksummed_json(VALUE)) - 1), byte=st.integers(0, 255))
def test_a_seal_shows_any_changed_byte(where: int, byte: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = bytearray(atomic.checksummed_json(VALUE))
    path = tmp_path_factory.getbasetemp() / "flipped.json"
    same = content[where] == byte
    content[where] = byte
    path.write_bytes(content)
    if same:
        assert atomic.read_checksummed_json(path) == VALUE
    else:
        with pytest.raises(StoreError, match=re.escape(str(path))):
            atomic.read_checksummed_json(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"{}", b'{"sha256": "0"}', b"\xff", b"[" * 10**5])
def test_what_is_not_sealed_is_an_error_of_the_store(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.json"):
        atomic.read_checksummed_json(tmp_path / "a.json")


def test_a_torn_file_is_told_with_its_line(tmp_path: Path) -> None:
    content = atomic.checksummed_json(VALUE)
    (tmp_path / "a.json").write_bytes(content[: content.index(b"inner")])
    with pytest.raises(StoreError, match=r"a\.json, line 9: not JSON"):
        atomic.read_checksummed_json(tmp_path / "a.json")


def test_a_giant_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.json", "wb") as file:
        file.truncate(LARGEST_JSON + 1)
    with pytest.raises(StoreError, match="too large"):
        atomic.read_json(tmp_path / "a.json")


@given(
    damage=st.sampled_from(["truncate", "flip", "zero", "remove", "no mark", "a path as name"]),
    where=st.integers(min_value=0, max_value=63),
)
def test_a_damaged_commit_is_never_read(damage: str, where: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("commit")
    contents = {"a.bin": bytes(range(1, 65)), "b.bin": b"second"}
    atomic.write_commit(folder, contents)
    assert atomic.read_commit(folder) == contents
    path = folder / "a.bin"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:where])
    elif damage == "flip":
        path.write_bytes(bytes(b ^ (1 if i == where else 0) for i, b in enumerate(path.read_bytes())))
    elif damage == "zero":
        path.write_bytes(path.read_bytes()[:where] + bytes(64 - where))
    elif damage == "remove":
        path.unlink()
    elif damage == "a path as name":
        marks = atomic.read_json(folder / atomic.COMMIT)
        atomic.write_json(folder / atomic.COMMIT, {f"../{folder.name}/a.bin": marks["a.bin"]})
    else:
        (folder / atomic.COMMIT).unlink()
    with pytest.raises(StoreError):
        atomic.read_commit(folder)
    atomic.delete_folder(folder)
    assert not folder.exists()


def test_a_commit_mark_is_written_last_and_deleted_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no moment stands a mark beside files that are not as it says."""
    seen = []

    class Watching(atomic.System):
        def __getattribute__(self, name: str) -> Any:
            if (tmp_path / "c" / atomic.COMMIT).exists():
                seen.append(name)
                atomic.read_commit(tmp_path / "c")
            return super().__getattribute__(name)

    monkeypatch.setattr(atomic, "system", Watching())
    atomic.write_commit(tmp_path / "c", {"a": b"1", "b": b"2"})
    atomic.write_commit(tmp_path / "c", {"a": b"3"})
    atomic.delete_folder(tmp_path / "c")
    assert seen.count("unlink") == 2


def test_deleting_does_not_follow_links(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    atomic.write_file(precious / "kept", b"1")
    atomic.write_file(tmp_path / "gone" / "inner" / "file", b"1")
    (tmp_path / "gone" / "link").symlink_to(precious)
    (tmp_path / "gone" / "inner" / "link").symlink_to(precious / "kept")
    (tmp_path / "alone").symlink_to(precious)
    for name in ("gone", "alone"):
        atomic.delete_folder(tmp_path / name)
    assert os.listdir(tmp_path) == ["precious"]
    assert (precious / "kept").exists()


def test_what_is_set_aside_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        atomic.write_file(tmp_path / "f", content)
        atomic.write_file(tmp_path / "d" / "x", content)
        assert atomic.set_aside(tmp_path / "f").read_bytes() == content
        assert (atomic.set_aside(tmp_path / "d") / "x").read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["d.corrupt", "f.corrupt"]


@pytest.mark.parametrize("name", [".a.json.12-0123abcd.tmp", ".clock-0123abcd.tmp", ".7-0123abcd.tmp"])
def test_its_own_temporaries_are_known(name: str) -> None:
    assert atomic.is_temporary(Path(name))


@pytest.mark.parametrize("name", ["notes.tmp", ".notes.tmp", "a-0123abcd.tmp", ".a-0123abcd.tmp.gz"])
def test_files_of_somebody_else_are_no_temporaries(name: str) -> None:
    assert not atomic.is_temporary(Path(name))


def test_a_pipe_that_nobody_reads_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="cannot write"):
        atomic.write_output(tmp_path / "pipe", b"a page")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    atomic.write_output(tmp_path / "pipe", b"a page")
    assert os.read(reader, 99) == b"a page"
    os.close(reader)


def test_an_output_goes_through_a_link_and_into_no_socket(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    atomic.write_output(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for name in ("socket", "loop", "gone"):
            with pytest.raises(StoreError, match="no file that can be written"):
                atomic.write_output(tmp_path / name, b"new")
