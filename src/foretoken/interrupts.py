"""Ctrl-C on the command line: the program ends with 130, soon and without a traceback, wherever it stands."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""
GRACE_SECONDS = 2.0
"""Time to clear away what was being written; then the process ends where it stands."""
_interrupted = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Around the whole program: whatever ends it after Ctrl-C, it ends with 130.

    Ctrl-C raises KeyboardInterrupt, which may come out as anything (a library that is being imported takes it for its
    own failure) or not at all (a callback of compiled code loses it): so the process also ends by itself after
    `GRACE_SECONDS`, and at once at the second Ctrl-C.
    """
    # Where Ctrl-C is ignored, as in the background of a shell, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise_and_leave)
        sys.unraisablehook = _leave_where_it_is_lost
        # All is done and printed when Python takes itself apart: an interrupt then would only spoil the exit code.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    except BaseException:
        if not _interrupted.is_set():
            raise
        sys.stderr.flush()
        _leave()  # Python takes its time to take itself apart
    finally:
        if signal.getsignal(signal.SIGINT) is _raise_and_leave:
            signal.signal(signal.SIGINT, _leave)


@contextmanager
def saving() -> Iterator[None]:
    """Around what saves its work when it is interrupted, which takes its time and bounds it itself."""
    # SIGTERM too, by which a batch system or a machine that shuts down asks for the same.
    before, terminated = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if before is _raise_and_leave:
        signal.signal(signal.SIGINT, _raise)
        signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        if before is _raise_and_leave:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, terminated)


def _raise(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _raise_and_leave(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _leave)
    late = threading.Timer(GRACE_SECONDS, _leave)
    late.daemon = True
    late.start()
    _raise(number, frame)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


def _leave_where_it_is_lost(lost: sys.UnraisableHookArgs) -> None:
    if lost.exc_type is KeyboardInterrupt:
        _leave()
    sys.__unraisablehook__(lost)
