"""One study on Ray, through submitit and on a real SLURM: the bits of this machine's own, whatever is killed meanwhile.

Each starts a cluster and takes up to a minute, so they run where FORETOKEN_CLUSTERS=1 asks for them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from foretoken.launchers import LAUNCHERS, Launcher
from foretoken.runs.record import RunRecord
from foretoken.store.read import read_table
from foretoken.study.maintenance import verify
from foretoken.study.progress import ProgressListener
from foretoken.study.run_study import run

from ..faults import tiny
from .slurm_node import NoNode, slurm_node

KINDS: dict[str, dict[str, Any]] = {
    "ray": {"kind": "ray"},
    "submitit": {"kind": "slurm", "executor": "local"},
    "slurm": {"kind": "slurm", "partition": "small"},
}
WORKERS = {"ray": "ray::JobActor", "submitit": "launchers.array_worker", "slurm": "launchers.array_worker"}
"""What the command line of a worker holds."""
LONG = 120.0
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(not os.environ.get("FORETOKEN_CLUSTERS"), reason="starts clusters: set FORETOKEN_CLUSTERS=1"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SLURM of one node."""
    try:
        with slurm_node(tmp_path_factory.mktemp("slurm")) as configuration, pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(configuration))
            yield
    except NoNode as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    package = "ray" if request.param == "ray" else "submitit"
    if not find_spec(package):
        pytest.skip(f"{package} is not installed")
    if request.param == "slurm":
        request.getfixturevalue("node")
    return str(request.param)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The table's digest as this process itself trains it."""
    folder = tmp_path_factory.mktemp("here") / "tiny"
    with tiny.in_process():
        tiny.run(folder)
    return read_table(folder).digest


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A number of three digits is a temporary folder that is not resolved yet: workers start in the same one.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))


class Listener(ProgressListener):
    """Does something when the first run has its record."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then: Callable[[], None] | None = then
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def ended(self, record: RunRecord) -> None:
        then, self.then = self.then, None
        if then:
            then()


def launcher_of(kind: str) -> Launcher:
    section = tiny.tiny_study(**KINDS[kind]).launch
    return LAUNCHERS[section.kind](section)


def train(kind: str, folder: Path, listener: Listener) -> None:
    with tiny.in_process():
        run(tiny.tiny_study(**KINDS[kind]), folder, listener=listener, launcher=launcher_of(kind))


def workers(kind: str, home: Path) -> list[int]:
    """The workers that were started for the study in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode()
            if WORKERS[kind] in command and (process / "cwd").readlink() == home:
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_the_same_table_though_all_workers_are_killed_once(kind: str, expected: str, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        killed.extend(workers(kind, tmp_path))
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    listener, folder = Listener(kill), tmp_path / "tiny"
    train(kind, folder, listener)
    assert killed
    assert any("a worker was lost" in note for note in listener.notes)
    assert read_table(folder).digest == expected
    assert verify(folder) == []


DRIVER = """
import json, sys
from pathlib import Path
from foretoken.study.run_study import run
from tests.faults import tiny
run(tiny.tiny_study(**json.loads(sys.argv[1])), Path(sys.argv[2]))
"""


def test_a_driver_that_is_killed_leaves_a_study_that_goes_on(kind: str, expected: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    command = [sys.executable, "-c", DRIVER, json.dumps(KINDS[kind]), str(folder)]
    with subprocess.Popen(command) as driver:
        last = time.monotonic() + LONG
        while not list(folder.glob("runs/*/record.json")) and time.monotonic() < last and driver.poll() is None:
            time.sleep(0.02)
        driver.kill()
    before = {path: path.read_bytes() for path in folder.glob("runs/*/record.json")}
    assert before
    train(kind, folder, Listener(lambda: None))
    assert read_table(folder).digest == expected
    assert verify(folder) == []
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("command", ["requeue", "scancel"])
def test_jobs_that_slurm_requeues_or_cancels_cost_no_run(
    command: str, node: None, expected: str, tmp_path: Path
) -> None:
    touched: list[str] = []

    def strike() -> None:
        names = [name for path in tmp_path.glob("tiny/log/slurm/*/jobs") for name in path.read_text().split()]
        running = subprocess.check_output(["squeue", "--me", "-h", "--array", "-t", "R", "-o", "%i"], text=True).split()
        touched.extend(set(names) & set(running))
        for name in touched:
            subprocess.run(["scontrol", "requeue", name] if command == "requeue" else ["scancel", name], check=True)

    listener, folder = Listener(strike), tmp_path / "tiny"
    train("slurm", folder, listener)
    assert touched
    assert read_table(folder).digest == expected
    assert verify(folder) == []
