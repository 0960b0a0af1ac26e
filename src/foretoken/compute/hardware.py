"""What machine this is, as far as planning needs it. No torch here."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
STATISTICS = Path("/proc/stat")
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA is told which GPUs a process may use: numbers or UUIDs, with commas between."""
ANSWER_SECONDS = 20.0
"""How long nvidia-smi may take; the first call after a start of the machine loads the driver."""


def available_cores() -> int:
    """Cores that this process may use, by its affinity and by the quotas of control groups (version 1 or 2).

    >>> available_cores() >= 1
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # an affinity says which cores a process may run on, a quota how much time of them it gets: both limit it
    quota = min(map(_quota, _groups("cpu")))
    return cores if quota >= cores else max(1, math.ceil(quota))


def _quota(group: Path) -> float:
    """Cores that a control group allows; infinite where it sets no limit."""
    with suppress(OSError, ValueError):  # "max" is no number, and no limit
        allowed, period = map(int, (group / "cpu.max").read_text().split())
        return allowed / period
    with suppress(OSError, ValueError):
        allowed, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return allowed / period if allowed > 0 else math.inf
    return math.inf


def idle_cores(seconds: float = 0.2) -> float:
    """Cores of the machine that nobody used in the next `seconds`; infinite where the system does not tell.

    >>> idle_cores(0.01) >= 0
    True
    """
    before = _ticks()
    time.sleep(seconds)
    spent = [after - then for then, after in zip(before, _ticks(), strict=True)]
    # user, nice, system, idle, and idle while a disk is waited for, of all cores together
    return (os.cpu_count() or 1) * sum(spent[3:5]) / total if (total := sum(spent)) else math.inf


def _ticks() -> list[int]:
    """Time that all cores together have spent in each state since the machine was started."""
    try:
        return [int(field) for field in STATISTICS.read_text().split("\n")[0].split()[1:9]]
    except (OSError, ValueError):
        return []


def available_memory() -> float:
    """Bytes that this process may use: the machine's memory, or less where a control group (version 1 or 2) says so.

    What other processes use is not taken off.

    >>> available_memory() > 1e6
    True
    """
    limits = [math.inf]
    with suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for group in _groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max" is no number, and no limit
                limits.append(int((group / name).read_text()))
    return min(limits)


def _groups(controller: str) -> Iterator[Path]:
    """Folders that may hold a limit: of the outermost group that is seen, of this process's own and of those between.

    In version 2 all controllers share one tree (its line names none), in version 1 each has its own.
    """
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else []
    for line in ["0::/", f"0:{controller}:/", *lines]:
        _, controllers, own = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            group = Path(own.lstrip("/"))
            yield from (
                (CGROUP if controllers == "" else CGROUP / controller) / part for part in (group, *group.parents)
            )


def processor_name() -> str:
    """Name of the processor, as the machine gives it; with its model where a virtual machine names a whole line.

    Two models of one name differ in speed, and in the last bits of a sum.

    >>> isinstance(processor_name(), str)
    True
    """
    told = dict(line.replace("\t", "").split(":", 1) for line in reversed(_cpuinfo()) if ":" in line)
    name, model = told.get("model name", "").strip(), told.get("model", "").strip()
    if name:
        return name if any(character.isdigit() for character in name) or not model else f"{name} (model {model})"
    return platform.processor() or platform.machine()


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    return any(flag in line.split() for line in _cpuinfo() if line.startswith("flags") for flag in BF16_FLAGS)


BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n") if path.is_file() else []


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
