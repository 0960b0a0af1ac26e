"""Atomic, checksummed writes; the only code that writes into a study's folder.

A file is written under a temporary name in its own folder, flushed, renamed, and the folder flushed; so it is there
whole or not at all, on a file system with atomic renames and hard links, as local disks have. Files that belong
together are committed by a mark that is written last and deleted first and holds the sha256 of each. JSON that must not
change carries its own sha256 in its first line.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from foretoken.bounded import LARGEST_JSON, opened, parse_json, read_file, refusing_system_errors, sha256_of
from foretoken.errors import StoreError

COMMIT = "commit.json"
TEMPORARY = ".tmp"
"""Ending of a file that is being written; its name also begins with a dot and holds a random part."""
CORRUPT = ".corrupt"
"""Ending of what was found damaged and set aside for inspection."""


class System:
    """The system calls that writes are made of. A test puts one in its place that dies or fails at the Nth call."""

    def append(self, file: IO[bytes], content: bytes) -> None:
        """Write a part of a file."""
        file.write(content)

    def write(self, file: IO[bytes], content: bytes) -> None:
        """Write what is left of a file and flush it through to the disk."""
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Put `source` in the place of `target`, at once."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give `source` a second name; FileExistsError when it is taken."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def flush_folder(self, path: Path) -> None:
        """Make renames in a folder outlast a loss of power."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


system = System()
_guard: ContextVar[Callable[[], None]] = ContextVar("_guard", default=lambda: None)


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before every change that is made meanwhile; it raises when the folder is no longer ours."""
    before = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(before)


def _check_guard() -> None:
    check = _guard.get()
    check()


def write_file(path: Path, content: bytes) -> None:
    """Write a file, in the place of one that is there."""
    with _temporary(path, content) as temporary:
        _check_guard()  # again: the flush may have taken long
        system.rename(temporary, path)
        system.flush_folder(path.parent)


def write_output(path: Path, content: bytes) -> None:
    """Write a file that a person named: as `write_file`, but a device or a pipe (/dev/stdout) is written into."""
    # Root may rename over /dev/null, which then is a file for everybody.
    if path.is_symlink() and path.exists():
        path = path.resolve()  # a link is written through, and stays
    if path.is_socket() or path.is_block_device() or path.is_symlink():
        raise StoreError(f"{path} is no file that can be written", cure="name a file that is there or new")
    if path.is_char_device() or path.is_fifo():
        with writing(path), open(_open_reader(path), "wb") as file:
            file.write(content)
    else:
        write_file(path, content)


def _open_reader(path: Path) -> int:
    """A descriptor to write into a device or pipe; OSError at once where nobody reads from the pipe."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return descriptor


def create_file(path: Path, content: bytes) -> bool:
    """Write a file that must not be there yet; False, and nothing written, when it is. Of many, one wins."""
    with _temporary(path, content) as temporary:
        _check_guard()
        try:
            # Unlike a rename, which replaces what is there, a hard link fails when the name is taken: of many one wins.
            system.link(temporary, path)
        except FileExistsError:
            return False
        system.flush_folder(path.parent)
        return True


@contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    """A flushed file beside `path` with a name of its own; gone at the end, whatever happened."""
    if not path.name or path.is_dir():
        cure = "give the name of a file"
        raise StoreError(f"cannot write {path}", expected="a file", got="a folder", cure=cure)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    with writing(path, len(content)):
        try:
            if not path.parent.is_dir():
                system.make_folder(path.parent)
            # The content is on the disk before the name is: after a power cut the name would else be of an empty file.
            with open(temporary, "xb") as file:
                system.write(file, content)
            yield temporary
        finally:
            if temporary.exists():
                with contextlib.suppress(OSError):
                    system.unlink(temporary)


def is_temporary(path: Path) -> bool:
    """Whether a name is one that is given here to what is being written, and not somebody else's `notes.tmp`."""
    return bool(re.fullmatch(rf"\..+-[0-9a-f]{{8}}\{TEMPORARY}", path.name))


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for `system.append`, in a folder that counts only when it is whole; flushed at the end."""
    with writing(path), open(path, "xb") as file:
        yield file
        system.write(file, b"")


@contextmanager
def writing(path: Path, size: int = 0) -> Iterator[None]:
    """Turn the system's errors on writing into StoreError; a full disk says how much was needed."""
    _check_guard()
    try:
        yield
    except OSError as error:
        cure = "give rights, or another place, then run again"
        needed = None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed, cure = f"room for {max(size, 1)} bytes more", "free space, then run again: nothing is lost"
        elif error.errno == errno.EIO:
            cure = "check the disk, then run again: nothing is lost"
        raise StoreError(f"cannot write {path}", expected=needed, got=_reason(error, path), cure=cure) from error


def _reason(error: OSError, path: Path) -> str:
    if error.errno != errno.ENOSPC:
        return error.strerror or str(error)
    folder = next(folder for folder in path.absolute().parents if folder.is_dir())
    return f"disk full: {shutil.disk_usage(folder).free} bytes are free"


