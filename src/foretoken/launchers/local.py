"""Jobs on this machine: one process per worker, kept between launches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from foretoken.compute.hardware import available_cores, available_memory, has_bfloat16, processor_name
from foretoken.errors import ForetokenError
from foretoken.launchers.devices import VISIBLE, Device, assign, visible_devices
from foretoken.launchers.jobs import JsonObject
from foretoken.launchers.launcher import Job, Machine, Report, Stop
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.worker_process import WorkerProcess
from foretoken.launchers.worker_state import Inbox, Patience, Worker


class LocalLauncher(PoolLauncher):
    """Worker processes on this machine. They wait for the next launch, since starting one takes seconds (torch).

    A worker with GPUs sees those alone that are its own, or that it has a share of; `find` lists those that there are.
    """

    def __init__(
        self, patience: Patience | None = None, find: Callable[[], Sequence[Device]] = visible_devices
    ) -> None:
        super().__init__(patience)
        self.find = find
        self.held: list[tuple[Worker, tuple[str, ...], float]] = []
        """The workers that have devices, which, and how much of each."""

    @cached_property
    def devices(self) -> list[Device]:
        """The GPUs that there are."""
        return list(self.find())

    def prepare(self, jobs: Sequence[Job], workers: int, threads: int) -> None:
        """Raise ForetokenError for a job with more GPUs than there are."""
        most = max(job.gpus for job in jobs)
        if most and most > len(self.devices):
            raise ForetokenError(
                "this machine has fewer GPUs than a run needs",
                expected=f"{most:g}",
                got=f"{len(self.devices)}, by nvidia-smi and {VISIBLE}",
                cure="lower launch.gpus",
                code="no_room",
            )

    def start(self, count: int, threads: int, gpus: float, log: Path, inbox: Inbox) -> list[Worker]:
        """So many processes, or as many as there are free GPUs for."""
        started: list[Worker] = []
        for _ in range(count):
            devices = self._free(gpus) if gpus else ()
            if devices is None:
                break
            environment = {VISIBLE: ",".join(devices)} if devices else {}
            worker = WorkerProcess(threads, log, inbox, environment)
            started.append(worker)
            if devices:
                self.held.append((worker, devices, min(gpus, 1.0)))
        return started

    def _free(self, gpus: float) -> tuple[str, ...] | None:
        """The devices for one more worker; what had some and is dead has none any more."""
        self.held = [held for held in self.held if held[0].dead() is None]
        used: dict[str, float] = {}
        for _, devices, share in self.held:
            for device in devices:
                used[device] = used.get(device, 0.0) + share
        return assign([device.name for device in self.devices], used, gpus)

    def measure(self, log: Path) -> Machine:
        """The cores, the memory and the GPUs that this process and its children may use."""
        return this_machine(self.devices)


def this_machine(devices: Sequence[Device] | None = None) -> Machine:
    """What this process and its children may use."""
    found = visible_devices() if devices is None else devices
    return Machine(
        cores=available_cores(),
        memory_bytes=available_memory(),
        processor=processor_name(),
        bfloat16=has_bfloat16(),
        gpus=len(found),
        gpu_memory_bytes=max((device.memory_bytes for device in found if device.memory_bytes), default=None),
    )


def machine_job(argument_json: dict[str, Any], report: Report, stop: Stop) -> JsonObject:
    """What a launcher calls to learn what its jobs have: a `Machine`."""
    return asdict(this_machine())
