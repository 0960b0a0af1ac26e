"""Care for a study's folder: what a run would do, what is wrong, and what is no longer needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.data.tokenized import damaged_files
from foretoken.errors import StoreError
from foretoken.runs.spec import KeepWeights, RunSpec
from foretoken.store import atomic, checkpoints
from foretoken.store.finished import changed_files, unmark
from foretoken.store.integrity import Finding, inspect
from foretoken.store.lease import Lease
from foretoken.store.store import Store
from foretoken.study.results import because, read_design, read_plan, settings_of


def actions(store: Store, runs: list[RunSpec], keep_weights: KeepWeights = "none") -> list[dict[str, Any]]:
    """What `foretoken run` would do with each run: keep, resume (at `step`), retry or train (and `because`).

    `again`: it has its record, but not the weights that are to be kept.
    """
    planned, records = {run.key for run in runs}, {record.spec.key: record for record in store.records()}
    others = [record.spec for key, record in records.items() if key not in planned]
    told = []
    for run in runs:
        record, step = records.get(run.key), _resumed_step(store, run)
        if record is not None and not record.has_failed:
            action = "again" if store.lacks_weights(run, keep_weights) else "keep"
        else:
            action = "resume" if step else "retry" if record else "train"
        new = because(run, others) if record is None and not step else None
        told.append({"id": run.key, "group": run.group, "action": action, "step": step, "because": new})
    return told


def _resumed_step(store: Store, run: RunSpec) -> int | None:
    """The step of the newest checkpoint that the run can go on from."""
    own = [place.step for place in checkpoints.in_folder(store.branch_folder(run.key)) if place.is_committed]
    shared = [place.step for place in _usable(store, run)]
    return max([*own, *shared], default=None)


def _usable(store: Store, run: RunSpec) -> list[checkpoints.CheckpointFolder]:
    """Checkpoints of the trunk that are not beyond where this run leaves it, oldest first."""
    fork = run.fork_step
    return [p for p in checkpoints.in_folder(store.trunk_folder(run.trajectory)) if p.is_committed and p.step <= fork]


def verify(folder: str | Path) -> list[Finding]:
    """Check every hash: records, design, ledger, checkpoints, the corpus, and what a finished study rests on."""
    folder = Path(folder)
    findings = inspect(folder, deep=True)
    if not any(finding.path.name == "design.json" for finding in findings):
        findings += _corpus_findings(folder)
    known = {finding.path for finding in findings}
    changed = [Finding(path, "changed or lost since the study ended", "remake") for path in changed_files(folder)]
    return findings + [finding for finding in changed if finding.path not in known]


def _corpus_findings(folder: Path) -> Iterator[Finding]:
    address = read_plan(folder).get("corpus", {}).get("address")
    home = folder.parent / "corpora" / str(address)
    if not home.is_dir():
        return
    try:
        for path, expected, found in damaged_files(home):
            yield Finding(path, f"not what was tokenised: sha256 {found}, expected {expected}", "refuse")
    except StoreError as error:
        yield Finding(home, error.message, "refuse")


@dataclass(frozen=True)
class Surplus:
    """Something that no run needs any more."""

    path: Path
    why: str
    bytes: int
    """What it takes on the disk."""


def prune(folder: str | Path, *, old_runs: bool = False, weights: bool = False, dry_run: bool = False) -> list[Surplus]:
    """Delete what no run needs any more, and tell it; kept `weights` only where that is asked.

    Raises StudyBusyError while a process runs the study.
    """
    folder = Path(folder)
    found = surplus(folder, old_runs, weights)
    if dry_run:
        return found
    seconds = settings_of(folder, read_plan(folder)).launch.lease_seconds
    with Lease(folder, seconds) as lease, atomic.guarded(lease.check):
        things = surplus(folder, old_runs, weights)
        if old_runs or weights:
            unmark(folder)
        for thing in things:
            if thing.path.is_dir():
                atomic.delete_folder(thing.path)
            else:
                atomic.delete_file(thing.path)
    return things


def surplus(folder: Path, old_runs: bool = False, weights: bool = False) -> list[Surplus]:
    """What can be deleted: leftovers, what was set aside, checkpoints that no planned run will need.

    A checkpoint of a trunk is needed while a run that leaves the trunk later has no record. With `old_runs` also the
    runs that the design does not plan any more, with `weights` also the kept weights of all others.
    Raises StoreError where no design says what is planned.
    """
    design = read_design(folder)
    if design is None:
        raise StoreError(f"no study has been started in {folder}", expected="a folder with design.json")
    store = Store(folder)
    corrupt = [_surplus(path, "damaged and set aside") for path in sorted(folder.rglob(f"*{atomic.CORRUPT}"))]
    cut_off = [_surplus(found.path, found.problem) for found in inspect(folder) if found.remedy == "delete"]
    found = corrupt + cut_off + _checkpoints(store, design.all_runs)
    found += _old(store, design.all_runs) if old_runs else []
    gone = {thing.path for thing in found}
    kept = [path for path in sorted(folder.glob("runs/*/weights")) if weights and not gone & {path, path.parent}]
    return found + [_surplus(path, "kept weights") for path in kept]


def _checkpoints(store: Store, runs: list[RunSpec]) -> list[Surplus]:
    waiting = [run for run in runs if (record := store.record(run.key)) is None or record.has_failed]
    needed = {place.path for run in waiting for place in _usable(store, run)[-checkpoints.KEPT :]}
    needed |= {
        p.path for run in waiting for p in checkpoints.in_folder(store.branch_folder(run.key))[-checkpoints.KEPT :]
    }
    homes = [*sorted((store.folder / "runs").glob("*")), *sorted((store.folder / "trunks").glob("*"))]
    committed = [place.path for home in homes for place in checkpoints.in_folder(home) if place.is_committed]
    return [_surplus(path, "a checkpoint that no run will go on from") for path in committed if path not in needed]


def _old(store: Store, runs: list[RunSpec]) -> list[Surplus]:
    planned = {run.key for run in runs}
    homes = sorted(path for path in (store.folder / "runs").glob("*") if path.name not in planned)
    return [_surplus(path, "a run that the design does not plan any more") for path in homes]


def _surplus(path: Path, why: str) -> Surplus:
    files = path.rglob("*") if path.is_dir() else [path]
    return Surplus(path, why, sum(file.stat().st_size for file in files if file.is_file()))
