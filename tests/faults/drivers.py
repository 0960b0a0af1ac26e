"""Several drivers released at once onto one study: who gets it, and what the others are told."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.errors import StoreError, StudyBusyError
from foretoken.store.lease import newest_attempt
from foretoken.study.progress import ProgressListener
from foretoken.study.run_study import run

from .tiny import tiny_study

LONGEST = 120
"""Seconds after which a driver that nobody released ends."""


class Gate:
    """Closed until it is opened, for this process and its children."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def wait(self) -> None:
        os.close(self.writing)
        os.read(self.reading, 1)

    def open(self) -> None:
        os.close(self.writing)
        os.close(self.reading)


@dataclass
class Driver:
    """A process that runs a study; it stops in one of its phases until `finish` opens."""

    pid: int
    answers: Any

    def answer(self) -> dict[str, Any]:
        """The next thing it says: owns, busy, refused, ended; `died` where it says nothing any more."""
        line = self.answers.readline()
        return json.loads(line) if line else {"what": "died"}

    def end(self) -> None:
        """Wait until the process is gone."""
        self.answers.close()
        os.waitpid(self.pid, 0)


def driver(folder: Path, start: Gate, finish: Gate, phase: int = 1) -> Driver:
    """Fork a driver that begins when `start` opens, and stops in its n-th phase."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return Driver(pid, os.fdopen(reading))
    signal.alarm(LONGEST)
    with os.fdopen(writing, "w", buffering=1) as out:
        _drive(folder, start, finish, phase, lambda **said: out.write(json.dumps(said) + "\n"))
    os._exit(0)


def _drive(folder: Path, start: Gate, finish: Gate, phase: int, say: Callable[..., Any]) -> None:
    class Stopping(ProgressListener):
        phases = 0

        def phase(self, text: str) -> None:
            self.phases += 1
            if self.phases == phase:
                say(what="owns", phase=text)
                finish.wait()

    start.wait()
    try:
        run(tiny_study(), folder, Stopping())
        say(what="ended")
    except StudyBusyError as error:
        say(what="busy", told=str(error))
    except StoreError as error:
        say(what="refused", told=str(error))
    except BaseException as error:
        say(what="died", told=repr(error))


@contextmanager
def an_owner(folder: Path, phase: int = 1) -> Iterator[Driver]:
    """A driver that stands in a phase of the study; it goes on afterwards."""
    start, finish = Gate(), Gate()
    owner = driver(folder, start, finish, phase)
    start.open()
    assert owner.answer()["what"] == "owns"
    yield owner
    finish.open()


def wake_late(folder: Path, phase: int, take_over: Callable[[], list[str]]) -> list[str]:
    """What is wrong when an owner is frozen in a phase, taken over, and wakes: it must change nothing, and say why."""
    with an_owner(folder, phase) as owner:
        os.kill(owner.pid, signal.SIGSTOP)
        expire(folder)
        wrong = take_over()
        before = contents(folder)
        os.kill(owner.pid, signal.SIGCONT)
    last = owner.answer()
    owner.end()
    if last["what"] != "refused" or "taken over" not in last["told"]:
        wrong.append(f"the late owner: {last}")
    return wrong + [f"the late owner changed {name}" for name in changed(before, contents(folder))]


def contend(folder: Path, count: int) -> list[str]:
    """Release so many drivers at once; what was wrong: one must own the study, the others say who does."""
    start, finish = Gate(), Gate()
    drivers = [driver(folder, start, finish) for _ in range(count)]
    start.open()
    answers = [driver.answer() for driver in drivers]
    finish.open()
    wrong = [f"{answer}" for answer in answers if answer["what"] not in ("owns", "busy")]
    owners = [driver for driver, answer in zip(drivers, answers, strict=True) if answer["what"] == "owns"]
    if len(owners) != 1:
        wrong.append(f"{len(owners)} drivers own the study")
    for owner in owners:
        wrong += [f"owner: {last}" for last in [owner.answer()] if last["what"] != "ended"]
        expected = f"pid {owner.pid} on {socket.gethostname()} since {time.strftime('%Y-%m-%d', time.gmtime())}"
        wrong += [f"busy: {a['told']}" for a in answers if a["what"] == "busy" and expected not in a["told"]]
    for driver_ in drivers:
        driver_.end()
    return wrong


def contend_for_new(folder: Path, count: int) -> list[str]:
    """... for a folder that does not exist yet."""
    return contend(folder, count)


def contend_after_death(folder: Path, count: int) -> list[str]:
    """... for one whose owner was killed and left its lease."""
    with an_owner(folder) as owner:
        os.kill(owner.pid, signal.SIGKILL)
        owner.end()
        return contend(folder, count)


def contend_after_freeze(folder: Path, count: int) -> list[str]:
    """... for one whose owner stands still for longer than its lease; when it wakes it has lost."""
    return wake_late(folder, 1, lambda: contend(folder, count))


VARIANTS = {"new": contend_for_new, "owner killed": contend_after_death, "owner frozen": contend_after_freeze}


def expire(folder: Path) -> None:
    """Make the newest attempt old, by the file server's clock."""
    newest = folder / "attempts" / f"{newest_attempt(folder / 'attempts'):09d}.json"
    long_ago = time.time() - 1e6
    os.utime(newest, (long_ago, long_ago))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Files that came, went or are not the same."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
