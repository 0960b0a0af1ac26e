"""Kills of workers, drivers, jobs and nodes of a study that foretoken's own loop trains: does the same table come out?

    python benchmarks/killed_workers.py                                      # on this machine
    python benchmarks/killed_workers.py --launch 'kind = "ray"' --seed 1     # lines of [launch] as in a study file
    python benchmarks/killed_workers.py --cluster ray --nodes 5              # a Ray of two nodes; the second is killed
    python benchmarks/killed_workers.py --cluster slurm --scancel 5          # a SLURM of one node, started here

The study is run once in peace on this machine, then again and again with kills until all have been made. Each study
that ends is held against that table, bit for bit. No record may change once it is there, and nothing may be left over.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "launchers"))

from slurm_node import slurm_node

from foretoken.store.read import read_table
from foretoken.study.maintenance import verify

STUDY = """
name = "killed"
[corpus]
source = "zipf_markov"
language = {{ symbols = 16, tokens = 1_000_000 }}
validation_share = 0.2
[model]
context = 8
tied = true
[training]
batch_tokens = {{ value = 32 }}
eval_tokens = 256
[design]
budgets = [200e6, 400e6]
sizes_per_budget = 4
size_ratio = 1.4
center = 0.3
recenter_rounds = 0
[target]
compute_factor = 2
[launch]
target_threads = 1
{launch}
"""
VICTIMS = ("workers", "drivers", "both", "scancel", "requeue", "nodes")
WORKERS = (b"foretoken.launchers.worker", b"foretoken.launchers.array_worker", b"ray::JobActor")
"""What the command lines of workers hold."""
MARK = "FORETOKEN_KILLED"
"""Variable that whatever a driver has started has in its environment."""
LATEST_MOMENT, MOST_SECONDS, LEFT_SECONDS = 4.0, 300.0, 30.0
"""A kill comes within so many seconds after a worker was seen; a study without a new record hangs after so many; what
is still there so many seconds after the last study is left over."""


def processes() -> Iterator[Path]:
    """Folders of this machine's processes that have not ended."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                yield process


