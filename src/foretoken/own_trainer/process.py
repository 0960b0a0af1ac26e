"""A command of the user's as a process: started without a shell, read line by line, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

from foretoken.escapes import without_colours
from foretoken.launchers.worker import end_with_the_driver

LOOK_SECONDS = 0.2
"""Time between two looks at whether to stop."""
SAVING_SECONDS = 20.0
"""That a command may take to save and end after SIGTERM; then it is killed."""
LAST_LINES = 30
"""Lines of a failed command's output that its record keeps."""
LONGEST_LINE = 2000
LARGEST_LOG = 2**26
"""Bytes of a command's output that are kept."""
WATCH = "import os, sys\nif not sys.stdin.buffer.read(1): os.killpg(int(sys.argv[1]), 9)"
"""Ends a group of processes when whoever holds its input dies without a word."""


@dataclass(frozen=True)
class Exit:
    """How a command ended."""

    code: int | None
    """Its exit code; minus the number of a signal that ended it; None where it could not be started."""
    last_lines: str
    """The end of its output, or why it could not be started."""
    group: int = 0
    """The group of processes that it and what it has started are in; 0 where there is none."""
    stopped: bool = False
    """Whether it was asked to stop."""
    too_long: bool = False
    """Whether it was ended because it took too long."""

    @property
    def went_well(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.code == 0 and not (self.stopped or self.too_long)


def run_command(
    words: Sequence[str],
    home: Path,
    log: Path,
    *,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
    stop: Callable[[], bool],
    most_seconds: float = 0.0,
) -> Exit:
    """Run a command in `home` until it ends; what it prints is appended to `log`, and handed on line by line.

    Where `stop()` turns true, or after `most_seconds` (0: never), it gets SIGTERM, and SIGKILL when that does not help;
    so does every process that it has started and that kept its group. What such a process does after the command has
    ended by itself is waited for by whoever called, who then calls `end_group`.
    """
    try:
        process = subprocess.Popen(
            list(words),
            cwd=home,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_the_driver if os.name == "posix" else None,
        )
    except (OSError, ValueError) as error:
        return Exit(None, f"{words[0]} cannot be started: {error}")
    guard = _guard(process.pid)
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    last: deque[str] = deque(maxlen=LAST_LINES)
    began, closed, stopped, too_long = time.monotonic(), False, False, False
    with open(log, "ab") as output:
        while not (stopped or too_long):
            line = _next(lines, process, closed)
            if line:
                _keep(line, output, last, on_line)
            closed = closed or line is None
            # What it has started may hold its output open for ever: when it has ended and nothing comes, that is all.
            if not line and process.poll() is not None:
                break
            stopped, too_long = stop(), 0 < most_seconds < time.monotonic() - began
        code = _end(process) if stopped or too_long else process.wait()
    guard.communicate(b"!")
    return Exit(code, "\n".join(last), process.pid, stopped, too_long)


def _guard(group: int) -> subprocess.Popen[bytes]:
    """What kills a group of processes when this one dies before it has said a word."""
    words = [sys.executable, "-I", "-S", "-c", WATCH, str(group)]
    null = subprocess.DEVNULL
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)


def _next(lines: SimpleQueue[bytes | None], process: subprocess.Popen[bytes], closed: bool) -> bytes | None:
    """The next line; none where none comes soon, None at the end of the output."""
    with contextlib.suppress(Empty, subprocess.TimeoutExpired):
        if closed:
            process.wait(LOOK_SECONDS)
        else:
            return lines.get(timeout=LOOK_SECONDS)
    return b""


def _keep(line: bytes, output: BinaryIO, last: deque[str], on_line: Callable[[str], None]) -> None:
    if output.tell() < LARGEST_LOG:
        output.write(line)
        output.flush()
    # A bar of progress is one line, drawn anew after carriage returns: the newest of them counts.
    text = line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2][:LONGEST_LINE]
    text = without_colours(text)
    last.append(text)
    on_line(text)


def _read(process: subprocess.Popen[bytes], lines: SimpleQueue[bytes | None]) -> None:
    assert process.stdout
    with process.stdout as output:
        while line := output.readline(2**16):
            lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[bytes]) -> int:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(SAVING_SECONDS)
    end_group(process.pid)
    return process.wait()


def end_group(group: int) -> None:
    """Kill what a command has started and left behind."""
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