def set_aside(path: Path) -> Path:
    """Rename what was found damaged, so that it can be looked at and is in nobody's way."""
    aside = path.with_name(path.name + CORRUPT)
    with writing(aside):
        if aside.is_dir():
            delete_folder(aside)
        system.rename(path, aside)
        system.flush_folder(path.parent)
    return aside


def delete_file(path: Path) -> None:
    """Delete a file, if it is there."""
    with writing(path):
        system.unlink(path)


def delete_folder(folder: Path) -> None:
    """Delete a folder with all in it, links and not what they lead to; the commit mark first."""
    with writing(folder):
        if folder.is_symlink():
            system.unlink(folder)
            return
        # Without its mark the folder counts as never written, so a death half way leaves nothing that looks whole.
        if (folder / COMMIT).exists():
            system.unlink(folder / COMMIT)
        for path in _listed(folder):
            if path.is_dir() and not path.is_symlink():
                delete_folder(path)
            else:
                system.unlink(path)
        with contextlib.suppress(FileNotFoundError):
            system.remove_folder(folder)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON; NaN and infinities are refused."""
    write_file(path, json_bytes(value))


def checksummed_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object whose first line is the sha256 of all that follows that line."""
    # The checksum is spliced in as text: of the parsed values it would depend on how numbers are printed again.
    body = json_bytes(dict(value)).removeprefix(b"{")
    return _first_line(body) + body


def _first_line(body: bytes) -> bytes:
    return b'{"sha256": "' + hashlib.sha256(body).hexdigest().encode() + b'",'


def is_as_written(content: bytes) -> bool:
    """Whether the content of a checksummed JSON file matches its first line."""
    return content.startswith(_first_line(content.partition(b",")[2]))


def read_checksummed_json(path: Path) -> dict[str, Any]:
    """Read a checksummed JSON object; StoreError, with the line where there is one, when a single byte has changed."""
    return parse_checksummed_json(read_file(path, StoreError, LARGEST_JSON, inside=True), path)


def parse_checksummed_json(content: bytes, path: Path | str) -> dict[str, Any]:
    """The values of a checksummed JSON object; raises as `read_checksummed_json` does."""
    value = _parsed(path, content)
    object_json: dict[str, Any] = value if isinstance(value, dict) else {}
    expected = object_json.pop("sha256", None)
    if expected is None or not is_as_written(content):
        raise StoreError(
            f"{path}, line 1: the content does not match its sha256",
            expected=str(expected),
            got=hashlib.sha256(content.partition(b",")[2]).hexdigest(),
            cure="it was changed after it was written; restore it",
        )
    return object_json


def read_json(path: Path, *, inside: bool = False) -> Any:
    """Read a JSON file; raises StoreError with the path, and the line, when it is damaged or too large.

    With `inside`, for what only foretoken writes, also when it is a link that leads out of its folder.
    """
    return _parsed(path, read_file(path, StoreError, LARGEST_JSON, inside=inside))


def _parsed(path: Path | str, content: bytes) -> Any:
    try:
        return parse_json(content)
    except json.JSONDecodeError as error:
        raise StoreError(f"{path}, line {error.lineno}: not JSON", got=error.msg, cure="restore it") from error
    except ValueError as error:
        raise StoreError(f"{path}: not JSON", got=str(error), cure="restore it") from error


def json_bytes(value: Any) -> bytes:
    """Plain values as JSON; NaN and infinities are refused."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def write_commit(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files as one: an older mark goes first, the new one, with the sha256 of each, comes last."""
    delete_file(folder / COMMIT)
    for name, content in contents.items():
        write_file(folder / name, content)
    for older in _plain_files(folder) - set(contents):
        delete_file(folder / older)
    marks = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    write_json(folder / COMMIT, marks)


def _plain_files(folder: Path) -> set[str]:
    """Names of the files that a mark must hold: all but itself, hidden ones (temporary files), and what is no file."""
    files = (path for path in _listed(folder) if path.is_file() and not path.is_symlink())
    return {path.name for path in files if path.name != COMMIT and not path.name.startswith(".")}


def read_commit(folder: Path) -> dict[str, bytes]:
    """The files of a committed folder; StoreError when its mark is missing or one of its files is not as marked."""
    marks = read_json(folder / COMMIT, inside=True)
    # Equal to what is listed here, so a mark that was made up names no path elsewhere, no pipe and no link.
    if not isinstance(marks, dict) or set(marks) != _plain_files(folder):
        raise StoreError(f"{folder / COMMIT} does not mark what is there", cure="delete the folder")
    contents = {}
    for name, mark in marks.items():
        got = sha256_of(folder / name, StoreError)  # as a stream: what is as it was written fits into the memory
        if got != mark:
            raise StoreError(f"{folder / name} is damaged", expected=f"sha256 {mark}", got=got)
        with opened(folder / name, StoreError, inside=True) as file, refusing_system_errors(folder / name, StoreError):
            contents[name] = file.read()
    return contents
