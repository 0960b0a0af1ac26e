"""Kept weights: there when the record is; lost or damaged ones made anew, bit for bit; deleted only when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foretoken.data import open_corpus
from foretoken.errors import StoreError
from foretoken.generation import open_model, sample
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.store.store import Store
from foretoken.store.weights import check_weights
from foretoken.study.design_file import read_design, started_design
from foretoken.study.maintenance import prune, surplus, verify
from foretoken.study.preview import dry_run
from foretoken.study.runner import StudyRunner
from foretoken.training.evaluate import evaluate
from foretoken.training.state import TrainState

from . import tiny
from .tiny import tiny_study

pytestmark = [pytest.mark.usefixtures("in_process")]
FILES = {"commit.json", "config.json", "foretoken.json", "model.safetensors"}


def kept(folder: Path) -> dict[str, bytes]:
    """Every file of kept weights."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("runs/*/weights/*")}


def planned(folder: Path) -> list[RunSpec]:
    design = read_design(folder)
    assert design
    return design.all_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished study that kept its target's weights."""
    tiny.run(tmp_path / "tiny")
    return tmp_path / "tiny"


def again(folder: Path, keep: str = "target") -> Study:
    """The study, run once more."""
    study = tiny_study(keep_weights=keep)
    tiny.run(folder, study=study)
    return study


def test_the_target_s_weights_are_kept_and_give_its_loss(folder: Path) -> None:
    *small, target = planned(folder)
    weights = Store(folder).weights_folder(target.key)
    assert {path.name for path in weights.iterdir()} == FILES
    assert {Path(name).parts[1] for name in kept(folder)} == {target.key}
    state = TrainState.start(target)
    state.network = open_model(folder).network
    corpus = open_corpus(folder.parent / "corpora" / started_design(folder).corpus.address)
    record = Store(folder).record(target.key)
    assert record
    assert evaluate(state, target, corpus).loss == record.loss
    assert not verify(folder)
    with pytest.raises(StoreError, match=r"(?s)kept no weights.*keep_weights"):
        open_model(folder, small[0].key)


@pytest.mark.parametrize("keep", ["none", "all"])
def test_what_is_kept_changes_no_result(keep: str, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    again(other, keep)
    assert Store(other).table().digest == Store(folder).table().digest
    assert {run.key for run in planned(other)} == {run.key for run in planned(folder)}
    assert {Path(name).parts[1] for name in kept(other)} == (
        {r.key for r in planned(other)} if keep == "all" else set()
    )
    assert not verify(other)
    if keep == "all":
        assert kept(folder).items() <= kept(other).items()
        assert sample(other, "1 2", tokens=3, run=planned(other)[0].key[:9]).model == f"run {planned(other)[0].key}"


@pytest.mark.parametrize("damage", ["delete", "unmark", "flip", "add"])
def test_lost_and_damaged_weights_are_told_and_made_anew(damage: str, folder: Path) -> None:
    before, record = kept(folder), {path: path.read_bytes() for path in folder.glob("runs/*/record.json")}
    (weights,) = folder.glob("runs/*/weights")
    match damage:
        case "delete":
            for path in weights.iterdir():
                path.unlink()
            weights.rmdir()
        case "unmark":
            (weights / "commit.json").unlink()
        case "flip":
            content = bytearray((weights / "model.safetensors").read_bytes())
            content[-1] ^= 1
            (weights / "model.safetensors").write_bytes(content)
        case "add":
            (weights / "foreign.json").write_text("{}")
    (found,) = verify(folder)
    assert (found.path, found.remedy) == (weights, {"delete": "remake", "unmark": "delete"}.get(damage, "set aside"))
    if damage != "delete":
        with pytest.raises(StoreError):
            check_weights(weights)
    study = again(folder)
    assert kept(folder) == before
    assert {path: path.read_bytes() for path in record} == record
    assert not verify(folder)
    assert StudyRunner(study, folder).is_finished()
    assert [path.name for path in folder.rglob("*.corrupt")] == (
        ["weights.corrupt"] if damage in ("flip", "add") else []
    )


def test_weights_that_are_asked_for_later_are_trained_for(folder: Path) -> None:
    study, before = tiny_study(keep_weights="all"), kept(folder)
    assert {row.action for row in dry_run(study, folder).runs} == {"again", "keep"}
    again(folder, "all")
    assert {row.action for row in dry_run(study, folder).runs} == {"keep"}
    assert len(kept(folder)) == len(planned(folder)) * len(FILES)
    assert before.items() <= kept(folder).items()
    again(folder, "none")
    assert len(kept(folder)) == len(planned(folder)) * len(FILES), "nothing is deleted unasked"
    assert not verify(folder)


def test_prune_deletes_weights_only_when_asked(folder: Path) -> None:
    before = kept(folder)
    assert prune(folder) == []
    assert kept(folder) == before
    (thing,) = surplus(folder, weights=True)
    assert (thing.path.name, thing.bytes) == ("weights", sum(map(len, before.values())))
    prune(folder, weights=True)
    assert not kept(folder)
    assert not verify(folder)
    with pytest.raises(StoreError, match="kept no weights"):
        open_model(folder)
    again(folder)
    assert kept(folder) == before


def test_a_study_that_was_not_run_has_no_model(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"(?s)no study has been started in runs/tiny.*foretoken run"):
        open_model(tiny_study())
    tiny.run(tmp_path / "tiny")
    plan = json.loads((tmp_path / "tiny" / "design.json").read_text())
    (tmp_path / "tiny" / "runs" / RunSpec.from_json(plan["target"]).key / "record.json").unlink()
    for run in ("0", "nothing", "../..", ""):
        with pytest.raises(StoreError, match=r"(?s)no run has a key|several runs|kept no weights"):
            open_model(tmp_path / "tiny", run)
