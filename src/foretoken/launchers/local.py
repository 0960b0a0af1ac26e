"""Jobs on this machine: one process per worker, kept between launches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from foretoken.compute.hardware import (
    VISIBLE,
    Device,
    available_cores,
    available_memory,
    has_bfloat16,
    processor_name,
    visible_devices,
)
from foretoken.errors import ForetokenError
from foretoken.launchers.jobs import JsonObject
from foretoken.launchers.launcher import Job, Machine, Report, Stop
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.worker_process import WorkerProcess
from foretoken.launchers.worker_state import Inbox, Patience, Worker

LEAST = 1e-9
"""Shares of a GPU are decimal numbers: ten tenths may be a little more than one."""


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


def assign(devices: Sequence[str], used: Mapping[str, float], gpus: float) -> tuple[str, ...] | None:
    """The devices for a worker with so many GPUs; None where there is no room for it now.

    `used` is how much of each device is taken. A share goes to the fullest device that still has room for it, so that
    others stay whole.

    >>> assign(["0", "1", "2"], {"1": 0.5}, 0.25), assign(["0", "1", "2"], {"1": 0.5}, 2), assign(["0"], {"0": 1}, 0.5)
    (('1',), ('0', '2'), None)
    """
    if gpus > 1 - LEAST:
        free, count = [device for device in devices if used.get(device, 0.0) < LEAST], round(gpus)
        return tuple(free[:count]) if len(free) >= count else None
    room = [device for device in devices if used.get(device, 0.0) + gpus < 1 + LEAST]
    return (max(room, key=lambda device: used.get(device, 0.0)),) if room else None
