"""What the wheel brings: studies by name and a table, which a file of that name in the working folder replaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import foretoken as ft
from foretoken.errors import StudyFileError
from foretoken.runs import builtin


def test_studies_go_by_name_and_a_file_in_the_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ft.load_study("quickstart").name == "quickstart"
    shutil.copy(builtin.studies()["zipf_markov"], tmp_path / "quickstart.toml")
    assert ft.load_study("quickstart").name == "zipf_markov"
    with pytest.raises(StudyFileError, match=r"(?s)no study file at quickstrat.*quickstart"):
        ft.load_study("quickstrat")


def test_every_built_in_study_is_sound() -> None:
    assert {"quickstart", "zipf_markov"} <= set(builtin.studies())
    for name in builtin.studies():
        assert ft.load_study(name).name == name


def test_the_sample_is_a_table_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(ft.read_table("sample")) == 28
    assert ft.fit("sample", "chinchilla", draws=50).rows.used == 28
    (tmp_path / "sample").write_text("no table")
    with pytest.raises(ft.ForetokenError, match="unknown kind"):
        ft.read_table("sample")


def test_the_package_says_that_it_is_typed() -> None:
    assert (builtin.PACKAGE / "py.typed").is_file()
    assert "fit" in dir(ft)
