"""A study that another version of this format began is finished by this one: nothing it had is lost or trained again.

A folder of another format is refused, and left as it was.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from foretoken.compute.hardware import processor_name
from foretoken.errors import StoreError
from foretoken.runs.study_file import load_study
from foretoken.store.atomic import checksummed_json
from foretoken.store.format import FORMAT
from foretoken.store.store import Store, read_record
from foretoken.study.design_file import read_design
from foretoken.study.maintenance import verify
from foretoken.study.preview import dry_run
from foretoken.study.results import report
from foretoken.study.run_study import run
from foretoken.study.study_status import status

STUDIES = sorted((Path(__file__).parents[1] / "assets" / "studies").iterdir())


def copied(home: Path, to: Path) -> Path:
    """The folder of a stopped study, to be gone on with."""
    folder = to / "runs" / "mini"
    shutil.copytree(home / "mini", folder)
    return folder


def test_there_is_one_of_this_format() -> None:
    assert FORMAT.replace(" ", "-") in [home.name for home in STUDIES]


@pytest.mark.parametrize("home", STUDIES, ids=lambda home: home.name)
def test_its_runs_have_the_names_that_they_had(home: Path, tmp_path: Path) -> None:
    folder = copied(home, tmp_path)
    records = [read_record(path) for path in folder.glob("runs/*/record.json")]  # refuses one of another name
    assert len(records) >= 3
    assert all(record.is_finished and record.loss for record in records)
    design = read_design(folder)
    assert design
    assert {record.spec.key for record in records} <= {run.key for run in design.runs}
    trunks = {run.trunk for run in design.runs}
    assert {path.name for path in folder.glob("trunks/*")} <= trunks
    assert not verify(folder)


@pytest.mark.parametrize("home", STUDIES, ids=lambda home: home.name)
def test_it_is_resumed(home: Path, tmp_path: Path) -> None:
    folder = copied(home, tmp_path)
    before = {path: path.read_bytes() for path in folder.glob("runs/*/record.json")}
    assert list(folder.rglob("commit.json"))
    result = run(load_study(home / "mini.toml"), folder)
    assert result["outcome"]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not verify(folder)
    expected, design = json.loads((home / "expected.json").read_text()), read_design(folder)
    assert design
    records = Store(folder).records()
    if design.target.software == expected["software"]:
        assert len(records) == status(folder)["counts"]["planned"]
        assert any(event.startswith("resumed at step") for record in records for event in record.events)
    if (design.target.software, processor_name()) == (expected["software"], expected["processor"]):
        assert Store(folder).table().digest == expected["table"]


def first_format(home: Path, folder: Path) -> dict[Path, bytes]:
    """Make the folder one of the first format, which had a number; gives all that it holds."""
    for path in [folder / "design.json", *folder.glob("runs/*/record.json")]:
        values = json.loads(path.read_bytes())
        del values["sha256"]
        path.write_bytes(checksummed_json({**values, "format": 1}))
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", ["whole", "without its design", "with a design that is damaged"])
def test_a_folder_of_the_first_format_is_refused_and_left_as_it_was(what: str, tmp_path: Path) -> None:
    home, folder = STUDIES[-1], copied(STUDIES[-1], tmp_path)
    content = first_format(home, folder)
    if what == "without its design":
        del content[folder / "design.json"]
        (folder / "design.json").unlink()
    elif what != "whole":
        (folder / "design.json").write_bytes(b"{")
        content[folder / "design.json"] = b"{"
    study = load_study(home / "mini.toml")
    verbs = [lambda: run(study, folder), lambda: dry_run(study, folder)]
    if what == "whole":
        verbs += [lambda: status(folder), lambda: report(folder)]
    for verb in verbs:
        with pytest.raises(StoreError, match=r"(?s)another format.*format 1.*anew in another folder") as refusal:
            verb()
        assert refusal.value.code == "old_format"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == content
