"""What is left of a Ray whose driver was killed is ended and removed, and nothing of a driver that lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from foretoken.launchers.local import OWNER, PREFIX, VARIABLE, RayFolder, sweep

SECONDS = 60.0
OWN = """
import os, subprocess, sys, time
from foretoken.launchers.local import RayFolder
folder = RayFolder()
with folder.marked():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(folder.path, folder.guard.pid, child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def driver() -> Iterator[subprocess.Popen[str]]:
    """A process that has a folder, and a child that stands for Ray."""
    with subprocess.Popen([sys.executable, "-c", OWN], stdout=subprocess.PIPE, text=True) as driver:
        yield driver
        driver.kill()


def said(driver: subprocess.Popen[str]) -> tuple[Path, int, int]:
    assert driver.stdout
    folder, guard, child = driver.stdout.readline().split()
    return Path(folder), int(guard), int(child)


def lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for_the_end(folder: Path, child: int) -> None:
    last = time.monotonic() + SECONDS
    while folder.exists() or lives(child):
        assert time.monotonic() < last, (list(folder.rglob("*")), lives(child))
        os.sched_yield()


def test_nothing_of_ray_outlives_a_driver_that_was_killed(driver: subprocess.Popen[str]) -> None:
    folder, _, child = said(driver)
    assert lives(child)
    driver.kill()
    wait_for_the_end(folder, child)


def test_the_next_driver_clears_away_what_nobody_else_has_and_nothing_of_one_that_lives(
    driver: subprocess.Popen[str],
) -> None:
    folder, guard, child = said(driver)
    sweep()
    assert lives(child)
    assert (folder / OWNER).exists()
    os.kill(guard, signal.SIGKILL)
    driver.kill()
    driver.wait()
    assert lives(child)
    sweep()
    wait_for_the_end(folder, child)


def test_a_folder_goes_when_its_ray_is_no_longer_needed(tmp_path: Path) -> None:
    folder = RayFolder()
    assert folder.path.parent == tmp_path
    assert folder.path.name.startswith(PREFIX)
    with folder.marked():
        assert os.environ[VARIABLE] == str(folder.path)
    assert VARIABLE not in os.environ
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    assert folder.guard.returncode == 0
