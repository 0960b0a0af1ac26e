"""One door for what is read: its kind, its size, its size unpacked, the number of its values."""

from __future__ import annotations

import gzip
import os
import socket
from pathlib import Path

import pytest

from foretoken import bounded
from foretoken.bounded import opened, parse_json, parse_toml, read_all, read_file, sha256_of, within_packed
from foretoken.errors import ForetokenError, StoreError, TableError
from foretoken.store.atomic import read_json


def plant(kind: str, path: Path) -> Path:
    """What is no file, under the name of one."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize(
    ("kind", "called"),
    [("pipe", "a named pipe"), ("folder", "a folder"), ("socket", "a socket"), ("device", "a device")],
)
@pytest.mark.parametrize("inside", [False, True])
def test_what_is_no_file_is_refused_before_it_is_opened(kind: str, called: str, inside: bool, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is not a file") as refused:
        read_file(plant(kind, tmp_path / "f"), TableError, 10, inside=inside)
    assert (refused.value.got, refused.value.code) == (called, "not_a_file")


def test_a_file_that_becomes_a_pipe_is_found_when_it_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    before = os.stat(tmp_path / "file")
    pipe = plant("pipe", tmp_path / "pipe")
    monkeypatch.setattr(bounded.os, "stat", lambda path: before)
    with pytest.raises(TableError, match="is not a file"):
        read_file(pipe, TableError, 10)


@pytest.mark.parametrize("name", ["no such file", "a\0b", "x" * 300, "loop"])
def test_a_name_that_no_file_has_is_an_error_of_its_reader(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StoreError, match="cannot read"):
        read_file(tmp_path / name, StoreError, 10)


def test_sizes_are_bounded_and_the_variable_raises_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(bytes(25))
    with pytest.raises(TableError, match=r"at most 10 bytes(.|\n)*25 bytes(.|\n)*FORETOKEN_LIMITS=3"):
        read_file(tmp_path / "f", TableError, 10)
    monkeypatch.setenv("FORETOKEN_LIMITS", "3")
    assert len(read_file(tmp_path / "f", TableError, 10)) == 25
    monkeypatch.setenv("FORETOKEN_LIMITS", "many")
    with pytest.raises(ForetokenError, match="no factor"):
        read_file(tmp_path / "f", TableError, 10)


def test_what_unpacks_is_bounded_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    with (
        opened(tmp_path / "f.gz", TableError) as file,
        gzip.GzipFile(fileobj=file) as inner,
        pytest.raises(TableError, match="too large"),
    ):
        read_all(inner, tmp_path / "f.gz", TableError, 2_000_000)
    endless = (bytes(2**20) for _ in iter(int, 1))
    with pytest.raises(TableError, match="unpacked, is too large"):
        sum(map(len, within_packed(endless, 1000, tmp_path, TableError)))


def test_what_a_shell_hands_over_open_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[1]")
    os.close(writing)
    assert read_json(Path(f"/dev/fd/{reading}")) == [1]
    os.close(reading)
    with pytest.raises(StoreError, match="cannot read"):
        read_json(Path(f"/dev/fd/{reading}"))


def test_what_only_we_write_is_not_read_through_a_link_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("[1]")
    (tmp_path / "study").mkdir()
    link = tmp_path / "study" / "a.json"
    link.symlink_to(tmp_path / "out.json")
    assert read_json(link) == [1]
    with pytest.raises(StoreError, match="cannot read") as refused:
        read_json(link, inside=True)
    assert refused.value.got == "a link out of its folder"


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001])
@pytest.mark.parametrize("grows", [-1, 0, 1])
def test_what_only_we_write_is_read_as_any_file_is(
    size: int, grows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files go a shorter way, also where they have changed since their size was asked."""
    monkeypatch.setattr(bounded, "BLOCK", 1000)
    path, content, sizes = tmp_path / "f", bytes(range(256)) * 8, os.fstat
    path.write_bytes(content[:size])
    (tmp_path / "link").symlink_to("f")  # which leads nowhere else

    def before(descriptor: int) -> os.stat_result:
        found = sizes(descriptor)
        return os.stat_result((*found[:6], found.st_size - grows, *found[7:]))

    monkeypatch.setattr(bounded.os, "fstat", before)
    for one in (path, tmp_path / "link"):
        assert read_file(one, StoreError, 2000, inside=True) == content[:size]
    if size > 501:
        with pytest.raises(StoreError, match="too large"):
            read_file(path, StoreError, 500, inside=True)


def test_values_and_their_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b"[" * 100_000
    for parse, text in ((parse_json, deep), (parse_toml, b"a = " + deep), (parse_json, b"9" * 9999)):
        with pytest.raises(ValueError, match=r"nested too deeply|digits"):
            parse(text)
    monkeypatch.setattr(bounded, "MOST_VALUES", 5)
    assert parse_json("[1, 2, 3]") == [1, 2, 3]
    with pytest.raises(ValueError, match=r"more than 5 values; .*FORETOKEN_LIMITS=2"):
        parse_json("[[], [], [], {}]")


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    assert sha256_of(tmp_path / "f", StoreError).startswith("e3b0c44298fc")


def test_dots_in_texts_and_comments_are_no_keys() -> None:
    dots = "." * 300
    assert parse_toml(f'a = "a{dots}"  # {dots}\n  # {dots}\n'.encode()) == {"a": f"a{dots}"}
    with pytest.raises(ValueError, match="too deeply"):
        parse_toml((".".join("a" * 300) + " = 1").encode())
