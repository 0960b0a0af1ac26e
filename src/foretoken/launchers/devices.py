"""The GPUs of this machine, and which of them a worker gets: whole ones, or a share of one that others share too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA is told which GPUs a process may use: numbers or UUIDs, with commas between."""
ANSWER_SECONDS = 20.0
"""How long nvidia-smi may take; the first call after a start of the machine loads the driver."""
LEAST = 1e-9
"""Shares of a GPU are decimal numbers: ten tenths may be a little more than one."""


@dataclass(frozen=True)
class Device:
    """One GPU."""

    name: str
    """What stands for it in CUDA_VISIBLE_DEVICES."""
    memory_bytes: float | None = None
    """None where it is not known."""


def ask_nvidia_smi() -> str:
    """What nvidia-smi says: a line of number, UUID and MiB of memory for each GPU; empty where there is none."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if result.returncode else result.stdout


def visible_devices(
    ask: Callable[[], str] = ask_nvidia_smi, environment: Mapping[str, str] = os.environ
) -> list[Device]:
    r"""The GPUs that this process may use: those of CUDA_VISIBLE_DEVICES where it is set, else all of the machine.

    >>> visible_devices(lambda: "0, GPU-a, 81559\n1, GPU-b, 81559\n", {"CUDA_VISIBLE_DEVICES": "1"})
    [Device(name='1', memory_bytes=85520809984.0)]
    """
    found: dict[str, tuple[str, float | None]] = {}
    for line in ask().splitlines():
        index, uuid, mebibytes = ([part.strip() for part in line.split(",")] + ["", ""])[:3]
        found[index] = (uuid, float(mebibytes) * 2**20 if mebibytes.replace(".", "").isdigit() else None)
    if VISIBLE not in environment:
        return [Device(index, memory) for index, (_, memory) in found.items()]
    named = []
    for name in dict.fromkeys(part.strip() for part in environment[VISIBLE].split(",")):
        known = [memory for index, (uuid, memory) in found.items() if name == index or (name and uuid.startswith(name))]
        # CUDA reads the list up to the first name that is none.
        if not name or name.startswith("-") or name.lower() == "nodevfiles" or (found and name.isdigit() and not known):
            break
        named.append(Device(name, known[0] if known else None))
    return named


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
