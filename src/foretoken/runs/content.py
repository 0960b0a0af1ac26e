"""What is in a file of runs or examples, unpacked, before anything is made of it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from foretoken.bounded import Refusal, opened, read_all
from foretoken.errors import needing

if TYPE_CHECKING:
    import pandas as pd

MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Encodings by the byte order mark that a file begins with."""


class Content(NamedTuple):
    """What is in a file, unpacked."""

    path: Path
    suffix: str
    """Its kind: of the file without .gz or .zst."""
    data: bytes

    @property
    def text(self) -> str:
        """As UTF-8, or as the byte order mark says."""
        return self.data.decode(self.encoding)

    @property
    def encoding(self) -> str:
        """The name of its encoding."""
        return next((name for mark, name in MARKS.items() if self.data.startswith(mark)), "utf-8")


Rows = tuple["pd.DataFrame", list[str]]
"""A frame, and what was done to read it, in sentences."""


def read_content(path: Path, error: Refusal, most: int) -> Content:
    """A file, decompressed where its name ends so; raises `error` as `bounded.opened` does, and beyond `most` bytes."""
    packed = path.suffix.lower() if path.suffix.lower() in UNPACK else ""
    suffix = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    with opened(path, error, most) as file:
        if not packed:
            return Content(path, suffix, read_all(file, path, error, most))
        with _refusing_damage(path, error):
            return Content(path, suffix, read_all(UNPACK[packed](file), path, error, most))


@contextmanager
def _refusing_damage(path: Path, error: Refusal) -> Iterator[None]:
    """Turn what an unpacker says of a file that is damaged, cut off or not packed into an error of that kind."""
    try:
        yield
    except Exception as reason:
        # zstandard's error has no other base, and its package may not be there to be named.
        if isinstance(reason, EOFError | zlib.error) or type(reason).__name__ == "ZstdError":
            cure = "get it again, or take .gz or .zst from its name if it is not packed"
            raise error(f"cannot unpack {path}", expected="a whole file", got=str(reason), cure=cure) from reason
        raise


def _gzip(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=file))


def _zstd(file: IO[bytes]) -> IO[bytes]:
    with needing("reading .zst"):
        import zstandard
    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return reader


UNPACK: dict[str, Callable[[Any], IO[bytes]]] = {".gz": _gzip, ".zst": _zstd, ".zstd": _zstd}
"""How a file is decompressed, by the last part of its name."""
