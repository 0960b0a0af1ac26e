"""Care for a study's folder: what is wrong in it, and what is no longer needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.arguments import named_arguments
from foretoken.data.tokenized import damaged_files
from foretoken.errors import StoreError
from foretoken.results import Result
from foretoken.runs.spec import RunSpec
from foretoken.store import atomic, checkpoints
from foretoken.store.chain import Chain
from foretoken.store.fetch import study_folder_at
from foretoken.store.integrity import Finding, inspect
from foretoken.store.lease import Lease, is_owned
from foretoken.store.seals import unseal
from foretoken.store.store import Store
from foretoken.study.agreement import contradictions
from foretoken.study.design_file import NAME, read_design_file, started_design
from foretoken.study.progress import PAUSE


@named_arguments
def verify(folder: str | Path) -> list[Finding]:
    """Check every hash: records, design, ledger, checkpoints, the corpus, and what a finished study rests on.

    Of a URL (`launch.bucket`) all is fetched first.
    """
    folder = study_folder_at(folder, whole=True)
    findings = look_over(folder, deep=True)
    # The corpus is named in design.json alone, so a damaged one leaves nothing to look for.
    if not any(finding.path.name == NAME for finding in findings):
        findings += _corpus_findings(folder)
    return findings


def look_over(folder: Path, deep: bool = False) -> list[Finding]:
    """All that is wrong, the ledger's chain included: what `run` repairs or refuses before it starts."""
    findings, book = inspect(folder, deep), folder / "ledger"
    # Of a ledger with a damaged or lost file there is no more to say: it is refused as it is.
    if any(finding.path.parent == book for finding in findings):
        return findings
    listed = {finding.path for finding in findings}
    return findings + [finding for finding in _of_ledger(book) if finding.path not in listed]


def _of_ledger(folder: Path) -> Iterator[Finding]:
    """Files of the ledger that were edited, added or left out, and what of the study contradicts it."""
    try:
        faults = Chain.read(folder).faults
        yield from (Finding(fault.path, fault.problem, "refuse") for fault in faults)
        if not faults:
            yield from contradictions(folder.parent)
    except StoreError as error:
        yield Finding(folder, error.message if error.got is None else f"{error.message}: {error.got}", "refuse")


def _corpus_findings(folder: Path) -> Iterator[Finding]:
    kept = read_design_file(folder)
    home = folder.parent / "corpora" / str(kept.corpus.address if kept and kept.corpus else None)
    if not home.is_dir():
        return
    try:
        for path, expected, got in damaged_files(home):
            yield Finding(path, f"not what was tokenised: sha256 {got}, expected {expected}", "refuse")
    except StoreError as error:
        yield Finding(home, error.message, "refuse")


@named_arguments
def pause(folder: str | Path) -> bool:
    """Ask whoever runs a study, on this machine or another that sees the folder, to save and stop within seconds.

    Gives whether anybody runs it; where nobody does, nothing is written. `foretoken run` goes on. Raises StoreError
    without a study.
    """
    folder = Path(folder)
    kept = started_design(folder)
    owned = is_owned(folder, kept.study.launch.lease_seconds)
    if owned:
        atomic.write_file(folder / PAUSE, b"")
    return owned


@dataclass(frozen=True)
class Surplus(Result):
    """Something that no run needs any more."""

    path: Path
    why: str
    bytes: int
    """What it takes on the disk."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"path": str(self.path), "why": self.why, "bytes": self.bytes}


@named_arguments
def prune(folder: str | Path, *, old_runs: bool = False, weights: bool = False, dry_run: bool = False) -> list[Surplus]:
    """Delete what no run needs any more, and list it; kept `weights` only where that is asked.

    Raises StudyBusyError while a process runs the study.
    """
    folder = Path(folder)
    kept = started_design(folder)
    if dry_run:
        return surplus(folder, old_runs, weights)
    with Lease(folder, kept.study.launch.lease_seconds) as lease, atomic.guarded(lease.check):
        things = surplus(folder, old_runs, weights)
        # What vouches for records and weights by their hashes goes before any of them does.
        gone = {thing.path.relative_to(folder).as_posix() for thing in things}
        unseal(folder, {*gone, *(f"{name}/{part}" for name in gone for part in ("record.json", "weights"))})
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
    runs, store = started_design(folder).design.all_runs, Store(folder)
    corrupt = [_surplus(path, "damaged and set aside") for path in sorted(folder.rglob(f"*{atomic.CORRUPT}"))]
    cut_off = [_surplus(finding.path, finding.problem) for finding in inspect(folder) if finding.remedy == "delete"]
    things = corrupt + cut_off + _checkpoints(store, runs)
    things += _old(store, runs) if old_runs else []
    listed = {thing.path for thing in things}
    kept = [path for path in sorted(folder.glob("runs/*/weights")) if weights and not listed & {path, path.parent}]
    return things + [_surplus(path, "kept weights") for path in kept]


def _checkpoints(store: Store, runs: list[RunSpec]) -> list[Surplus]:
    waiting = [run for run in runs if (record := store.record(run.key)) is None or record.has_failed]
    needed = set()
    for run in waiting:
        own = checkpoints.in_folder(store.branch_folder(run.key))
        for saved in (usable_checkpoints(store, run), own):
            needed |= {checkpoint.path for checkpoint in saved[-checkpoints.KEPT :]}
    homes = [*sorted((store.folder / "runs").glob("*")), *sorted((store.folder / "trunks").glob("*"))]
    committed = [saved.path for home in homes for saved in checkpoints.in_folder(home) if saved.is_committed]
    return [_surplus(path, "a checkpoint that no run will go on from") for path in committed if path not in needed]


def _old(store: Store, runs: list[RunSpec]) -> list[Surplus]:
    planned = {run.key for run in runs}
    homes = sorted(path for path in (store.folder / "runs").glob("*") if path.name not in planned)
    return [_surplus(path, "a run that the design does not plan any more") for path in homes]


def _surplus(path: Path, why: str) -> Surplus:
    files = path.rglob("*") if path.is_dir() else [path]
    return Surplus(path, why, sum(file.stat().st_size for file in files if file.is_file()))


def usable_checkpoints(store: Store, run: RunSpec) -> list[checkpoints.CheckpointFolder]:
    """Checkpoints of the trunk that are not beyond where this run leaves it, oldest first."""
    saved = checkpoints.in_folder(store.trunk_folder(run.trajectory))
    return [checkpoint for checkpoint in saved if checkpoint.is_committed and checkpoint.step <= run.fork_step]
