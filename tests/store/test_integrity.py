"""What is wrong in a study's folder is found, told, and mended or refused; nothing that is not ours is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.errors import StoreError
from foretoken.runs.record import RunRecord
from foretoken.store import atomic, checkpoints, weights
from foretoken.store.format import format_json
from foretoken.store.integrity import REMEDIES, Finding, check_belongs, inspect, repair
from foretoken.store.store import KNOWN, Store

from ..runs.test_spec import SPEC

RECORD = f"runs/{SPEC.key}/record.json"
TRUNK = f"trunks/{SPEC.trajectory}"
WEIGHTS = f"runs/{SPEC.key}/weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with a file of every kind, all of them sound."""
    home = tmp_path / "study"
    Store(home).put_record(RunRecord(spec=SPEC, status="finished", loss=1.0))
    checkpoints.commit(home / TRUNK, 10, 1, {"state.json": b"{}", "tensors.safetensors": b"123"})
    weights.commit_weights(home / WEIGHTS, lambda place: atomic.write_file(place / "model.safetensors", b"123"))
    for name in ("design.json", "finished.json"):
        atomic.write_file(home / name, format_json({"study": {"name": "study"}, "files": {}}))
    for name in ("calibration.json", "fit.json", "approach3.json", "progress.json", "attempts/000000001.json"):
        atomic.write_json(home / name, {})
    atomic.write_file(home / "ledger" / "target-1-2-coupled-0.9.json", atomic.checksummed_json({"loss": 1.0}))
    atomic.write_file(home / "ledger" / "target-1-2-coupled-0.9.outcome.json", atomic.checksummed_json({"loss": 1.1}))
    for name in ("log/workers.txt", "report/index.html", ".DS_Store"):
        atomic.write_file(home / name, b"")
    return home


def findings(folder: Path, deep: bool = True) -> dict[str, str]:
    return {found.path.relative_to(folder).as_posix(): found.remedy for found in inspect(folder, deep)}


def test_a_sound_folder_has_no_findings(folder: Path) -> None:
    assert findings(folder) == {}
    check_belongs(folder, "study")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (RECORD, "set aside"),
        ("design.json", "set aside"),
        ("finished.json", "set aside"),
        ("calibration.json", "set aside"),
        ("fit.json", "set aside"),
        ("approach3.json", "set aside"),
        ("progress.json", "delete"),
        ("ledger/target-1-2-coupled-0.9.json", "refuse"),
        ("ledger/target-1-2-coupled-0.9.outcome.json", "refuse"),
    ],
)
def test_a_torn_file_is_found_and_mended(name: str, remedy: str, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-2])
    (found,) = inspect(folder)
    assert (found.path, found.remedy) == (folder / name, remedy)
    assert remedy in REMEDIES
    if remedy == "refuse":
        with pytest.raises(StoreError, match=r"(?s)line \d+: not JSON.*cure: restore it"):
            repair(folder, [found])
        assert (folder / name).exists()
    else:
        repair(folder, [found])
        assert not (folder / name).exists()
        assert (folder / f"{name}.corrupt").exists() == (remedy == "set aside")
        assert inspect(folder) == []


def test_nothing_is_done_when_one_thing_is_refused(folder: Path) -> None:
    (folder / RECORD).write_bytes(b"")
    (folder / "ledger" / "target-1-2-coupled-0.9.json").write_bytes(b"")
    with pytest.raises(StoreError):
        repair(folder, inspect(folder))
    assert (folder / RECORD).exists()


def test_what_was_cut_off_is_deleted(folder: Path) -> None:
    temporaries = [f"runs/{SPEC.key}/.record.json.12-0123abcd.tmp", "attempts/.probe-0123abcd.tmp"]
    for name in temporaries:
        (folder / name).write_bytes(b"half")
    (folder / TRUNK / "step-000000020-1").mkdir()
    (folder / TRUNK / "step-000000020-1" / "state.json").write_bytes(b"half")
    assert findings(folder) == {**dict.fromkeys(temporaries, "delete"), f"{TRUNK}/step-000000020-1": "delete"}
    repair(folder, inspect(folder))
    assert findings(folder) == {}
    assert checkpoints.newest(folder / TRUNK)[0] is not None


@pytest.mark.parametrize("name", ["notes.txt", "notes.tmp", "runs/mine/record.json", f"{TRUNK}/x", "ledger/a/b.json"])
def test_a_file_of_somebody_else_is_refused_and_stays(name: str, folder: Path) -> None:
    atomic.write_file(folder / name, b"mine")
    assert "refuse" in findings(folder).values()
    with pytest.raises(StoreError, match="not a file of a study"):
        repair(folder, inspect(folder))
    with pytest.raises(StoreError, match="not of a study"):
        check_belongs(folder, "study")
    assert (folder / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["runs", "report/index.html", RECORD, ".a-0123abcd.tmp", f"{TRUNK}/step-000000030-1"])
