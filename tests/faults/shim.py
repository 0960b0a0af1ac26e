"""A door that dies or fails at its Nth call: the only way that a study's folder changes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from foretoken.store.atomic import System

KILLED = 137
"""Exit status of a process that the shim ended."""
KINDS = {
    "kill": (0, False),
    "enospc-once": (errno.ENOSPC, False),
    "enospc-always": (errno.ENOSPC, True),
    "eio-once": (errno.EIO, False),
    "eio-always": (errno.EIO, True),
}
"""Name -> (errno, or 0 for death; whether every call after the Nth fails too)."""


class FaultySystem(System):
    """Counts its calls; from the Nth on (0 is never) it dies or fails. Of what is written then, half arrives."""

    def __init__(self, kind: str = "kill", at: int = 0) -> None:
        self.errno, self.always = KINDS[kind]
        self.at, self.calls = at, 0

    def append(self, file: IO[bytes], content: bytes) -> None:
        self._meet(lambda: self._half(file, content))
        super().append(file, content)

    def write(self, file: IO[bytes], content: bytes) -> None:
        self._meet(lambda: self._half(file, content))
        super().write(file, content)

    def rename(self, source: Path, target: Path) -> None:
        self._meet()
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._meet()
        super().link(source, target)

    def unlink(self, path: Path) -> None:
        self._meet()
        super().unlink(path)

    def make_folder(self, path: Path) -> None:
        self._meet()
        super().make_folder(path)

    def remove_folder(self, path: Path) -> None:
        self._meet()
        super().remove_folder(path)

    def flush_folder(self, path: Path) -> None:
        self._meet()
        super().flush_folder(path)

    @property
    def met(self) -> bool:
        """Whether the fault has happened."""
        return 0 < self.at <= self.calls

    def _meet(self, before: Callable[[], Any] = lambda: None) -> None:
        self.calls += 1
        if self.calls == self.at or (self.always and self.met):
            before()
            if not self.errno:
                os._exit(KILLED)
            raise OSError(self.errno, os.strerror(self.errno))

    def _half(self, file: IO[bytes], content: bytes) -> None:
        file.write(content[: len(content) // 2])
        file.flush()


class RefusingSystem(System):
    """A file system that cannot do some calls at all."""

    def __init__(self, error: int, *calls: str) -> None:
        def refuse(*_: Any) -> None:
            raise OSError(error, os.strerror(error))

        for call in calls:
            setattr(self, call, refuse)
