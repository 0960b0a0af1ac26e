from __future__ import annotations

import os
from pathlib import Path

import pytest

from foretoken.compute import hardware


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("rubbish", 8), (None, 8)]
)
def test_a_container_may_allow_fewer_cores(
    limit: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
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
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    if own is not None:
        (tmp_path / "own").write_text(own + "\n")
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    monkeypatch.setattr(hardware, "OWN_GROUPS", tmp_path / "own")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert hardware.available_memory() == (least or machine)
