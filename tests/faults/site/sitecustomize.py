"""Put on PYTHONPATH by tests/faults/kills.py: a worker tells where it is, and waits there for its end.

FAULT_POINTS names a folder. While it holds a file `armed` with a kind of place and a number, the first worker that
comes to such a place for the number-th time renames the file to `reached` with its pid, and stands still until there
is a file `released`.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

POINTS = Path(os.environ["FAULT_POINTS"])
STANDSTILL_SECONDS = 60.0
SLOW = float(os.environ.get("FAULT_SLOW", "0"))
"""Seconds by which each step is longer."""


class Counter:
    """How often this worker has come to the armed kind of place."""

    def __init__(self) -> None:
        self.armed, self.count = "", 0

    def come(self, kind: str) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            armed = (POINTS / "armed").read_text()
            order = json.loads(armed)
            if armed != self.armed:
                self.armed, self.count = armed, 0
            self.count += order["kind"] == kind
            if self.count == order["at"]:
                self.stand_still()

    def stand_still(self) -> None:
        claim = POINTS / f"claim-{os.getpid()}"
        os.rename(POINTS / "armed", claim)  # of several workers one succeeds
        claim.write_text(str(os.getpid()))
        claim.rename(POINTS / "reached")
        end = time.monotonic() + STANDSTILL_SECONDS
        while time.monotonic() < end and not (POINTS / "released").exists():
            time.sleep(0.01)


def watch() -> None:
    """Put the counter into the training step, its cooldown, and the writing of checkpoints."""
    from foretoken.store import atomic
    from foretoken.training import loop, train

    counter, place = Counter(), ["step"]
    advance = train.advance

    def watched_advance(state: Any, spec: Any, corpus: Any, until: int, on_step: Any) -> None:
        place[0] = "cooldown" if until == spec.steps else "step"
        advance(state, spec, corpus, until, on_step)

    losses = loop.losses

    def watched_losses(network: Any, examples: Any) -> Any:
        found = losses(network, examples)
        time.sleep(SLOW)
        counter.come(place[0])
        return found

    class Watched(atomic.System):
        def write(self, file: Any, content: bytes) -> None:
            if "/step-" in file.name:
                file.write(content[: len(content) // 2])
                file.flush()
                counter.come("checkpoint")
                content = content[len(content) // 2 :]
            super().write(file, content)

    train.advance = watched_advance
    loop.losses = watched_losses
    atomic.system = Watched()


def move_clock() -> None:
    """Let the clock of this process be wrong by what the file `clock` says, from one look to the next."""
    from foretoken.store import clock, lease

    right = time.time

    def wrong() -> float:
        try:
            return right() + float((POINTS / "clock").read_text())
        except (OSError, ValueError):
            return right()

    class Moved(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return datetime.datetime.fromtimestamp(wrong(), tz)

    # Not in the module datetime itself: libraries in C hold on to its class.
    clock.datetime = lease.datetime = Moved  # type: ignore[assignment,misc,attr-defined]
    time.time = wrong


def fill_disk() -> None:
    """Let every write fail while there is a file `full`."""
    from foretoken.store import atomic

    write = atomic.System.write

    def full_write(self: Any, file: Any, content: bytes) -> None:
        if (POINTS / "full").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, file, content)

    atomic.System.write = full_write  # type: ignore[method-assign]


if "foretoken.launchers.worker" in sys.orig_argv:
    watch()
if os.environ.get("FAULTS_MIXED"):
    move_clock()
    fill_disk()
