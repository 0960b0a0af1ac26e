"""One input under watch: how long it took, what it was told, and whether anything was touched outside its folder."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

from foretoken.errors import ForetokenError

LIMIT_SECONDS = 5.0
"""Of work."""
WAIT_SECONDS = 90.0
"""On the clock, which runs on when other processes work."""
LONGEST_MESSAGE = 10_000
"""Characters of an error that a person can still read."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.symlink": (1,),
    "os.link": (1,),
}
"""Audit events that change what these of their arguments name; a link is changed itself, not what it leads to."""
SENTINEL = "outside.txt"


class Overdue(BaseException):
    """The time is up; no `except Exception` on the way takes it."""


@dataclass
class Outcome:
    """What became of one input."""

    verdict: str
    """`accepted`, `refused` (a ForetokenError), `traceback`, `hang` or `outside`."""
    seconds: float = 0.0
    detail: str = ""
    touched: list[str] = field(default_factory=list)
    """Paths outside, sockets, processes and pickles."""
    shown_by: str = ""
    """The input itself, where it shows a defect."""

    @property
    def bad(self) -> bool:
        """Whether this must not happen."""
        return self.verdict not in ("accepted", "refused")


class _Guard:
    """An audit hook cannot be removed, so one stays for ever and listens while `home` is set."""

    home: str | None = None
    touched: list[str]

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.home is None:
            return
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            self._look(arguments[0])
        elif event in CHANGES:
            for place in CHANGES[event]:
                self._look(arguments[place], follow=False)
        elif event in ("pickle.find_class", "socket.connect", "subprocess.Popen", "os.system", "os.exec"):
            self.touched.append(f"{event} {arguments[1:]}")

    def _look(self, path: Any, follow: bool = True) -> None:
        if not isinstance(path, str | bytes | os.PathLike) or os.fsdecode(path).startswith("/dev/"):
            return
        folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
        real = os.path.realpath(os.path.join(folder, name) if follow else folder)
        if self.home and os.path.commonpath([self.home, real]) != self.home:
            self.touched.append(real)


_guard = _Guard()
sys.addaudithook(_guard)


def watched(act: Callable[[Path], object], parent: Path) -> Outcome:
    """Do something in a new folder below `parent`, which must stay as it is, and see what becomes of it."""
    home, sentinel = parent / "inside", parent / SENTINEL
    home.mkdir()
    sentinel.write_text("untouched")
    before, began = _listing(parent), process_time()
    outcome = Outcome("accepted")
    try:
        with _alone(home), _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("error")
            act(home)
    except ForetokenError as error:
        outcome = Outcome("refused", detail=str(error))
    except Overdue as error:
        outcome = Outcome("hang", detail=_place(error))
    except BaseException as error:  # whatever it is, it is counted
        outcome = Outcome("traceback", detail=_place(error))
    outcome.seconds = process_time() - began
    outcome.touched = list(_guard.touched)
    if _listing(parent) != before:
        outcome.touched.append(f"the folder beside: {before} -> {_listing(parent)}")
    shutil.rmtree(home)
    return _judged(outcome)


def _judged(outcome: Outcome) -> Outcome:
    if outcome.touched:
        outcome.verdict, outcome.detail = "outside", "; ".join(outcome.touched)
    elif outcome.seconds > LIMIT_SECONDS:
        outcome.verdict = "hang"
    elif outcome.verdict == "refused" and len(outcome.detail) > LONGEST_MESSAGE:
        outcome.verdict, outcome.detail = "traceback", f"an error of {len(outcome.detail)} characters"
    return outcome


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Work in `home`, with the guard awake."""
    old = os.getcwd()
    os.chdir(home)
    _guard.touched, _guard.home = [], os.path.realpath(home)
    # What Python keeps of a module that is imported meanwhile is not the input's doing.
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        _guard.home, sys.dont_write_bytecode = None, kept
        os.chdir(old)


@contextmanager
def _time_limit() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Overdue

    timers = (signal.ITIMER_PROF, signal.SIGPROF, LIMIT_SECONDS), (signal.ITIMER_REAL, signal.SIGALRM, WAIT_SECONDS)
    old = {number: signal.signal(number, ring) for _, number, _ in timers}
    for timer, _, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, number, _ in timers:
            signal.setitimer(timer, 0)
            signal.signal(number, old[number])


def _listing(parent: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of all that lies beside `inside`."""
    found = [path for path in parent.iterdir() if path.name != "inside"]
    return {path.name: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


def _place(error: BaseException) -> str:
    """The error, and the last line of ours that it passed."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "foretoken" in Path(name).parts:
            place = f"{Path(name).parent.name}/{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"
