"""kill -9 of real processes, inside a training step, a checkpoint's write, a cooldown, or anywhere."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from foretoken.store.store import Store
from foretoken.study.maintenance import verify

from .drivers import changed, contents, expire
from .tiny import TINY

SITE = Path(__file__).parent / "site"
PLACES = ("step", "checkpoint", "cooldown", "anywhere")
VICTIMS = ("worker", "driver", "group")
MOST_SECONDS = 300.0
"""Time after which something hangs."""
GONE_SECONDS = 10.0
"""Time in which a worker must be gone after its driver."""
LATEST_VISIT, LATEST_MOMENT = 6, 3.0
"""A place is met at its 1st to 6th visit; `anywhere` is within so many seconds."""


@dataclass
class Campaign:
    """Studies that are killed again and again, one after another, in the folder `home`."""

    home: Path
    random: random.Random
    digest: str
    """Of the undisturbed table."""
    workers: int = 2
    kills: list[tuple[str, str]] = field(default_factory=list)
    """(victim, place) of each."""
    studies: int = 0
    slowest_end: float = 0.0
    """Longest time that a worker outlived its driver, in seconds."""
    wrong: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """Further variables of the environment, for site/sitecustomize.py."""

    def __post_init__(self) -> None:
        self.points = self.home / "points"
        self.points.mkdir(parents=True)
        (self.home / "tiny.toml").write_text(TINY.replace("workers = 2", f"workers = {self.workers}"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.home / "studies" / "tiny"

    def run(self, plan: list[tuple[str, str]]) -> None:
        """Kill by plan, then let the last study finish."""
        for victim, place in plan:
            while not self.kill(victim, place):
                self.finish()
        self.finish()

    def start(self) -> subprocess.Popen[bytes]:
        """The study's driver; the one that runs, or a new one."""
        if self.process is None or self.process.poll() is not None:
            paths = os.pathsep.join(filter(None, (str(SITE), os.environ.get("PYTHONPATH"))))
            environment = {**os.environ, "PYTHONPATH": paths, "FAULT_POINTS": str(self.points), **self.settings}
            with open(self.home / "output.txt", "ab") as output:
                self.process = subprocess.Popen(self.command, stdout=output, stderr=output, env=environment)
        return self.process

    @property
    def command(self) -> list[str]:
        """Runs the study."""
        study, folder = str(self.home / "tiny.toml"), str(self.folder)
        return [sys.executable, "-m", "foretoken", "run", study, "--folder", folder, "--json"]

    def kill(self, victim: str, place: str) -> bool:
        """One kill; False where the study ended before it came to the place."""
        driver = self.start()
        reached = self._anywhere(driver) if place == "anywhere" else self.halt(driver, place)
        workers = [pid for pid in children(driver.pid) if is_running(pid)]
        if not reached or (victim == "worker" and not workers):
            return False
        worker = reached if reached in workers else (workers or [0])[0]
        for pid in {"worker": [worker], "driver": [driver.pid], "group": [driver.pid, *workers]}[victim]:
            os.kill(pid, signal.SIGKILL)
        self.kills.append((victim, place))
        if victim != "worker":
            driver.wait()
            self.must_be_gone(workers)
        return True

    def halt(self, driver: subprocess.Popen[bytes], place: str) -> int:
        """Wait until a worker stands still at a place; its pid, or 0 when the study ended before."""
        for name in ("armed", "reached"):
            (self.points / name).unlink(missing_ok=True)
        order = {"kind": place, "at": self.random.randint(1, LATEST_VISIT), "number": len(self.kills)}
        (self.points / "draft").write_text(json.dumps(order))
        (self.points / "draft").rename(self.points / "armed")
        for _ in waiting(f"no worker came to a {place}"):
            if (self.points / "reached").exists():
                return int((self.points / "reached").read_text())
            if driver.poll() is not None:
                (self.points / "armed").unlink(missing_ok=True)
                return 0
        return 0

    def _anywhere(self, driver: subprocess.Popen[bytes]) -> int:
        """Wait for a random time; the driver's pid, or 0 when the study ended before."""
        moment = time.monotonic() + self.random.uniform(0.0, LATEST_MOMENT)
        while time.monotonic() < moment and driver.poll() is None:
            time.sleep(0.01)
        return driver.pid if driver.poll() is None else 0

    def must_be_gone(self, workers: list[int]) -> None:
        """Wait until the workers have ended."""
        began = time.monotonic()
        while left := [pid for pid in workers if is_running(pid)]:
            if time.monotonic() - began > GONE_SECONDS:
                self.wrong.append(f"workers {left} outlived their driver")
                return
            time.sleep(0.005)
        self.slowest_end = max(self.slowest_end, time.monotonic() - began)

    def finish(self) -> None:
        """Run the study until it ends, hold it against the undisturbed one, and begin another."""
        (self.points / "armed").unlink(missing_ok=True)
        for _ in range(3):  # a job whose worker was killed twice is failed, and tried again by the next run
            if self.start().wait(MOST_SECONDS) == 0:
                break
        if Store(self.folder).table().digest != self.digest:
            self.wrong.append(f"another table in study {self.studies}")
        self.wrong += [f"{finding.path}: {finding.problem}" for finding in verify(self.folder)]
        self.wrong += [f"left over: {path}" for path in self.folder.parent.rglob("*.tmp")]
        output = (self.home / "output.txt").read_text() + (self.folder / "log" / "workers.txt").read_text()
        self.wrong += [output[output.index("Traceback") :]] if "Traceback" in output else []
        self.studies += 1
        self.process = None
        shutil.rmtree(self.folder.parent)


