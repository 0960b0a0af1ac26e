"""Functions that the launcher's tests launch in worker processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from foretoken.launchers.launcher import Note, Report, Stop


def square(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    report(Note(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']} {os.environ.get('OMP_WAIT_POLICY')}"))
    print("a stray print must not break the protocol")
    return argument["x"] ** 2


def fail(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    if argument["x"] == 1:
        raise ValueError("one is not allowed")
    return argument["x"]


def die_once(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    mark = Path(argument["mark"])
    if argument["always"] or not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def wait_for_stop(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    report(Note("waiting"))
    while not stop():
        pass
    Path(argument["mark"]).touch()
    return None


def say_pid(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    """Report the own pid, then do nothing that a stop would end."""
    report(Note(str(os.getpid())))
    while True:
        pass


def stand_still_once(argument: dict[str, Any], report: Report, stop: Stop) -> Any:
    mark = Path(argument["mark"])
    if argument["always"] or not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return "alive"
