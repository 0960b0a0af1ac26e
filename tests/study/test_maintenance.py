"""Care for a folder: what a run would do and why, what is wrong, and what can go."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from foretoken.data.tokenized import CorpusSummary
from foretoken.designs import Design
from foretoken.errors import StoreError, StudyBusyError
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study, load_study
from foretoken.store import atomic
from foretoken.store.checkpoints import commit, in_folder
from foretoken.store.finished import MARK, mark_finished
from foretoken.store.lease import Lease
from foretoken.store.store import Store
from foretoken.study.design_file import DesignFile, read_design, write_design_file
from foretoken.study.maintenance import prune, surplus, verify
from foretoken.study.preview import actions, dry_run
from foretoken.study.runner import StudyRunner
from foretoken.study.study_status import status

from ..conftest import MINI
from ..runs.test_spec import SPEC

RUNS = [SPEC.with_tokens(512 * steps) for steps in (100, 200, 300)]
FORKS = [run.fork_step for run in RUNS]
TARGET = replace(SPEC, seed=9, group="target")
CORPUS = CorpusSummary(
    address="a",
    tokenizer="t",
    vocabulary=32,
    tokens=9,
    train_tokens=8,
    validation_tokens=1,
    bytes=None,
    sha256="s",
    entropy_rate=None,
)


def keep_design(folder: Path, runs: list[RunSpec]) -> Store:
    """A study's folder that plans these runs of one trunk, and a target."""
    study, design = Study.model_validate(tomllib.loads(MINI)), Design(runs, TARGET)
    write_design_file(folder, DesignFile(study=study, corpus=CORPUS, design=design))
    return Store(folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return keep_design(tmp_path, RUNS)


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        commit(folder, step, 1, {"state.json": b"{}"})


def done(store: Store, run: RunSpec, status: str = "finished") -> None:
    store.put_record(RunRecord(spec=run, status=status, loss=1.0 if status == "finished" else None))


def told(store: Store, runs: list[RunSpec] = RUNS) -> list[tuple[str, int | None]]:
    return [(row.action, row.step) for row in actions(store, runs)]


def test_what_a_run_would_do(store: Store) -> None:
    assert told(store) == [("train", None)] * 3
    done(store, RUNS[0])
    done(store, RUNS[1], "failed")
    assert told(store) == [("keep", None), ("retry", None), ("train", None)]
    save(store.trunk_folder(SPEC.trajectory), FORKS[1], FORKS[2])
    assert told(store) == [("keep", None), ("resume", FORKS[1]), ("resume", FORKS[2])]
    save(store.branch_folder(RUNS[2].key), FORKS[2] + 7)
    assert told(store)[2] == ("resume", FORKS[2] + 7)
    (in_folder(store.branch_folder(RUNS[2].key))[0].path / atomic.COMMIT).unlink()
    assert told(store)[2] == ("resume", FORKS[2]), "what was never committed does not count"
    done(store, TARGET, "diverged")
    assert told(store, [TARGET]) == [("keep", None)]


def test_a_kept_run_is_kept_whatever_lies_beside_it(store: Store) -> None:
    done(store, RUNS[0])
    save(store.trunk_folder(SPEC.trajectory), FORKS[0])
    assert actions(store, RUNS)[0].action == "keep"


def test_why_a_run_is_new(store: Store) -> None:
    for run in RUNS:
        done(store, replace(run, clip=2.0))
    (first, *_) = actions(store, RUNS)
    assert (first.action, first.because) == ("train", {"clip": (2.0, 1.0)})


def test_a_checkpoint_stays_while_a_branch_needs_it(store: Store) -> None:
    """Pruning knows the children of a trunk: with the last of them done its checkpoints go."""
    trunk = store.trunk_folder(SPEC.trajectory)
    save(trunk, FORKS[0], FORKS[1])
    done(store, RUNS[0])
    save(store.branch_folder(RUNS[0].key), FORKS[0] + 1)
    (thing,) = prune(store.folder)
    assert thing.path.parent == store.branch_folder(RUNS[0].key), "its run is done"
    assert [place.step for place in in_folder(trunk)] == FORKS[:2]
    done(store, RUNS[1])
    done(store, RUNS[2], "failed")
    assert prune(store.folder) == [], "a run that failed will be tried again"
    done(store, RUNS[2])
    assert [thing.path for thing in prune(store.folder, dry_run=True)] == [place.path for place in in_folder(trunk)]
    assert len(prune(store.folder)) == 2
    assert in_folder(trunk) == []
    assert len(store.records()) == 3


def test_checkpoints_beyond_every_waiting_branch_go(store: Store) -> None:
    trunk = store.trunk_folder(SPEC.trajectory)
    done(store, RUNS[1])
    done(store, RUNS[2])
    save(trunk, FORKS[0], FORKS[2])
    (thing,) = prune(store.folder)
    assert (thing.path.name, thing.bytes > 0) == (f"step-{FORKS[2]:09d}-1", True)
    assert [place.step for place in in_folder(trunk)] == [FORKS[0]]


def test_leftovers_and_what_was_set_aside_go(store: Store) -> None:
    names = ["fit.json.corrupt", "runs/0123456789abcdef/.record.json.1-0123abcd.tmp", "trunks/0123456789abcdef/x"]
    done(store, RUNS[0])
    for name in names[:2]:
        atomic.write_file(store.folder / name, b"1")
    save(store.trunk_folder(SPEC.trajectory), FORKS[1])
    aside = atomic.set_aside(in_folder(store.trunk_folder(SPEC.trajectory))[0].path)
    assert {thing.path for thing in prune(store.folder)} == {store.folder / names[0], store.folder / names[1], aside}
    assert not [path for path in store.folder.rglob("*") if path.name.endswith((".corrupt", ".tmp"))]


def test_links_are_deleted_and_not_what_they_lead_to(store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    precious = tmp_path_factory.mktemp("precious")
    (precious / "kept").write_text("1")
    (store.folder / "fit.json.corrupt").symlink_to(precious)
    prune(store.folder)
    assert (precious / "kept").exists()


def test_old_runs_go_when_asked(store: Store) -> None:
    old = replace(SPEC, seed=5)
    for run in (RUNS[0], old):
        done(store, run)
    mark_finished(store.folder, {})
    assert prune(store.folder) == []
    assert (store.folder / MARK).exists()
    (thing,) = prune(store.folder, old_runs=True)
    assert thing.path == store.branch_folder(old.key)
    assert [record.spec for record in store.records()] == [RUNS[0]]
    assert verify(store.folder) == []


def test_a_study_that_is_being_run_is_not_pruned(store: Store) -> None:
    save(store.trunk_folder(SPEC.trajectory), FORKS[2] + 1)
    with Lease(store.folder, 60):
        assert len(prune(store.folder, dry_run=True)) == 1
        with pytest.raises(StudyBusyError):
            prune(store.folder)
    assert len(prune(store.folder)) == 1


def test_a_folder_without_a_design_is_not_pruned(tmp_path: Path) -> None:
    for task in (surplus, prune):
        with pytest.raises(StoreError, match="no study has been started"):
            task(tmp_path)


def _flip(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zero(content: bytes) -> bytes:
    return content[:-8] + bytes(8)


@pytest.mark.parametrize("damage", [_flip, _cut, _zero])
@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("mini/runs/*/record.json", "set aside"),
        ("mini/trunks/*/step-*/tensors.safetensors", "set aside"),
        ("mini/design.json", "set aside"),
        ("mini/ledger/*.json", "refuse"),
        ("mini/report/index.html", "remake"),
        ("corpora/*/train.bin", "refuse"),
        ("corpora/*/validation.bin", "refuse"),
        ("corpora/*/tokenizer.json", "refuse"),
        ("corpora/*/manifest.json", "refuse"),
    ],
)
def test_verify_finds_each_damage(damage: Callable[[bytes], bytes], pattern: str, remedy: str, copied: Path) -> None:
    design = read_design(copied)
    assert design
    trunk = Store(copied).trunk_folder(design.runs[0].trajectory)
    commit(trunk, 5, 1, {"state.json": b"{}", "tensors.safetensors": bytes(range(1, 100))})
    path = sorted(copied.parent.glob(pattern))[0]
    path.write_bytes(damage(path.read_bytes()))
    (found,) = verify(copied)
    assert found.remedy == remedy
    assert path.is_relative_to(found.path)


def test_verify_and_dry_run_write_nothing(copied: Path, mini_file: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in mini_file.parent.rglob("*")}
    assert verify(copied) == []
    plan = dry_run(load_study(mini_file), copied)
    assert {row.action for row in plan.runs} == {"keep"}
    assert len(plan.runs) == status(copied).counts.planned
    assert before == {path: path.stat().st_mtime_ns for path in mini_file.parent.rglob("*")}


def test_a_dry_run_before_anything_was_done_writes_nothing(mini_file: Path) -> None:
    plan = dry_run(load_study(mini_file), mini_file.parent / "runs" / "mini")
    assert {row.action for row in plan.runs} == {"train"}
    assert {row.because for row in plan.runs} == {None}
    assert [path.name for path in mini_file.parent.iterdir()] == [mini_file.name]


EDITS = {
    "budgets": ("budgets = [2e8, 4e8, 8e8]", "budgets = [3e8, 6e8]", {"tokens"}),
    "batch": ("batch_tokens = { value = 512 }", "batch_tokens = { value = 256 }", {"batch_tokens"}),
    "learning rate": ("eval_tokens", "learning_rate = { value = 1e-3 }\neval_tokens", {"learning_rate"}),
    "corpus": ("symbols = 32, tokens = 400_000", "symbols = 32, tokens = 500_000", {"corpus", "eval_set"}),
    "tokenizer": ("symbols = 32", "symbols = 40", {"corpus", "tokenizer", "eval_set", "shape.vocabulary"}),
    "seed": ("seed = 0", "seed = 1", {"seed", "corpus", "eval_set"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_of_the_study_says_what_it_moves(edit: str, copied: Path, mini_file: Path) -> None:
    """Before the next run the dry run tells it; when the new plan is kept, so does the status."""
    old, new, moved = EDITS[edit]
    mini_file.write_text(mini_file.read_text().replace(old, new))
    study = load_study(mini_file)
    rows = dry_run(study, copied).runs
    assert {row.action for row in rows} == {"train"}
    assert all(moved <= set(row.because) for row in rows)
    assert status(copied, study).edited
    assert status(copied).new == []
    runner = StudyRunner(study, copied)
    with runner.owned():
        runner.design()
    assert not status(copied, study).edited
    told = status(copied)
    assert len(told.new) == told.counts.planned
    assert {row.id: row.because for row in told.new} == {row.id: row.because for row in rows}


@pytest.mark.parametrize("place", ["foretoken.study.runner.torch_version", "foretoken.designs.recipe.RECIPE"])
def test_another_version_moves_the_software(
    place: str, copied: Path, mini_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, (lambda: "9.9") if "torch" in place else 99)
    rows = dry_run(load_study(mini_file), copied).runs
    assert {tuple(row.because) for row in rows} == {("software",)}
    assert all("99" in row.because["software"][1].replace(".", "") for row in rows)


def test_an_edit_that_touches_no_run_redoes_none(copied: Path, mini_file: Path) -> None:
    text = mini_file.read_text().replace("workers = 1", "workers = 2") + "[forecast]\nlevel = 0.8\n"
    mini_file.write_text(text)
    study = load_study(mini_file)
    assert {row.action for row in dry_run(study, copied).runs} == {"keep"}
    assert set(status(copied, study).edited) == {"launch.workers", "forecast.level"}
