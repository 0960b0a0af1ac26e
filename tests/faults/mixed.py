"""Faults of several kinds, one after another, in one study: the clock, the disk, the folder, its processes.

Each round does one thing to a running study and waits until its driver has answered; then the study is run again. What
counts is what is there at the end: the table and the score of the undisturbed study, and no process.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foretoken.store.store import Store
from foretoken.study.study_status import status

from .kills import Campaign, children, is_running, waiting

JUMPS = (-315_576_000.0, -3600.0, 3600.0, 315_576_000.0)
"""Ten years and an hour, back and forward, in seconds."""
LATEST = 4.0
"""A round's fault comes within so many seconds of its driver's start."""
MOMENT = 0.6
"""Seconds for which a disk is full, a folder away, or a process stopped."""
STEP_SECONDS = 0.4
"""By which each step is longer, so that one study lives through all rounds."""
ENDINGS = {0, 1, 2}
"""What a driver may end with when something is done to it; a signal has a number of its own."""


@dataclass
class Mixed(Campaign):
    """A campaign whose rounds are of different kinds."""

    rounds: Counter[str] = field(default_factory=Counter)
    pids: set[int] = field(default_factory=set)
    """Every process that was seen."""

    score: dict[str, Any] | None = None
    """Forecast and outcome of the undisturbed study."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings |= {"FAULTS_MIXED": "1", "FAULT_SLOW": str(STEP_SECONDS)}
        self.faults: dict[str, Callable[[int], None]] = {
            "clock": self.set_clock,
            "stopped worker": self.stop_worker,
            "stopped driver": self.stop_driver,
            "full disk": self.fill_disk,
            "early death": self.kill_early,
            "dead worker": self.kill_worker,
            "dead driver": self.kill_driver,
            "folder renamed": self.rename_folder,
        }

    def round(self, kind: str) -> None:
        """One fault to a study that runs, and its answer."""
        driver = self.start()
        if kind != "early death":
            self._sleep(self.random.uniform(0.0, LATEST), driver.pid)
        if driver.poll() is None:
            self.faults[kind](driver.pid)
            self.rounds[kind] += 1
        self.pids |= {driver.pid, *children(driver.pid)}
        if driver.poll() not in {None, *ENDINGS, -signal.SIGKILL}:
            self.wrong.append(f"{kind}: the driver ended with {driver.returncode}")

    def set_clock(self, _: int) -> None:
        """Set the clock of every process, from now on."""
        draft = self.points / "clock-draft"
        draft.write_text(str(self.random.choice(JUMPS)))
        draft.rename(self.points / "clock")

    def stop_worker(self, driver: int) -> None:
        """Stop a worker for good; it is noticed, ended, and its run tried again."""
        for worker in children(driver)[:1]:
            self._signal(worker, signal.SIGSTOP)
            self.pids.add(worker)

    def stop_driver(self, driver: int) -> None:
        """Stop the driver for a moment."""
        self._signal(driver, signal.SIGSTOP)
        time.sleep(MOMENT)
        self._signal(driver, signal.SIGCONT)

    def fill_disk(self, driver: int) -> None:
        """Nothing can be written for a moment."""
        (self.points / "full").touch()
        self._sleep(MOMENT, driver)
        (self.points / "full").unlink()

    def kill_early(self, driver: int) -> None:
        """Kill a worker as soon as there is one, most likely before it is ready."""
        end = time.monotonic() + LATEST
        while time.monotonic() < end and is_running(driver):
            if workers := children(driver):
                self._signal(workers[0], signal.SIGKILL)
                return

    def kill_worker(self, driver: int) -> None:
        """Kill a worker."""
        for worker in children(driver)[:1]:
            self._signal(worker, signal.SIGKILL)

    def kill_driver(self, driver: int) -> None:
        """Kill the driver; its workers end by themselves."""
        workers = children(driver)
        self._signal(driver, signal.SIGKILL)
        self.start_again()
        self.must_be_gone(workers)

    def rename_folder(self, driver: int) -> None:
        """Take the folder away; the driver ends, and it is put back."""
        away = self.folder.with_name("away")
        while is_running(driver) and not self._has_begun(driver):  # one that has not looked yet begins a new folder
            time.sleep(0.01)
        if not is_running(driver):
            return
        self.folder.rename(away)
        workers = children(driver)
        for _ in waiting("a driver whose folder is gone goes on"):
            if not is_running(driver):
                break
        self.start_again()
        self.must_be_gone(workers)
        if self.folder.exists():
            self.wrong.append("the folder was made anew by a driver that had lost it")
        else:
            away.rename(self.folder)

    def _has_begun(self, driver: int) -> bool:
        """Whether the driver owns the folder: the newest attempt names it."""
        attempts = sorted((self.folder / "attempts").glob("*.json"))
        with contextlib.suppress(OSError, ValueError):
            return bool(attempts) and json.loads(attempts[-1].read_text())["pid"] == driver
        return False

    def start_again(self) -> None:
        """Let the next round start a driver."""
        if self.process is not None:
            self.process.wait()

    def end(self) -> None:
        """Let the study finish, with whatever clock it has by now; nothing may be left over."""
        score = self._finished_score()
        self.finish()
        if score != self.score:
            self.wrong.append(f"another score: {score}, not {self.score}")
        for _ in range(500):
            left = [pid for pid in self.pids if is_running(pid)]
            if not left:
                return
            time.sleep(0.02)
        self.wrong.append(f"processes left: {left}")

    def _finished_score(self) -> dict[str, Any] | None:
        for _ in range(4):
            if self.start().wait() == 0:
                break
        return score_of(self.folder)

    def _sleep(self, seconds: float, driver: int) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and is_running(driver):
            time.sleep(0.01)

    def _signal(self, pid: int, number: int) -> None:
        if is_running(pid):
            os.kill(pid, number)


def score_of(folder: Path) -> dict[str, Any]:
    """What was forecast and what came out, without times."""
    told = status(folder)
    forecast, outcome = told.forecast, told.outcome
    return {
        "forecast": None if forecast is None else [forecast.loss, forecast.low, forecast.high],
        "outcome": None if outcome is None else [outcome.loss, outcome.inside, outcome.error],
    }


def plan(rounds: int, order: random.Random) -> list[str]:
    """Every kind equally often, in a random order."""
    kinds = ["clock", "stopped worker", "stopped driver", "full disk", "early death", "dead worker", "dead driver"]
    kinds.append("folder renamed")
    return order.sample((kinds * rounds)[:rounds], rounds)


def undisturbed(home: Path) -> tuple[str, dict[str, Any]]:
    """The digest of the table and the score of a study of the same command, to which nothing is done."""
    campaign = Campaign(home, random.Random(0), "")
    assert campaign.start().wait() == 0, (home / "output.txt").read_text()
    return Store(campaign.folder).table().digest, score_of(campaign.folder)