class Campaign:
    """Studies that are killed again and again, one after another, in the folder `home`."""

    def __init__(self, home: Path, launch: str, order: random.Random) -> None:
        self.home, self.order, self.mark = home, order, uuid.uuid4().hex
        self.folder = home / "runs" / "killed"
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.studies, self.records = 0, dict[Path, bytes]()
        self.nodes: RayNodes | None = None
        self._write("workers = 2")
        self._start().wait()
        self.expected, self.runs = read_table(self.folder).digest, len(self._records())
        shutil.rmtree(self.folder)
        self._write(launch)
        self.driver = self._start()

    def run(self, plan: list[str]) -> None:
        """Kill by plan, then let the last study finish."""
        began = time.monotonic()
        while plan:
            if self.driver.poll() is not None:
                self._end()
                self.driver = self._start()
            if self._kill(plan[-1]):
                self.done[plan.pop()] += 1
                print(
                    f"{time.monotonic() - began:4.0f} s: {dict(self.done)}, {len(self.wrong)} things wrong", flush=True
                )
        self._wait()
        while self.driver.returncode < 0:
            self.driver = self._start()
            self._wait()
        self._end()

    def _write(self, launch: str) -> None:
        (self.home / "killed.toml").write_text(STUDY.format(launch=launch))

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self.home / "output.txt", "ab") as output:
            verb = [sys.executable, "-X", "faulthandler", "-m", "foretoken", "run", "killed.toml", "--json"]
            environment = {**os.environ, MARK: self.mark, "OMP_NUM_THREADS": "1"}
            return subprocess.Popen(
                verb, cwd=self.home, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    def workers(self) -> list[int]:
        """The workers of the study, wherever they were started."""
        found = []
        for process in processes():
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if any(name in command for name in WORKERS) and os.readlink(process / "cwd") == str(self.home):
                    found.append(int(process.name))
        return sorted(found)

    def left(self) -> dict[int, str]:
        """Whatever the drivers have started and is still there: the commands by their processes."""
        found = {}
        for process in processes():
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes():
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]
        return found

    def _kill(self, victim: str) -> bool:
        """Wait for a worker, then kill; False where the study ended before there was one."""
        moment, last, known = self.order.uniform(0.0, LATEST_MOMENT), time.monotonic() + MOST_SECONDS, len(self.records)
        seen = None
        while self.driver.poll() is None:
            if time.monotonic() > last:
                self._hangs()
                return False
            workers = self.workers()
            seen = seen or (time.monotonic() if workers else None)
            if workers and seen and time.monotonic() > seen + moment:
                self._remember()
                return self._strike(victim, self.order.choice(workers))
            if known != len(self.records):
                known, last = len(self.records), time.monotonic() + MOST_SECONDS
            time.sleep(0.05)
        return False

    def _strike(self, victim: str, worker: int) -> bool:
        if victim in ("scancel", "requeue"):
            running = subprocess.check_output(
                ["squeue", "--me", "-h", "--array", "-t", "R", "-o", "%i"], text=True
            ).split()
            if not running:
                return False
            command = ["scancel"] if victim == "scancel" else ["scontrol", "requeue"]
            return subprocess.run([*command, self.order.choice(running)], check=False).returncode == 0
        if victim == "nodes":
            assert self.nodes
            self.nodes.kill_second()
            return True
        for pid in {"workers": [worker], "drivers": [self.driver.pid]}.get(victim, [self.driver.pid, worker]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim != "workers":
            self.driver.wait()
        return True

    def _wait(self) -> None:
        last, known = time.monotonic() + MOST_SECONDS, 0
        while self.driver.poll() is None:
            if known != len(found := self._records()):
                known, last = len(found), time.monotonic() + MOST_SECONDS
            if time.monotonic() > last:
                self._hangs()
            time.sleep(0.1)

    def _hangs(self) -> None:
        """Let the driver print where its threads are, and end it."""
        self.wrong.append(f"no new record in {MOST_SECONDS:.0f} s")
        self.driver.send_signal(signal.SIGABRT)
        self.driver.wait()

    def _records(self) -> list[Path]:
        return list(self.folder.glob("runs/*/record.json"))

    def _remember(self) -> None:
        """Look whether the records of runs that had finished are as they were."""
        for path, content in self.records.items():
            if not path.is_file() or path.read_bytes() != content:
                self.wrong.append(f"{path.parent.name} had its record, and has another")
        finished = (path for path in self._records() if b'"status": "finished"' in path.read_bytes())
        self.records = {path: path.read_bytes() for path in finished}

    def _end(self) -> None:
        """After the end of a driver: where the study is done, hold it against the first."""
        for _ in range(3):  # what was killed too often is a failed run, which the next start tries again
            if self.driver.returncode == 0:
                break
            if self.driver.returncode < 0:
                return
            self.driver = self._start()
            self._wait()
        self._remember()
        print(f"study {self.studies} has ended", flush=True)
        if (
            self.driver.returncode
            or read_table(self.folder).digest != self.expected
            or len(self._records()) != self.runs
        ):
            self.wrong.append(f"study {self.studies}: exit code {self.driver.returncode}, or another table")
        self.wrong += [f"{finding.path}: {finding.problem}" for finding in verify(self.folder)]
        self.wrong += [f"left over: {path}" for path in self.folder.rglob("*.tmp")]
        self.studies, self.records = self.studies + 1, {}
        shutil.rmtree(self.folder)

    def look_for_leftovers(self) -> None:
        """What is still there some seconds after the last study."""
        last = time.monotonic() + LEFT_SECONDS
        while (self.left() or self.workers()) and time.monotonic() < last:
            time.sleep(0.2)
        self.wrong += [f"process {pid} is left: {command}" for pid, command in self.left().items()]
        self.wrong += [f"worker {pid} is left" for pid in self.workers()]


class RayNodes:
    """A Ray of two nodes on this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.address = folder, f"127.0.0.1:{port}"
        self._ray("--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false")
        self.first = set(self._of_ray(b"raylet/raylet"))
        self.start_second()

    def start_second(self) -> None:
        """Add a node."""
        self._ray(f"--address={self.address}")

    def kill_second(self) -> None:
        """Kill the process that is the second node, and add another in its place."""
        for pid in set(self._of_ray(b"raylet/raylet")) - self.first:
            os.kill(pid, signal.SIGKILL)
        self.start_second()

    def end(self) -> None:
        """End all that was started, and no other Ray."""
        for pid in self._of_ray(b""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ray(self, *words: str) -> None:
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        program = str(Path(sys.executable).with_name("ray"))
        size = ["--num-cpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
        subprocess.run([program, "start", *size, *words], check=True, capture_output=True, env=environment)

    def _of_ray(self, name: bytes) -> list[int]:
        found = []
        for process in processes():
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if str(self.folder).encode() in command and name in command:
                    found.append(int(process.name))
        return found


@contextlib.contextmanager
def cluster(kind: str) -> Iterator[RayNodes | None]:
    """What is started here beside the study."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder, contextlib.ExitStack() as stack:
        if kind == "slurm":
            os.environ["SLURM_CONF"] = str(stack.enter_context(slurm_node(Path(folder))))
        nodes = RayNodes(Path(folder), random.SystemRandom().randint(20_000, 30_000)) if kind == "ray" else None
        try:
            yield nodes
        finally:
            if nodes:
                nodes.end()


def main() -> int:
    """Run, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launch", default="")
    parser.add_argument("--cluster", choices=("none", "ray", "slurm"), default="none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", action="store_true", help="print what the drivers printed")
    for name, number in zip(VICTIMS, (20, 10, 5, 0, 0, 0), strict=True):
        parser.add_argument(f"--{name}", type=int, default=number)
    chosen = parser.parse_args()
    order = random.Random(chosen.seed)
    plan = [name for name in VICTIMS for _ in range(getattr(chosen, name))]
    order.shuffle(plan)
    with cluster(chosen.cluster) as nodes, tempfile.TemporaryDirectory(prefix="killed-") as parent:
        kind = 'kind = "slurm"\npartition = "small"' if chosen.cluster == "slurm" else ""
        kind = f'kind = "ray"\naddress = "{nodes.address}"' if nodes else kind
        launch = "\n".join(["workers = 2", kind, chosen.launch.replace("\\n", "\n")])
        began, campaign = time.monotonic(), Campaign(Path(os.path.realpath(parent)), launch, order)
        campaign.nodes = nodes
        campaign.run(plan)
        campaign.look_for_leftovers()
        output = (campaign.home / "output.txt").read_text()
        if campaign.wrong or chosen.output:
            print(output[-12_000:])
    kills = ", ".join(f"{name} {campaign.done[name]}" for name in VICTIMS if campaign.done[name])
    took = f"{campaign.studies} studies of {campaign.runs} runs in {time.monotonic() - began:.0f} s"
    print(f"{took}; killed: {kills}; wrong: {len(campaign.wrong)}")
    print("\n".join(campaign.wrong))
    return 1 if campaign.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
