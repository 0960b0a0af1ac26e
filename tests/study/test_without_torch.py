"""A study where torch is not installed: what it plans and where it stands is told, and nothing is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

import foretoken as ft
from foretoken.errors import MissingExtraError

from ..fuzz.verbs import foretoken, strict_json

REASON = "not measured: torch is not installed; pip install 'foretoken[train]'"


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runner", "trainer"):
        monkeypatch.setattr(f"foretoken.study.{module}.torch_version", lambda: None)


def test_a_design_has_all_but_seconds(mini_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mini_file.parent)
    planned = strict_json(foretoken("design", "mini.toml", "--json"))
    assert {run["seconds_estimated"] for run in planned["runs"]} == {None}
    assert {run["seconds_estimated_reason"] for run in [*planned["runs"], planned["target"]]} == {REASON}
    assert planned["total_flops"] > 0
    told = foretoken("design", "mini.toml")
    assert "not measured\n" in told
    assert told.endswith(f"Estimate on this machine: {REASON}\n")
    assert "runs would be trained" in foretoken("run", "mini.toml", "--dry-run")


def test_why_a_limit_cannot_be_judged_is_told(mini_file: Path, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, folder = ft.load_study(mini_file), mini_file.parent / "runs" / "new"
    limited = study.model_copy(update={"launch": study.launch.model_copy(update={"limit": ["1 ms"]})})
    assert [check.cure for check in ft.dry_run(limited, folder).checks] == [REASON]
    monkeypatch.undo()  # torch is there, and nothing is measured yet
    (check,) = ft.dry_run(limited, folder).checks
    assert check.cure == "the speed has not been measured: foretoken design measures it"
    (copied / "calibration.json").unlink(missing_ok=True)
    assert ft.dry_run(limited, copied).checks == []  # nothing would run


def test_what_trains_or_times_is_refused(mini_file: Path) -> None:
    study, folder = ft.load_study(mini_file), mini_file.parent / "runs" / "mini"
    for verb in (ft.run, ft.profile):
        with pytest.raises(MissingExtraError, match=r"needs the package 'torch'.*\n.*pip install 'foretoken\[train\]'"):
            verb(study, folder)
    assert not folder.exists()


def test_runs_that_were_trained_elsewhere_are_known(copied: Path, mini_file: Path) -> None:
    study = ft.load_study(mini_file)
    assert {run.action for run in ft.dry_run(study, copied).runs} == {"keep"}
    assert ft.run(study, copied) == ft.status(copied)
