"""The folder that a driver shares with its workers on a cluster, and the sign in it that the driver lives.

log/slurm/<launcher>/
pulse            written anew every few seconds; "over" when the driver wants no more of its workers
jobs             the names of the jobs that were submitted, one a line
worker-0000/     what driver and worker say to each other (array_worker.py)
*_submitted.pkl  what submitit starts, written and read below this folder alone
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
import weakref
from pathlib import Path

from foretoken.errors import ForetokenError
from foretoken.launchers.array_worker import BEAT_SECONDS, OVER, PULSE
from foretoken.launchers.mailbox import Mailbox
from foretoken.launchers.messages import Left
from foretoken.launchers.slurm_commands import cancel_waiting
from foretoken.store.atomic import write_file, writing

ENDING_SECONDS = 15.0
"""How long the workers of a driver that was killed are waited for."""


class Home:
    """The folder of one launcher."""

    def __init__(self, root: Path) -> None:
        self.folder = (root / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}").resolve()
        self.numbers, over = itertools.count(), threading.Event()
        with writing(self.folder):
            self.folder.mkdir(parents=True)
        write_file(self.folder / PULSE, b"0")
        threading.Thread(target=_pulsate, args=(self.folder, over), daemon=True).start()
        # Also when nobody closes the launcher; but not when its process is killed.
        self.close = weakref.finalize(self, _end, self.folder, over)

    def new_worker(self) -> Path:
        """An empty folder for another worker."""
        folder = self.folder / f"worker-{next(self.numbers):04d}"
        with writing(folder):
            folder.mkdir()
        return folder

    def note(self, jobs: list[str]) -> None:
        """Keep the names of submitted jobs, for whoever comes after a driver that was killed."""
        with writing(self.folder), open(self.folder / "jobs", "a") as file:
            file.writelines(f"{job}\n" for job in jobs)


def _pulsate(folder: Path, over: threading.Event) -> None:
    for number in itertools.count(1):
        if over.wait(BEAT_SECONDS):
            return
        with contextlib.suppress(ForetokenError, OSError):  # a full disk: the workers will think that they are alone
            write_file(folder / PULSE, str(number).encode())


def _end(folder: Path, over: threading.Event) -> None:
    over.set()
    with contextlib.suppress(ForetokenError, OSError):
        if folder.is_dir():
            write_file(folder / PULSE, OVER.encode())


def end_leftovers(root: Path, in_queue: bool) -> None:
    """End the workers of drivers that were killed: those under way save and end, those in a queue are cancelled.

    The study is ours now, so whatever else works for it works for nobody; what it saves, we go on from.
    """
    orphaned = [path for path in root.glob(f"*/{PULSE}") if path.read_text() != OVER]
    for pulse in orphaned:
        names = pulse.parent / "jobs"
        if in_queue and names.is_file():
            cancel_waiting(names.read_text().split())
        write_file(pulse, OVER.encode())
    last = time.monotonic() + ENDING_SECONDS
    busy = [life for pulse in orphaned for life in _newest_lives(pulse.parent)]
    while busy and time.monotonic() < last:
        time.sleep(0.2)
        busy = [path for path in busy if not _has_left(path)]


def _newest_lives(home: Path) -> list[Path]:
    """What each worker of a home has said in its newest life, where that was not long ago."""
    lives = [max(worker.glob("life-*/to_driver"), default=None) for worker in home.glob("worker-*")]
    # Of workers that were killed with their driver nothing is to be expected.
    recent = time.time() - 3 * BEAT_SECONDS
    return [life for life in lives if life and life.stat().st_mtime > recent and not _has_left(life)]


def _has_left(path: Path) -> bool:
    return any(isinstance(message, Left) for message in Mailbox(path).read())
