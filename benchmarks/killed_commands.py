"""kill -9 of commands, workers and drivers of a study with an own trainer, at random: does the same table come out?

    python benchmarks/killed_commands.py                                   # on this machine
    python benchmarks/killed_commands.py --launch 'kind = "ray"' --seed 1  # the lines of [launch] as in a study file

The trainer is a stand-in of a second a run (tests/own_trainer/stand_in.py). The study is run once in peace, then again
and again with kills until all have been made. A command is killed itself, a worker is the process that started one.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from foretoken.store.store import Store
from foretoken.study.maintenance import verify

STAND_IN = Path(__file__).parents[1] / "tests" / "own_trainer" / "stand_in.py"
STUDY = """
name = "killed"
[trainer]
command = "{python} train.py --params {{params}} --tokens {{tokens}} --out {{folder}} --fault slow"
code = ["train.py"]
retries = 2
[design]
kind = "ladder"
params = ["1M", "2M", "4M", "8M"]
tokens_per_param = [10, 20, 40]
[target]
compute_factor = 8
[launch]
{launch}
"""
MOST_SECONDS = 600.0


def commands(home: Path) -> dict[int, int]:
    """The running commands of the study in a folder: their processes, and those that started them."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and os.readlink(process / "cwd") == str(home):
                words = (process / "cmdline").read_bytes().split(b"\0")
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if b"train.py" in words and parent > 1:
                    found[int(process.name)] = parent
        except (OSError, IndexError):
            continue
    return found


def start(home: Path) -> subprocess.Popen[bytes]:
    """The study's driver."""
    with open(home / "output.txt", "ab") as output:
        verb = [sys.executable, "-m", "foretoken", "run", "killed.toml", "--json"]
        return subprocess.Popen(verb, cwd=home, stdout=output, stderr=output, start_new_session=True)


def kill(home: Path, victim: str, driver: subprocess.Popen[bytes], order: random.Random) -> bool:
    """Wait for a command, then kill; False where the study ended before there was one."""
    moment = time.monotonic() + order.uniform(0.0, 2.0)
    last = time.monotonic() + MOST_SECONDS
    while driver.poll() is None and time.monotonic() < last:
        there = commands(home)
        if there and time.monotonic() > moment:
            pid = order.choice(sorted(there))
            for number in {"command": [pid], "worker": [there[pid]], "driver": [driver.pid]}.get(
                victim, [driver.pid, there[pid]]
            ):
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    return False
            if victim in ("driver", "both"):
                driver.wait()
            return True
        time.sleep(0.02)
    return False


def digest(home: Path) -> str:
    """Of the table of the study, without what differs from one training to another."""
    return Store(home / "runs" / "killed").table().digest


def main() -> int:
    """Run, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launch", default="workers = 2")
    parser.add_argument("--seed", type=int, default=0)
    for name, number in (("workers", 20), ("drivers", 10), ("both", 5), ("commands", 10)):
        parser.add_argument(f"--{name}", type=int, default=number)
    chosen = parser.parse_args()
    order = random.Random(chosen.seed)
    plan = ["worker"] * chosen.workers + ["driver"] * chosen.drivers + ["both"] * chosen.both
    plan += ["command"] * chosen.commands
    order.shuffle(plan)
    done: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as parent:
        home = Path(os.path.realpath(parent))
        shutil.copy(STAND_IN, home / "train.py")
        launch = chosen.launch.replace("\\n", "\n")
        (home / "killed.toml").write_text(STUDY.format(python=sys.executable, launch=launch))
        start(home).wait()
        expected, runs = digest(home), len(list(home.glob("runs/killed/runs/*/record.json")))
        shutil.rmtree(home / "runs")
        driver = start(home)
        while plan:
            if driver.poll() is not None:
                _look(home, driver, expected, runs, wrong)
                driver = start(home)
            if kill(home, plan[-1], driver, order):
                done[plan.pop()] += 1
                print(f"{sum(done.values())} kills, {len(wrong)} things wrong", flush=True)
        driver.wait()
        _look(home, driver, expected, runs, wrong)
        time.sleep(3)
        if left := commands(home):
            wrong.append(f"commands {sorted(left)} outlived the study")
        print((home / "output.txt").read_text()[-2000:] if wrong else "")
    print(f"{runs} runs a study; kills: {dict(done)}; {len(wrong)} things wrong: {wrong}")
    return 1 if wrong else 0


def _look(home: Path, driver: subprocess.Popen[bytes], expected: str, runs: int, wrong: list[str]) -> None:
    """After the end of a driver: where the study is done, hold it against the first and begin another."""
    for _ in range(3):  # what was killed too often is a failed run, which the next start tries again
        if driver.returncode == 0:
            break
        if driver.returncode < 0:
            return
        driver = start(home)
        driver.wait()
    folder = home / "runs" / "killed"
    if digest(home) != expected or len(list(folder.glob("runs/*/record.json"))) != runs:
        wrong.append("another table")
    if findings := verify(folder):
        wrong.append(f"verify: {findings[0]}")
    shutil.rmtree(home / "runs")


if __name__ == "__main__":
    sys.exit(main())
