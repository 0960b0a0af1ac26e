"""What machine this is, as far as planning needs it. No torch here."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that this process may use, by its affinity and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(CGROUP)
    return cores if quota >= cores else max(1, math.ceil(quota))


def _quota(group: Path) -> float:
    """Cores that a control group (version 2) allows; infinite where it sets no limit."""
    try:
        allowed, period = (group / "cpu.max").read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return math.inf


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
