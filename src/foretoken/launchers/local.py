"""Jobs on this machine: one process per worker, kept between launches; and the folder of a Ray that is started here."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import IO, Any

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
from foretoken.launchers.launcher import Job, Machine, OnEvent, Report, Stop, go_on, ignore
from foretoken.launchers.pool import PoolLauncher
from foretoken.launchers.worker_process import WorkerProcess
from foretoken.launchers.worker_state import Inbox, Patience, Worker

LEAST = 1e-9
"""Shares of a GPU are decimal numbers: ten tenths may be a little more than one."""

PREFIX, OWNER = "foretoken-ray-", "owner"
"""How the names of such folders begin, and the file in each that its owner has locked."""
VARIABLE = "FORETOKEN_RAY"
"""In the environment of each process of such a Ray: its folder."""
REMOVALS = 30
"""How often a folder is removed, a tenth of a second apart: processes that are about to end still write there."""


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

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
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


class RayFolder:
    """A folder for a Ray that is started on this machine, which goes when its owner ends, however that ends.

    The owner holds a lock of it, which the kernel lets go with the owner. A process that waits for just that
    (`python -m foretoken.launchers.local FOLDER`) then ends what of Ray is left, and removes the folder; where it was
    killed too, as with a whole container, the next Ray that is started here does so. It lies in the temporary folder:
    below a study's the names of Ray's sockets would be too long.
    """

    def __init__(self) -> None:
        self.path, self.lock = _new_folder()
        words = [sys.executable, "-m", "foretoken.launchers.local", str(self.path)]
        null = subprocess.DEVNULL
        # A session of its own: what ends the group of its owner must leave it.
        self.guard = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)

    @contextlib.contextmanager
    def marked(self) -> Iterator[None]:
        """Whatever this process starts meanwhile is of this Ray."""
        os.environ[VARIABLE] = str(self.path)
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    def remove(self) -> None:
        """End what is left of Ray, and remove the folder."""
        # Before the lock is let go: its guard and other drivers take a folder that nobody holds for one that was left.
        clear(self.path)
        self.lock.close()
        self.guard.communicate()


def _new_folder() -> tuple[Path, IO[bytes]]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError):
            lock = open(path / OWNER, "wb")  # noqa: SIM115
            _hold(lock)
            if (path / OWNER).exists():
                return path, lock
            lock.close()  # before it was locked, somebody took it for one that was left


def sweep() -> None:
    """Clear the folders whose owners are dead."""
    for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}"):
        with contextlib.suppress(OSError), open(owner, "rb+") as lock:
            _hold(lock, wait=False)
            clear(owner.parent)


def _hold(file: IO[bytes], wait: bool = True) -> None:
    """Lock a file. Raises BlockingIOError where another process has, unless it is waited for."""
    import fcntl  # not there on Windows, where this is never called

    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def clear(folder: Path) -> None:
    """End the processes of the Ray of a folder, and remove it."""
    for _ in range(REMOVALS):
        # Again each time: a raylet that dies late may have started another worker meanwhile.
        for pid in _processes(folder):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _processes(folder: Path) -> Iterator[int]:
    """Processes of this user that have the folder in their environment; none where there is no /proc."""
    mark = f"{VARIABLE}={folder}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            pid = int(environment.parent.name)
            if pid != os.getpid() and mark in environment.read_bytes().split(b"\0"):
                yield pid


if __name__ == "__main__":
    sys.stdin.read()
    with contextlib.suppress(FileNotFoundError), open(Path(sys.argv[1]) / OWNER, "rb") as held:
        _hold(held)
        clear(Path(sys.argv[1]))
