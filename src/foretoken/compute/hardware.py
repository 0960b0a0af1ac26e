"""What machine this is, as far as planning needs it. No torch here."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # an affinity says which cores a process may run on, a quota how much time of them it gets: both limit it
    quota = _quota(CGROUP)
    return cores if quota >= cores else max(1, math.ceil(quota))


def _quota(group: Path) -> float:
    """Cores that a control group (version 2) allows; infinite where it sets no limit."""
    try:
        allowed, period = (group / "cpu.max").read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return math.inf


def available_memory() -> float:
    """Bytes that this process may use: the machine's memory, or less where a control group (version 1 or 2) says so.

    What other processes use is not taken off.

    >>> available_memory() > 1e6
    True
    """
    limits = [math.inf]
    with suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in _memory_limits():
        with suppress(OSError, ValueError):  # "max" is no number, and no limit
            limits.append(int(file.read_text()))
    return min(limits)


def _memory_limits() -> Iterator[Path]:
    """Files that may hold a limit: of the outermost group that is seen, of this process's own and of those between."""
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else []
    for line in ["0::/", "0:memory:/", *lines]:
        _, controllers, own = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            root, name = (CGROUP, "memory.max") if controllers == "" else (CGROUP / "memory", "memory.limit_in_bytes")
            group = Path(own.lstrip("/"))
            yield from (root / part / name for part in (group, *group.parents))


def processor_name() -> str:
    """Name of the processor, as the machine gives it.

    >>> isinstance(processor_name(), str)
    True
    """
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    return any(flag in line.split() for line in _cpuinfo() if line.startswith("flags") for flag in BF16_FLAGS)


BF16_FLAGS = ("avx512_bf16", "amx_bf16")


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n") if path.is_file() else []
