"""What the files of a study say of each other: ledger, records, fit, seals and mark, each held against the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from foretoken import fits
from foretoken._version import __version__
from foretoken.designs import tuned
from foretoken.errors import StoreError
from foretoken.forecasts import Ledger
from foretoken.forecasts.ledger import LedgerLine
from foretoken.laws import WEIGHED
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.table import RunTable, table_from_records
from foretoken.store.finished import MARK, SEALS, read_mark, unlisted_files
from foretoken.store.integrity import FITS, Finding
from foretoken.store.scores import lost_tasks
from foretoken.store.seals import check_fit
from foretoken.store.store import Store, is_key, record_name
from foretoken.study.design_file import DesignFile, usable_design
from foretoken.study.frozen import current_forecast

RUNS_CHANGED = "the small runs have changed since the forecast was frozen"
TASKS_GONE = "gone, and runs were scored on what it holds"
SAME = 1e-9
"""Relative difference of two losses that are the same number."""


def table_of(store: Store, runs: list[RunSpec]) -> RunTable:
    """The run table of planned runs, as far as they have records."""
    return table_from_records(tuned(records_of(store, runs)), str(store.folder))


def records_of(store: Store, runs: list[RunSpec]) -> list[RunRecord]:
    """Records of planned runs, under the labels that the design gives them now."""
    return [replace(record, spec=run) for run in runs if (record := store.record(run.key))]


def load_fit(path: Path) -> fits.Fit | None:
    """A kept fit; None when there is none, or it is damaged or edited: it can be made again."""
    try:
        return fits.Fit.load(path) if path.is_file() else None
    except StoreError:
        return None


def contradictions(folder: Path) -> Iterator[Finding]:
    """Files that are whole, and that others of the study contradict, with what `run` does about each.

    Raises StoreError for a ledger that cannot be read.
    """
    lines, store = Ledger.read(folder / "ledger").lines, Store(folder, mended=True)
    for key, problem in _other_losses(store, lines):
        # One that is sealed was written here: its run, trained again on another machine, gave other bits.
        if record_name(key) not in store.seals:
            yield Finding(store.record_path(key), problem, "set aside")
    yield from _to_remake(store, lines, usable_design(folder))


def doubts(folder: Path, kept: DesignFile | None) -> list[str]:
    """What is doubtful about a study, a sentence each: of its ledger, and of files that contradict each other.

    `kept` is its design, as far as it is usable. Raises StoreError for a ledger that cannot be read, or with an edited
    record.
    """
    book, store = Ledger.read(folder / "ledger"), Store(folder)
    sentences = [
        *book.summary().told,
        *(f"of run {key}, {problem}" for key, problem in _other_losses(store, book.lines)),
    ]
    sentences += [f"the file {one.path.name} is doubtful: {one.problem}" for one in _to_remake(store, book.lines, kept)]
    sentences += [
        f"the file {path.name} is doubtful: {TASKS_GONE}, and the study file asks for others"
        for path, is_asked in _lost_tasks(folder, kept)
        if not is_asked
    ]
    for name in FITS:
        try:
            check_fit(folder / name)
        except StoreError:
            sentences.append(f"the file {name} was edited: it is not the fit that the study made")
    return sentences + ([RUNS_CHANGED] if _runs_have_changed(store, kept) else [])


def _runs_have_changed(store: Store, kept: DesignFile | None) -> bool:
    """Whether the newest forecast of the target was frozen from other small runs than those that are there."""
    line = current_forecast(store.folder, kept.design if kept else None)
    if not (kept and line):
        return False
    # Where every record has its seal, the fit too, and that is of the forecast's data, no table need be read for it.
    names = {record_name(run.key) for run in kept.design.runs if store.record_path(run.key).exists()}
    fit = load_fit(store.folder / FITS[0]) if names <= set(store.seals) else None
    if fit and fit.data_sha256 == line.entry.data_sha256 and len(names) == fit.rows.used:
        return False
    return line.entry.data_sha256 != table_of(store, kept.design.runs).digest


def _to_remake(store: Store, lines: Sequence[LedgerLine], kept: DesignFile | None) -> Iterator[Finding]:
    """Seals that are gone, and a mark that other files contradict."""
    # The study seals its fit before it freezes a forecast of its own, so from then on there are seals.
    of_a_study = any(line.entry.spec and line.entry.follows is not None for line in lines)
    if of_a_study and not (store.folder / SEALS).is_file() and any(store.folder.glob("runs/*/record.json")):
        yield Finding(store.folder / SEALS, "gone, and the records are sealed there", "remake")
    yield from (Finding(path, TASKS_GONE, "remake") for path, is_asked in _lost_tasks(store.folder, kept) if is_asked)
    for problem in filter(None, [_refusal_beside_forecast(store, kept), *unlisted_files(store.folder)]):
        yield Finding(store.folder / MARK, problem, "remake")


def _lost_tasks(folder: Path, kept: DesignFile | None) -> Iterator[tuple[Path, bool]]:
    """Tasks that scores are of and that are gone, and whether the study asks for them and so can make them anew."""
    asks = kept is not None and bool(kept.study.evaluate or kept.study.finetune)
    yield from ((path, asks and is_current) for path, is_current in lost_tasks(folder))


def _other_losses(store: Store, lines: Sequence[LedgerLine]) -> Iterator[tuple[str, str]]:
    """Key of each run whose record has another loss than ledger or frozen fit, with a sentence."""
    said: dict[str, list[tuple[float, str]]] = {}
    for line in lines:
        if line.outcome:
            said.setdefault(line.outcome.run, []).append((line.outcome.loss, f"{line.name}.outcome.json"))
    fit = load_fit(store.folder / FITS[0])
    if fit and fit.data_sha256 in {line.entry.data_sha256 for line in lines}:
        for run in fit.runs:
            said.setdefault(run.run, []).append((run.loss, f"{FITS[0]}, behind the frozen forecast,"))
    for key in sorted(filter(is_key, said)):
        record = store.summary(key)
        if record is None or record.status == "failed":
            continue
        mine = math.nan if record.loss is None else record.loss
        if not any(math.isclose(mine, loss, rel_tol=SAME) for loss, _ in said[key]):
            loss, witness = said[key][0]
            yield key, f"its loss is {record.loss}, where {witness} says {loss} of the same run"


def _refusal_beside_forecast(store: Store, kept: DesignFile | None) -> str:
    """What is wrong where a study is marked as refused, and has frozen the forecast that it says it has not."""
    mark = read_mark(store.folder)
    line = current_forecast(store.folder, kept.design if kept else None) if mark and mark.refusal else None
    if not (kept and line):
        return ""
    # A forecast by another law or level, or of other small runs, may stand while the study's own is refused.
    asked, entry = kept.study.forecast, line.entry
    data = table_of(store, kept.design.runs).digest
    own = (asked.law in (entry.law, WEIGHED), asked.level, data, __version__)
    if own != (True, entry.forecast.level, entry.data_sha256, entry.version):
        return ""
    return f"it says that the study ended without a forecast, and {line.name}.json is one"
