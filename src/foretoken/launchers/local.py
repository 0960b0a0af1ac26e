"""Jobs on this machine: one process per worker, kept between launches."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from foretoken.compute.hardware import available_cores, available_memory, has_bfloat16, processor_name
from foretoken.launchers.jobs import JsonObject
from foretoken.launchers.launcher import Machine, Report, Stop
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.worker_process import WorkerProcess
from foretoken.launchers.worker_state import Inbox, Worker


class LocalLauncher(PoolLauncher):
    """Worker processes on this machine. They wait for the next launch, since starting one takes seconds (torch)."""

    def start(self, count: int, threads: int, log: Path, inbox: Inbox) -> list[Worker]:
        """So many processes."""
        return [WorkerProcess(threads, log, inbox) for _ in range(count)]

    def measure(self, log: Path) -> Machine:
        """The cores and the memory that this process and its children may use."""
        return this_machine()


def this_machine() -> Machine:
    """What this process and its children may use."""
    return Machine(
        cores=available_cores(), memory_bytes=available_memory(), processor=processor_name(), bfloat16=has_bfloat16()
    )


def machine_job(argument_json: dict[str, Any], report: Report, stop: Stop) -> JsonObject:
    """What a launcher calls to learn what its jobs have: a `Machine`."""
    return asdict(this_machine())