def freeze(campaign: Campaign, who: str) -> list[str]:
    """Stop a driver, a worker, or both; what is wrong with what follows, and after they have gone on.

    A study whose driver stands still for longer than its lease is taken over; the late ones must change nothing. One
    whose worker alone stands still is not.
    """
    driver = campaign.start()
    worker, workers = campaign.halt(driver, "step"), children(driver.pid)
    stopped = {"driver": [driver.pid], "group": [driver.pid, *workers], "worker": [worker]}[who]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    if who != "worker":
        expire(campaign.folder)
    second = subprocess.run(campaign.command, capture_output=True, text=True, check=False)
    before = contents(campaign.folder)
    (campaign.points / "released").touch()
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    codes = (second.returncode, driver.wait(MOST_SECONDS))
    campaign.must_be_gone(workers)
    told = second.stderr if who == "worker" else (campaign.home / "output.txt").read_text()
    expected = ((2, 0), f"got: pid {driver.pid} on ") if who == "worker" else ((0, 2), "was taken over by another")
    wrong = [] if (codes, expected[1] in told) == (expected[0], True) else [f"{who}: {codes}: {told}"]
    if who != "worker":
        wrong += [f"{who}: changed {name}" for name in changed(before, contents(campaign.folder))]
    campaign.finish()
    return wrong + campaign.wrong


def plan(count: int, at_step: int, at_checkpoint: int, at_cooldown: int, order: random.Random) -> list[tuple[str, str]]:
    """So many kills in a random order: the victims by turns at each place, the rest anywhere."""
    places = [("step", at_step), ("checkpoint", at_checkpoint), ("cooldown", at_cooldown)]
    places.append(("anywhere", count - at_step - at_checkpoint - at_cooldown))
    kills = [(VICTIMS[number % 3], place) for place, much in places for number in range(much)]
    return order.sample(kills, len(kills))


def waiting(complaint: str) -> Iterator[None]:
    """Again and again, until it has lasted too long."""
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(0.01)
    raise TimeoutError(complaint)


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(child) for child in listed.stdout.split()]


def is_running(pid: int) -> bool:
    """Whether a process still works; one that has ended and waits for its parent does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
