"""What is in a file of runs, before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
