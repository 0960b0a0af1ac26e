"""Every file that a user can name is opened here: first its kind, then its size, then its size unpacked and parsed.

A named pipe, a device, a socket and a folder are refused before they are opened, since reading them may never end.
What is handed over open (`-`, /dev/stdin, `<(...)` of a shell) is read, as far as a file of its kind would be.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import stat
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from foretoken.arguments import did_you_mean_file
from foretoken.errors import ForetokenError

LIMITS = "FORETOKEN_LIMITS"
"""The environment variable that multiplies every limit on what is read."""
MOST_TIMES = 1000.0
MOST_VALUES = 8_000_000
"""Values in one JSON text: `[],` takes three bytes of a file and seventy of memory."""
LARGEST_JSON = 2**27
"""Bytes of a JSON text that is read whole."""
MOST_COLUMNS, MOST_CELLS = 10_000, 10**7
"""Columns, and rows times columns, of a table that is read whole; a file of a few bytes may claim any number."""
MOST_DOTS = 200
"""Dots in a line of TOML: the time that a dotted key takes grows with the square of its parts."""
MOST_TIMES_PACKED, LEAST_UNPACKED = 256, 2**26
"""A compressed text may be so many times longer than its file, and as many bytes long in any case."""
BLOCK = 2**20
_OPEN_ALREADY = re.compile(r"-|/dev/stdin|(?:/dev|/proc/self)/fd/(\d{1,9})")
_KEY = re.compile(r"[\s\w.\"'\[\]-]*")
"""What may be a key of TOML; text in quotes and comments has other letters."""
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
File = io.BufferedIOBase
Refusal = type[ForetokenError]
"""The kind of error that a reader raises."""


def limit(most: int) -> int:
    """A limit times what FORETOKEN_LIMITS says. Raises ForetokenError where that is no number from 1 to 1000.

    >>> limit(10)
    10
    """
    said = os.environ.get(LIMITS, "1")
    try:
        times = float(said)
    except ValueError:
        times = math.nan
    if not 1 <= times <= MOST_TIMES:
        raise ForetokenError(f"{LIMITS} is no factor", expected=f"a number from 1 to {MOST_TIMES:g}", got=repr(said))
    return int(most * times)


def to_raise(most: int, needed: float = 0.0) -> str:
    """The cure for what is beyond a limit: the factor that it takes, where it is known.

    >>> to_raise(10, 25)
    'if it is sound, set the environment variable FORETOKEN_LIMITS=3: it multiplies every limit on what is read'
    """
    times = max(2, math.ceil(min(needed / max(1, most), 2 * MOST_TIMES)))
    if times > MOST_TIMES:
        return "give a smaller one"
    return f"if it is sound, set the environment variable {LIMITS}={times}: it multiplies every limit on what is read"


def too_large(what: str, most: int, unit: str, error: Refusal, got: float = 0.0) -> ForetokenError:
    """The error for what is beyond a limit, which was given before it was multiplied."""
    return error(
        f"{what} is too large",
        expected=f"at most {limit(most)} {unit}",
        got=f"{got:.0f} {unit}" if got else None,
        cure=to_raise(most, got),
        code="too_large",
    )


def require_size(rows: int, columns: int, source: object, error: Refusal, cells: int = 0) -> None:
    """Raise `error` for a table beyond what is read whole; `cells` where they may be more than rows x columns.

    >>> require_size(100, 20, "runs.csv", ForetokenError)
    """
    cells = max(cells, rows * columns)
    for got, most, unit in ((columns, MOST_COLUMNS, "columns"), (cells, MOST_CELLS, "cells")):
        if got > limit(most):
            raise too_large(str(source), most, unit, error, got)


@contextmanager
def opened(path: str | Path, error: Refusal, most: int | None = None, *, inside: bool = False) -> Iterator[File]:
    """A file, open for reading its bytes. Raises `error` for what is no file, or has more than `most` bytes.

    With `inside`, for what only foretoken writes, also for a link that leads out of the file's folder.
    """
    with refusing_system_errors(path, error):
        file = _open(os.fspath(path) or ".", error, inside)
    try:
        size = os.fstat(file.fileno()).st_size if not isinstance(file, io.BytesIO) else 0
        if most is not None and size > limit(most):
            raise too_large(str(path), most, "bytes", error, size)
        yield file
    finally:
        if file is not getattr(sys.stdin, "buffer", None):
            file.close()


def handed_over(path: str | Path) -> bool:
    """Whether a path stands for what a shell opened for us.

    >>> handed_over(Path("/dev/stdin")), handed_over(Path("runs.csv"))
    (True, False)
    """
    return bool(_OPEN_ALREADY.fullmatch(str(path)))


def _open(path: str, error: Refusal, inside: bool) -> File:
    # A string, as a study may have ten thousand records, and a Path takes as long as the rest of opening one.
    given = _OPEN_ALREADY.fullmatch(path)
    if given:
        return _descriptor(int(given[1] or 0))
    # Asked before it is opened, as opening may wait or move something; and again after it, as it may be another by now.
    _require_file(path, os.stat(path), error)
    if inside and os.path.islink(path) and not _lies_below(path, os.path.dirname(path)):
        raise error(f"cannot read {path}", expected="a file", got="a link out of its folder", cure="restore it")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _require_file(path, os.fstat(file.fileno()), error)
    except BaseException:
        file.close()
        raise
    return file


def _descriptor(number: int) -> File:
    """A file or pipe that the shell has opened for us."""
    if number == 0:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        return cast(File, sys.stdin.buffer)
    return os.fdopen(os.dup(number), "rb")


def _require_file(path: str, status: os.stat_result, error: Refusal) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        cure = f"hand it over open: < {path}, and /dev/stdin as the file" if kind == "a named pipe" else "name a file"
        raise error(f"{path} is not a file", expected="a file", got=kind, cure=cure, code="not_a_file")


def _lies_below(path: str, folder: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


@contextmanager
def refusing_system_errors(path: str | Path, error: Refusal) -> Iterator[None]:
    """Turn what the system says while a file is opened or read into an error of that kind."""
    try:
        yield
    except (OSError, ValueError, MemoryError) as reason:  # a ValueError is for a name that no file can have
        there = os.path.lexists(path) if "\0" not in str(path) else True
        cure = "give rights to read it, or restore it" if there else did_you_mean_file(Path(path))
        got = getattr(reason, "strerror", None) or str(reason) or "not enough memory"
        raise error(f"cannot read {path}", got=got, cure=cure or "name a file that is there, or restore it") from reason


def read_file(path: str | Path, error: Refusal, most: int, *, inside: bool = False) -> bytes:
    """The bytes of a file; raises `error` as `opened` does."""
    content = _read_plain(path, most) if inside else None
    if content is not None:
        return content
    with opened(path, error, most, inside=inside) as file:
        return read_all(file, path, error, most)


def _read_plain(path: str | Path, most: int) -> bytes | None:
    """The bytes of a small regular file that is no link; None for all else, which `opened` looks at and tells of."""
    # A study may have ten thousand records, and a file object with its guards takes twice as long as this.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            content = (
                os.read(descriptor, size + 1) if stat.S_ISREG(status.st_mode) and size <= min(most, BLOCK) else b""
            )
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    # What is shorter or longer than it was a moment ago is being written: it is read in the other way.
    return content if len(content) == size and size else None


def read_all(file: File | IO[bytes], path: str | Path, error: Refusal, most: int) -> bytes:
    """What is left of an open file, unpacked where `file` unpacks; raises `error` beyond `most` bytes."""
    # In blocks, as read(limit) would make room for the whole limit at once.
    content, bound = io.BytesIO(), limit(most)
    with refusing_system_errors(path, error):
        while block := file.read(BLOCK):
            content.write(block)
            if content.tell() > bound:
                raise too_large(str(path), most, "bytes", error)
    return content.getvalue()


def sha256_of(path: str | Path, error: Refusal) -> str:
    """The sha256 of a file of any size, in hexadecimal; raises `error` as `opened` does."""
    with opened(path, error) as file, refusing_system_errors(path, error):
        return hashlib.file_digest(file, "sha256").hexdigest()


def within_packed(blocks: Iterable[bytes], packed: int, path: Path, error: Refusal) -> Iterator[bytes]:
    """Unpacked blocks of a file of `packed` bytes; raises `error` where they are more than any text unpacks to."""
    most, total = max(LEAST_UNPACKED, MOST_TIMES_PACKED * packed), 0
    for block in blocks:
        total += len(block)
        if total > limit(most):
            raise too_large(f"{path}, unpacked,", most, "bytes", error)
        yield block


def require_values(content: bytes | str) -> None:
    """Raise ValueError for a JSON text, or lines of JSON, of more values than there may be."""
    # No value is without a comma before or behind it, or is the first of its brackets.
    marks = ",[{"
    counts = map(content.count, marks) if isinstance(content, str) else map(content.count, map(str.encode, marks))
    values = sum(counts)
    if values > limit(MOST_VALUES):
        raise ValueError(f"more than {limit(MOST_VALUES)} values; {to_raise(MOST_VALUES, values)}")


def parse_json(content: bytes | str, parse_int: Callable[[str], Any] = int) -> Any:
    """A JSON text as values. Raises ValueError for one that is none, too deep, or of more values than there may be."""
    require_values(content)
    try:
        return json.loads(content, parse_int=parse_int)
    except RecursionError:
        raise ValueError("values nested too deeply") from None


def parse_toml(content: bytes) -> Any:
    """A TOML text as values. Raises ValueError for one that is none, or too deep."""
    text = content.decode("utf-8-sig")
    # Before parsing, since it is the parser that takes the time.
    keys = (line.partition("=")[0] for line in text.split("\n"))
    if any(key.count(".") > MOST_DOTS and _KEY.fullmatch(key) for key in keys):
        raise ValueError("values nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("values nested too deeply") from None
