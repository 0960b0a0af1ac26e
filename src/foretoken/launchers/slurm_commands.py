"""What SLURM says when it is asked by its own commands: which partitions there are, and what its jobs do."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo")
ANSWER_SECONDS = 60.0
"""How long a command may take; a controller that restarts answers late."""
LOOK_SECONDS = 5.0
"""Time for which what squeue said is believed: a controller serves many users."""
GONE = "GONE"
"""State of a job of which squeue knows nothing any more."""
WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
BLAMELESS = frozenset({"BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT", GONE})
"""States in which a job has ended for no fault of what it did."""
ENDED = BLAMELESS | {"COMPLETED", "FAILED", "OUT_OF_MEMORY"}


@dataclass(frozen=True)
class Partition:
    """A part of the cluster, as sinfo has it."""

    name: str
    nodes: int
    minutes: float
    """The longest that a job may take; infinite where there is no limit."""


def find_partition(name: str | None) -> Partition:
    """The partition of this name, or the cluster's default. Raises ForetokenError where there is none."""
    if missing := [command for command in COMMANDS if not shutil.which(command)]:
        raise ForetokenError(
            "launch.kind = 'slurm' needs SLURM's commands",
            got=f"no {', '.join(missing)} here",
            cure='run foretoken where jobs are submitted, or say executor = "local" in [launch]',
            code="unreachable",
        )
    rows = [line.split("|") for line in ask("sinfo", "--noheader", "--format=%P|%D|%l").splitlines()]
    known: dict[str, Partition] = {}
    for full, nodes, limit in rows:
        before = known.get(full.rstrip("*"))
        count = int(nodes) + (before.nodes if before else 0)
        known[full.rstrip("*")] = Partition(full, count, parse_minutes(limit))
    found = known.get(name) if name else next((one for one in known.values() if one.name.endswith("*")), None)
    if found is None:
        near = nearest(name or "", known)
        raise ForetokenError(
            f"SLURM has no partition {name!r}" if name else "SLURM has no default partition",
            expected=", ".join(sorted(known)) or "a partition",
            cure=f"say partition = {near[0]!r} in [launch]" if near else "say `partition` in [launch]",
            code="unreachable",
        )
    return found


def parse_minutes(limit: str) -> float:
    """Minutes of a time limit as SLURM writes it: days-hours:minutes:seconds.

    >>> parse_minutes("1-02:30:00"), parse_minutes("45:00"), parse_minutes("infinite")
    (1590.0, 45.0, inf)
    """
    if not re.fullmatch(r"(\d+-)?[\d:]+", limit):
        return float("inf")
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    seconds = sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3600), strict=False))
    return int(days or 0) * 1440 + seconds / 60


def check_script(script: Path) -> None:
    """Raise ForetokenError for a batch script that SLURM would not take; nothing is submitted."""
    result = _run("sbatch", "--test-only", str(script))
    if result.returncode:
        raise ForetokenError(
            "SLURM does not take the jobs of this study",
            got=result.stderr.strip().replace("sbatch: ", ""),
            cure="correct account, qos, gpus, time_minutes or options in [launch]",
            code="unreachable",
        )


def cancel_waiting(jobs: Iterable[str]) -> None:
    """Take jobs out of the queue that have not begun."""
    if jobs := list(jobs):
        _run("scancel", "--state=PENDING", *jobs)


def ask(*command: str) -> str:
    """What a command prints. Raises ForetokenError where it fails, as while the controller is down."""
    result = _run(*command)
    if result.returncode:
        got = result.stderr.strip() or f"exit code {result.returncode}"
        raise ForetokenError(f"SLURM does not answer `{command[0]}`", got=got, code="unreachable")
    return result.stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer in {ANSWER_SECONDS:.0f} s")


@dataclass(frozen=True)
class State:
    """What a job does, in SLURM's words."""

    name: str
    asked: float
    """When SLURM said so, in the time of `time.monotonic`."""
    reason: str = ""
    """Why it waits, in SLURM's words."""


class States:
    """What the jobs of this user do, asked for all of them at once and not too often."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[str, tuple[str, str]] = {}
        """State and reason of each job."""
        self.asked = 0.0

    def of(self, job: str, since: float) -> State:
        """The state of a job that was submitted at this time of `time.monotonic`."""
        with self.lock:
            if time.monotonic() - self.asked > LOOK_SECONDS:
                self._ask()
            fresh = self.asked > since + LOOK_SECONDS
            name, reason = self.known.get(job, (GONE if fresh else "PENDING", ""))
            return State(name, self.asked, reason)

    def _ask(self) -> None:
        try:
            text = ask("squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T|%r")
        except ForetokenError:
            # The controller is down: what it said last stands, since no job has ended by that.
            return
        rows = [line.strip().split("|", 2) for line in text.splitlines()]
        self.known = {job: (name, reason) for job, name, reason in (row for row in rows if len(row) == 3)}
        self.asked = time.monotonic()