def test_a_link_is_refused_and_not_followed(name: str, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    if (folder / name).exists():
        (folder / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (folder / name).symlink_to(elsewhere)
    assert "refuse" in [found.remedy for found in inspect(folder) if found.path == folder / name]
    with pytest.raises(StoreError, match="not of a study"):
        check_belongs(folder, "study")
    with pytest.raises(StoreError, match="a link"):
        repair(folder, [found for found in inspect(folder) if found.path == folder / name])
    assert elsewhere.exists()


@pytest.mark.parametrize("how", ["flip", "truncate", "zero the tail"])
def test_a_damaged_checkpoint_is_found_by_its_hash(how: str, folder: Path) -> None:
    state = folder / TRUNK / "step-000000010-1" / "tensors.safetensors"
    state.write_bytes({"flip": b"122", "truncate": b"12", "zero the tail": b"12\0"}[how])
    assert findings(folder, deep=False) == {}
    (found,) = inspect(folder, deep=True)
    assert (found.path, found.remedy) == (state.parent, "set aside")
    assert "tensors.safetensors is damaged" in found.problem


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [("model.safetensors", b"122", "set aside"), ("commit.json", None, "delete"), ("commit.json", b"[", "set aside")],
)
def test_kept_weights_are_always_hashed(name: str, content: bytes | None, remedy: str, folder: Path) -> None:
    path = folder / WEIGHTS / name
    path.unlink() if content is None else path.write_bytes(content)
    assert findings(folder, deep=False) == {WEIGHTS: remedy}
    repair(folder, inspect(folder))
    assert findings(folder) == {}
    assert (folder / f"{WEIGHTS}.corrupt").is_dir() == (remedy == "set aside")


def test_a_fit_edited_after_the_end_is_made_anew(folder: Path) -> None:
    atomic.write_file(folder / "finished.json", format_json({"files": {"fit.json": "0", "report/index.html": "0"}}))
    changed = Finding(folder / "fit.json", "changed since the study ended", "remake")
    assert inspect(folder) == [changed, replace(changed, path=folder / "report" / "index.html")]
    repair(folder, [changed])
    assert not (folder / "fit.json").exists()
    assert not (folder / "finished.json").exists()


def test_a_folder_of_another_study_or_version_is_refused(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"(?s)another study.*'mine'.*'study'"):
        check_belongs(folder, "mine")
    atomic.write_file(folder / "design.json", atomic.checksummed_json({"format": "foretoken study 3"}))
    with pytest.raises(StoreError, match=r"(?s)another format.*study 3.*another folder"):
        check_belongs(folder, "study")
    (folder / "design.json").write_bytes(b"")
    check_belongs(folder, "study")


@pytest.mark.parametrize("format_json", [{}, {"format": 1}, {"format": "foretoken study 3"}])
def test_a_record_of_another_format_is_refused_and_not_taken_for_damaged(
    format_json: dict[str, object], folder: Path
) -> None:
    path = next(folder.glob("runs/*/record.json"))
    content = atomic.checksummed_json({**format_json, "loss": 1.0})
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"(?s)another format.*foretoken study 2.*another folder") as refusal:
        check_belongs(folder, "study")
    assert refusal.value.code == "old_format"
    (finding,) = [finding for finding in inspect(folder) if finding.path == path]
    assert finding.refuses
    with pytest.raises(StoreError, match="move it out of the folder"):
        repair(folder, [finding])
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["log/workers.txt", "log/slurm/job-17.out", "log/ray/a/b/c.log"])
def test_a_launcher_may_write_whatever_it_wants_below_log(name: str, folder: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("starting")
    assert not [finding for finding in inspect(folder) if finding.path.is_relative_to(folder / "log")]


@pytest.mark.parametrize("is_link", [True, False])
def test_a_submission_that_was_cut_off_is_cleared_away(is_link: bool, folder: Path) -> None:
    path = folder / "log" / "slurm" / "20261201-130041-299a76" / ".submission_file_5f3a.sh"
    path.parent.mkdir(parents=True)
    if is_link:
        path.symlink_to(path.with_name("6_submission.sh"))
    else:
        path.touch()
    check_belongs(folder, "study")
    (finding,) = [finding for finding in inspect(folder) if finding.path == path]
    assert finding.remedy == "delete"
    repair(folder, [finding])
    assert not path.is_symlink()
    assert not path.exists()
    path.symlink_to(folder.parent)  # nothing of submitit's: no link to a folder is touched
    with pytest.raises(StoreError, match="not of a study"):
        check_belongs(folder, "study")


@pytest.mark.parametrize("name", ["logs/a.txt", "slurm/job.out", "runs/slurm.out", "notes/log/a.txt"])
def test_elsewhere_what_is_not_of_a_study_is_refused(name: str, folder: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("starting")
    assert any(finding.refuses for finding in inspect(folder))
    with pytest.raises(StoreError, match="not of a study"):
        check_belongs(folder, "study")


def test_a_file_or_nothing_in_the_place_of_the_folder(tmp_path: Path) -> None:
    check_belongs(tmp_path / "none", "study")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        check_belongs(tmp_path / "file", "study")


def test_every_path_that_is_written_is_known(folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert [name for name in names if not KNOWN.fullmatch(name)] == [".DS_Store"]


@pytest.mark.parametrize("witness", ["finished.json", "seals"])
def test_nothing_outside_of_the_folder_is_vouched_for_and_so_deleted(witness: str, folder: Path) -> None:
    victim = folder.parent / "victim.json"
    victim.write_text("mine")
    atomic.write_file(folder / witness, format_json({"files": {"../victim.json": "0", "log/../../victim.json": "0"}}))
    assert not inspect(folder)
    repair(folder, inspect(folder))
    assert victim.read_text() == "mine"
