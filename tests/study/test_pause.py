"""A study that is asked to pause saves, stops, and goes on where it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import foretoken as ft
from foretoken.errors import StoreError
from foretoken.store.store import Store

from ..conftest import MINI


def test_nobody_runs_it(copied: Path) -> None:
    assert ft.pause(copied) is False
    assert not (copied / "pause").exists()


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study has been started"):
        ft.pause(tmp_path)


def test_whoever_runs_it_saves_and_stops(tmp_path: Path, undisturbed: Path) -> None:
    pytest.importorskip("torch", reason="the study is trained")
    (tmp_path / "mini.toml").write_text(MINI)
    shutil.copytree(undisturbed.parent / "corpora", tmp_path / "runs" / "corpora")
    verb = [sys.executable, "-m", "foretoken", "run", "mini.toml"]
    driver = subprocess.Popen(verb, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    folder, last = tmp_path / "runs" / "mini", time.monotonic() + 120
    while not list(folder.glob("runs/*/record.json")):
        assert time.monotonic() < last
        time.sleep(0.02)
    assert ft.pause(folder) is True
    _, told = driver.communicate(timeout=60)
    assert driver.returncode == 130, told
    assert "paused" in told
    ft.run(ft.load_study(tmp_path / "mini.toml"), folder)
    assert Store(folder).table().digest == Store(undisturbed).table().digest
