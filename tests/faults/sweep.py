"""A fault at the Nth operation of the door, then the same study without it: is everything as if nothing had been?"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from foretoken.errors import ForetokenError, StoreError
from foretoken.store.atomic import TEMPORARY
from foretoken.store.store import Store
from foretoken.study.maintenance import verify

from . import tiny
from .shim import KILLED, FaultySystem

T = TypeVar("T")


@dataclass
class Trial:
    """What became of a study with a fault at its Nth operation."""

    at: int
    reached: bool
    """Whether the study came so far; the first N that it did not reach ends a sweep."""
    first: str
    """How the disturbed run ended: `killed`, `finished`, `refused` (a StoreError), or a traceback."""
    told: str = ""
    """What it said."""
    wrong: list[str] = field(default_factory=list)
    """What was not as it should be."""


@dataclass(frozen=True)
class Undisturbed:
    """What a study must end in."""

    digest: str
    operations: int
    files: frozenset[str]


def undisturbed(home: Path) -> Undisturbed:
    """Run the study without a fault."""
    system = FaultySystem()
    tiny.run(home / "tiny", system)
    return Undisturbed(Store(home / "tiny").table().digest, system.calls, _files(home))


def trial(home: Path, kind: str, at: int, expected: Undisturbed) -> Trial:
    """Run the study in the new folder `home` with a fault, in a process of its own, then without."""
    reached, first, told = in_child(lambda: _disturbed(home / "tiny", kind, at), (True, "killed", ""))
    result = Trial(at, reached, first, told)
    result.wrong += _wrong_with_the_end(result, kind)
    result.wrong += in_child(lambda: wrong_afterwards(home, expected), ["the second run died"])
    return result


def _disturbed(folder: Path, kind: str, at: int) -> tuple[bool, str, str]:
    system = FaultySystem(kind, at)
    try:
        tiny.run(folder, system)
    except StoreError as error:
        return system.met, "refused", str(error)
    except Exception:
        return system.met, "traceback", traceback.format_exc()
    return system.met, "finished", ""


def _wrong_with_the_end(trial: Trial, kind: str) -> list[str]:
    """A full disk or a broken one is told, with its cause and a cure."""
    if trial.first == "traceback":
        return [trial.told]
    if trial.first != "refused":
        return []
    cause = "Input/output error" if kind.startswith("eio") else "disk full: "
    expected = [cause, "cure: "] + (["bytes"] if kind.startswith("enospc") else [])
    return [f"not told: {word!r} in {trial.told!r}" for word in expected if word not in trial.told]


def wrong_afterwards(home: Path, expected: Undisturbed) -> list[str]:
    """Run the study again, and look for anything that tells it from one that nothing disturbed."""
    folder = home / "tiny"
    try:
        result = tiny.run(folder)
    except ForetokenError as error:
        return [f"the second run: {error}"]
    wrong = [] if Store(folder).table().digest == expected.digest else ["another table"]
    wrong += [f"{finding.path}: {finding.problem}" for finding in verify(folder)]
    wrong += [f"unknown or missing: {name}" for name in sorted(_files(home) ^ expected.files)]
    if result["forecast"] is None or result["outcome"] is None:
        wrong.append("no forecast, or none that was scored")
    return wrong


def _files(home: Path) -> frozenset[str]:
    """Names of all files; that of the attempt differs by right."""
    names = (path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return frozenset("attempt" if "/attempts/" in name and TEMPORARY not in name else name for name in names)


def in_child(work: Callable[[], T], otherwise: T) -> T:
    """What `work` gives, called in a child of this process; `otherwise` where the child was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _answer(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == KILLED:
        return otherwise
    result: T = pickle.loads(answer)
    return result


def _answer(work: Callable[[], Any], writing: int) -> None:
    status = 1
    try:
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(work()))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def cleared(home: Path) -> Path:
    """The folder, empty."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(home)
    home.mkdir(parents=True)
    return home
