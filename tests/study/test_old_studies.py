"""A study that an older version began is finished by this one: nothing it had is lost or trained again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from foretoken.compute.hardware import processor_name
from foretoken.runs.study_file import load_study
from foretoken.store.store import Store
from foretoken.study.maintenance import verify
from foretoken.study.results import read_design, status
from foretoken.study.runner import run

STUDIES = sorted((Path(__file__).parents[1] / "assets" / "studies").iterdir())


@pytest.mark.parametrize("home", STUDIES, ids=lambda home: home.name)
def test_an_old_study_is_resumed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mini"
    shutil.copytree(home / "mini", folder)
    before = {path: path.read_bytes() for path in folder.glob("runs/*/record.json")}
    assert before
    assert list(folder.rglob("commit.json"))
    result = run(load_study(home / "mini.toml"), folder)
    assert result["outcome"]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not verify(folder)
    expected, design = json.loads((home / "expected.json").read_text()), read_design(folder)
    assert design
    planned = status(folder)["counts"]["planned"]
    if design.target.software == expected["software"]:
        assert len(Store(folder).records()) == planned
    if (design.target.software, processor_name()) == (expected["software"], expected["processor"]):
        assert Store(folder).table().digest == expected["table"]
