"""A study whose files go to a bucket: its machine dies at its Nth operation, another one has the bucket alone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from foretoken.runs.study_file import Study
from foretoken.store import push
from foretoken.store.store import Store
from foretoken.study import bucket_copy
from foretoken.study.maintenance import verify

from . import tiny
from .drivers import contents
from .shim import FaultySystem
from .sweep import Trial, Undisturbed, in_child

LOCAL = {"log/curves.jsonl", "calibration.json"}
"""Files of one machine."""


@contextmanager
def quick() -> Iterator[None]:
    """What is written is copied at once, and a bucket that fails is soon given up."""
    with (
        patch.object(push, "LOOK_SECONDS", 0.05),
        patch.object(push, "WAIT_SECONDS", 0.1),
        patch.object(bucket_copy, "FAILING_SECONDS", 1.0),
        patch.object(bucket_copy, "STAGE_SECONDS", 2.0),
    ):
        yield


def study_at(there: Path, **launch: Any) -> Study:
    """The tiny study, its bucket the folder `there`."""
    return tiny.tiny_study(bucket=f"file://{there}", **launch)


def at_home(home: Path) -> Path:
    """Where a machine has the study."""
    return home / "runs" / "tiny"


def results(folder: Path) -> dict[str, bytes]:
    """The files that count on every machine."""
    files = {name: content for name, content in contents(folder).items() if name not in LOCAL}
    return {name: content for name, content in files.items() if not name.startswith(("attempts/", "progress"))}


def grow_old(there: Path) -> None:
    """The last machine has given no sign of life for long."""
    for path in (there / "attempts").glob("*.json"):
        os.utime(path, (time.time() - 1e4,) * 2)


def machine_lost(home: Path, at: int, expected: Undisturbed) -> Trial:
    """Run the study in the new folder `home` until its Nth operation and lose it; then from the bucket alone.

    The operations are those of the study and, between them, those that copy; which is the Nth depends on the clock.
    """
    first, second, there = at_home(home / "first"), at_home(home / "second"), home / "there"
    system = FaultySystem("kill", at)

    def disturbed() -> str:
        tiny.run(first, system, study_at(there))
        return "finished"

    ended = in_child(disturbed, "killed")
    trial = Trial(at, ended == "killed", ended)
    shutil.rmtree(first.parent)
    grow_old(there)
    recorded = {name: content for name, content in contents(there).items() if name.endswith("/record.json")}
    tiny.run(second, study=study_at(there))
    found = contents(second)
    trial.wrong += [] if Store(second).table().digest == expected.digest else ["another table"]
    trial.wrong += [f"{one.path}: {one.problem}" for one in [*verify(second), *verify(f"file://{there}")]]
    trial.wrong += [f"trained again: {name}" for name, content in recorded.items() if found.get(name) != content]
    copied, made = results(there), results(second)
    trial.wrong += [f"not as copied: {n}" for n in sorted(copied | made) if copied.get(n) != made.get(n)]
    return trial
