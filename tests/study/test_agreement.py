"""What the files of a study say of each other: each is held against the others, whatever its own checksum says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foretoken.cli import app
from foretoken.errors import StoreError
from foretoken.fits.result import Fit
from foretoken.forecasts import Ledger
from foretoken.runs.study_file import load_study
from foretoken.store import atomic
from foretoken.store.finished import MARK, SEALS
from foretoken.store.seals import sha256_of
from foretoken.store.store import Store
from foretoken.study.design_file import started_design
from foretoken.study.maintenance import verify
from foretoken.study.results import report
from foretoken.study.runner import StudyRunner
from foretoken.study.study_status import status


def resealed(path: Path, **changes: Any) -> None:
    """Edit a file, and make its checksum that of what it holds then."""
    values = json.loads(path.read_bytes())
    del values["sha256"]
    path.write_bytes(atomic.checksummed_json({**values, **changes}))


def told_everywhere(folder: Path, words: str) -> bool:
    """Whether status, in both its forms, and the report's page tell it."""
    text = CliRunner().invoke(app, ["status", str(folder)], terminal_width=400).output
    plain = json.loads(CliRunner().invoke(app, ["status", str(folder), "--json"]).output)["told"]
    page = report(folder).read_text()
    return (
        words in " ".join(text.split()) and any(words in line for line in plain) and words[1:] in page
    )  # where a sentence begins with a capital


def test_nothing_is_told_of_a_study_that_agrees(copied: Path) -> None:
    assert status(copied).told == []
    assert json.loads(CliRunner().invoke(app, ["verify", str(copied), "--json"]).output)["told"] == []


@pytest.mark.parametrize("which", ["target", "small run"])
def test_an_edited_record_without_a_seal_is_never_adopted(which: str, copied: Path, mini_file: Path) -> None:
    """The outcome tells it of the target, the fit behind the forecast of the small runs."""
    design = started_design(copied).design
    run = design.target if which == "target" else design.runs[3]
    path = Store(copied).record_path(run.key)
    resealed(path, loss=0.99)
    (copied / SEALS).unlink()
    (copied / MARK).unlink()
    found = {finding.path: finding.remedy for finding in verify(copied)}
    assert found == {copied / SEALS: "remake", path: "set aside"}
    assert told_everywhere(copied, "its loss is 0.99, where")
    runner = StudyRunner(load_study(mini_file), copied)
    assert not runner.is_finished()
    with runner.owned():
        assert not path.exists()
        assert path.with_name("record.json.corrupt").exists()


def test_a_run_that_was_trained_again_and_sealed_is_told_and_kept(copied: Path) -> None:
    """Another machine gives other bits: no alarm that no training could end."""
    path = Store(copied).record_path(started_design(copied).design.target.key)
    (copied / MARK).unlink()
    resealed(path, loss=json.loads(path.read_bytes())["loss"] * (1 + 1e-6))
    store = Store(copied)
    store.seal(path)
    assert verify(copied) == []
    assert told_everywhere(copied, "outcome.json says")


def test_seals_that_are_gone_are_found_once_a_forecast_rests_on_them(copied: Path) -> None:
    (copied / SEALS).unlink()
    (found,) = verify(copied)
    assert (found.path, found.remedy) == (copied / SEALS, "remake")
    assert told_everywhere(copied, "the records are sealed there")
    for path in [*(copied / "ledger").iterdir(), copied / MARK]:
        path.unlink()
    assert verify(copied) == []  # as of a study that was stopped before its fit, or of an earlier version


def test_a_mark_that_the_ledger_contradicts_is_made_anew(copied: Path, mini_file: Path) -> None:
    resealed(copied / MARK, refusal={"code": "x", "evidence": "made up", "cure": "y"})
    (found,) = verify(copied)
    assert (found.path, found.remedy) == (copied / MARK, "remake")
    assert told_everywhere(copied, "ended without a forecast")
    runner = StudyRunner(load_study(mini_file), copied)
    assert not runner.is_finished()
    with runner.owned():
        assert not (copied / MARK).exists()


def test_a_mark_that_leaves_out_a_file_is_made_anew(copied: Path) -> None:
    files = json.loads((copied / MARK).read_bytes())["files"]
    for name in ("fit.json", next(name for name in files if name.startswith("runs/"))):
        resealed(copied / MARK, files={path: mark for path, mark in files.items() if path != name})
        (found,) = verify(copied)
        assert (found.path, found.remedy, name in found.problem) == (copied / MARK, "remake", True)


def test_a_refusal_of_another_law_stands_beside_an_earlier_forecast(copied: Path) -> None:
    design = json.loads((copied / "design.json").read_bytes())
    design["study"]["forecast"]["level"] = 0.8
    del design["sha256"]
    (copied / "design.json").write_bytes(atomic.checksummed_json(design))
    files = json.loads((copied / MARK).read_bytes())["files"]
    files["design.json"] = sha256_of(copied / "design.json")
    resealed(copied / MARK, files=files, refusal={"code": "x", "evidence": "no law holds", "cure": "y"})
    assert verify(copied) == []


@pytest.mark.parametrize("ending", [".outcome.json", ".begun"])
def test_what_the_ledger_lost_is_told_wherever_the_study_is_shown(ending: str, copied: Path) -> None:
    (line,) = Ledger.read(copied / "ledger").lines
    (copied / "ledger" / f"{line.name}{ending}").unlink()
    assert told_everywhere(copied, f"left out: {line.name}{ending} was in this ledger and is gone")
    assert {finding.remedy for finding in verify(copied)} >= {"refuse"}


def test_a_moved_clock_is_told_by_status_and_verify(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / MARK).unlink()
    sentence = "the clock was set back by 2 h between a.json and b.json"
    monkeypatch.setattr("foretoken.store.chain.Chain.clock_moves", lambda *_: iter([sentence]))
    assert told_everywhere(copied, sentence)
    result = CliRunner().invoke(app, ["verify", str(copied)])
    assert (result.exit_code, sentence in " ".join(result.output.split())) == (0, True)


def test_a_fit_that_its_seal_contradicts_is_used_by_no_verb(copied: Path) -> None:
    path = copied / "fit.json"
    values = json.loads(path.read_bytes())
    values["forecast_parameters"] = {name: 1.5 * value for name, value in values["forecast_parameters"].items()}
    path.write_text(json.dumps(values))
    size = ["--params", "1e6", "--tokens", "1e8"]
    for words in (["predict", str(path), *size], ["ledger", "freeze", str(path), "x", *size, "--ledger", str(copied)]):
        error = CliRunner().invoke(app, words).exception
        assert isinstance(error, StoreError)
        assert "edited" in str(error)
    with pytest.raises(StoreError, match="not the file that was written here"):
        Fit.load(path)
    assert told_everywhere(copied, "fit.json was edited")
    copy = copied.parent / "fit.json"
    copy.write_bytes(path.read_bytes())
    (copied.parent / SEALS).write_text("another program's file of this name")
    assert Fit.load(copy).law
