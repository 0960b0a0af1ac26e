from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from foretoken.compute import hardware


@pytest.mark.parametrize(
    ("files", "own", "cores"),
    [
        ({}, None, 8),
        ({"cpu.max": "max 100000"}, None, 8),
        ({"cpu.max": "150000 100000"}, None, 2),
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"cpu.max": "rubbish"}, None, 8),
        ({"user/cpu.max": "300000 100000", "user/one/cpu.max": "max 100000"}, "0::/user/one", 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", 8),
        ({"cpu/box/cpu.cfs_quota_us": "200000", "cpu/box/cpu.cfs_period_us": "100000"}, "3:cpu,cpuacct:/box\n0::/", 2),
        ({"cpu/cpu.cfs_quota_us": "200000"}, "3:cpu:/", 8),
    ],
)
def test_a_container_may_allow_fewer_cores(
    files: dict[str, str], own: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(files, own, tmp_path, monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert hardware.available_cores() == cores


@pytest.mark.parametrize(
    ("files", "own", "least"),
    [
        ({}, None, None),
        ({"memory.max": "max"}, "0::/", None),
        ({"memory.max": "4096000"}, None, 4_096_000),
        ({"user.slice/memory.max": "8192", "user.slice/one/memory.max": "max"}, "0::/user.slice/one", 8192),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, "4:memory:/", None),
        ({"memory/box/memory.limit_in_bytes": "12288"}, "5:cpu:/\n4:memory:/box\n0::/", 12_288),
        ({"memory.max": "rubbish"}, "0::/", None),
    ],
)
def test_a_container_may_allow_less_memory(
    files: dict[str, str], own: str | None, least: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(files, own, tmp_path, monkeypatch)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert hardware.available_memory() == (least or machine)


def lay_out(files: dict[str, str], own: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control groups in a folder, and which of them this process is in."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    if own is not None:
        (folder / "own").write_text(own + "\n")
    monkeypatch.setattr(hardware, "CGROUP", folder)
    monkeypatch.setattr(hardware, "OWN_GROUPS", folder / "own")


@pytest.mark.parametrize(
    ("after", "idle"), [("cpu 100 0 50 350 0 0 0 0", 5.6), ("cpu 100 0 50 0 50 0 0 200", 1.0), ("rubbish", math.inf)]
)
def test_idle_cores_are_those_that_nobody_used(
    after: str, idle: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight cores, between two looks; what waits for a disk is idle, what a hypervisor took is not."""
    statistics = tmp_path / "stat"
    statistics.write_text("cpu 0 0 0 0 0 0 0 0\ncpu0 1" if "cpu" in after else after)
    monkeypatch.setattr(hardware, "STATISTICS", statistics)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(hardware.time, "sleep", lambda _: statistics.write_text(after))
    assert hardware.idle_cores() == pytest.approx(idle)
