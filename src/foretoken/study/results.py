"""What a study's folder holds, gathered: its table of runs, its fits, its forecast, and what its report shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foretoken import abilities, fits, reports, routes
from foretoken._version import __version__
from foretoken.abilities.result import Scores
from foretoken.arguments import named_arguments
from foretoken.compute.hardware import processor_name
from foretoken.designs import tuned
from foretoken.errors import ForetokenError, RefusedError, TableError
from foretoken.forecasts import Ledger
from foretoken.laws import WEIGHED
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import TARGET
from foretoken.runs.table import RunTable, table_from_records
from foretoken.store.fetch import study_folder_at
from foretoken.store.score_rows import score_rows
from foretoken.store.scores import current_evaluation, scores_of, tasks_of
from foretoken.store.store import Store
from foretoken.study.agreement import RUNS_CHANGED, doubts, load_fit, records_of, table_of
from foretoken.study.design_file import DesignFile, started_design
from foretoken.study.frozen import current_forecast
from foretoken.study.study_status import count_runs

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R")

FIT_HAS_CHANGED = fits.Check(
    "fit_has_changed",
    "doubt",
    "the small runs or the law have changed since the forecast was frozen; the fit shown is the new one",
    "a new forecast needs a new target: change its size, or the study's seed",
)

CLOCK_MOVED = fits.Check(
    "clock_moved",
    "note",
    "the clock was moved while the study ran",
    "nothing: what came first is read off the ledger's chain; times of the day are only told",
)


def ladder_table(folder: str | Path) -> RunTable:
    """The run table of a study's small runs, as its design stands now. Raises StoreError without a design."""
    home = study_folder_at(folder)
    return table_of(Store(home), started_design(home).design.runs)


def gather(folder: Path, refusal: ForetokenError | None = None) -> reports.StudyResults:
    """All that the report of a study shows, read from its folder."""
    kept = started_design(folder)
    study, design = kept.study, kept.design
    records = records_of(Store(folder), design.all_runs)
    ladder = {run.key for run in design.runs}
    small = table_from_records(tuned([record for record in records if record.spec.key in ladder]), str(folder))
    line = current_forecast(folder, design)
    entry, outcome = (line.entry, line.outcome) if line else (None, None)
    fit, approach3 = (_fit_of(small, folder / name) for name in ("fit.json", "approach3.json"))
    # A clock that was moved is told; the order of forecast and run is not read off it.
    moves, told = Ledger.read(folder / "ledger").clock, doubts(folder, kept)
    if entry and moves:
        note = replace(CLOCK_MOVED, evidence="; ".join(moves))
        entry = replace(entry, forecast=replace(entry.forecast, checks=[*entry.checks, note]))
    # A frozen forecast is never edited: the page shows it as it was, and says that the fit has moved on.
    if entry and fit and (entry.law, entry.data_sha256) != (fit.law, fit.data_sha256):
        entry = replace(entry, forecast=replace(entry.forecast, checks=[*entry.checks, FIT_HAS_CHANGED]))
        told = [sentence for sentence in told if sentence != RUNS_CHANGED]
    scores = _scores_of(folder, records, kept)
    planned = len(design.all_runs if study.target.train else design.runs)
    return reports.StudyResults(
        name=study.name,
        # What an own trainer reads and predicts is its own affair: the defaults of our loop would say what is not so.
        settings_json=study.model_dump(exclude={"corpus", "objective"} if study.trainer else {"trainer"}),
        table=table_from_records(records, str(folder)),
        records=records,
        fit=fit,
        approach3=approach3,
        isoflop=_isoflop_of(small, study.forecast.level, study.seed),
        entry=entry,
        outcome=outcome,
        refusal=str(refusal) if refusal else None,
        design=design,
        corpus=_corpus_facts(kept),
        counts=count_runs(planned, (record.status for record in records)),
        cost=_training_cost(records),
        commands=[*filter(None, [kept.command]), f"foretoken report {folder}"],
        version=__version__,
        scores=scores,
        score_curves=_curves_of(scores),
        tail=None if scores is None else _said(partial(abilities.tail, folder)),
        told=told,
    )


@named_arguments
def report(folder: str | Path) -> Path:
    """Write a study's report/index.html anew from its files, and say where. Raises StoreError without a study."""
    return reports.write_report(gather(Path(folder)), Path(folder))


def kept_fit(store: Store, name: str, table: RunTable, law: str, level: float, seed: int) -> fits.Fit:
    """The fit in a study's folder when it is of these runs by this version, and was not edited, else a new one."""
    path = store.folder / name
    kept = load_fit(path) if name in store.seals else None
    # The version too: another one may fit the same runs to other numbers.
    asked = (table.digest, law, level, __version__)
    if kept and (kept.data_sha256, WEIGHED if kept.laws else kept.law, kept.level, kept.version) == asked:
        return kept
    fit = fits.fit(table, law, level=level, seed=seed)
    fit.save(path)
    store.seal(path)
    return fit


def _fit_of(table: RunTable, path: Path) -> fits.Fit | None:
    """A kept fit, if it is of this table."""
    fit = load_fit(path)
    return fit if fit and fit.data_sha256 == table.digest else None


def _isoflop_of(table: RunTable, level: float, seed: int) -> routes.IsoflopFit | None:
    """The parabolas of the small runs; None where no two sizes share a budget."""
    try:
        return routes.isoflop(table, level=level, seed=seed) if len(table) else None
    except RefusedError:
        return None


def _corpus_facts(kept: DesignFile) -> reports.CorpusFacts | None:
    corpus = kept.corpus
    if corpus is None:
        return None
    return reports.CorpusFacts(
        source=kept.study.corpus.source,
        tokens=corpus.tokens,
        bytes=corpus.bytes,
        sha256=corpus.sha256,
        entropy_rate=corpus.entropy_rate,
    )


def _scores_of(folder: Path, records: list[RunRecord], kept: DesignFile) -> pd.DataFrame | None:
    """The scores of records on the tasks of the study file, those on the way too; None where it asks for none."""
    if not (kept.study.evaluate or kept.study.finetune):
        return None
    current = current_evaluation(folder)
    scores = scores_of(folder, [record.spec.key for record in records], current)
    return score_rows(records, scores, tasks_of(folder, current))


def _curves_of(scores: pd.DataFrame | None) -> Scores | None:
    """What each score does with compute along the small runs; whatever their budgets, they are one curve."""
    if scores is None or scores.empty:
        return None
    small = scores[scores["annealed"] & (scores["group"] != TARGET)]
    return _said(partial(abilities.scores, small.drop(columns="group"), against="flops"))


def _said(ask: Callable[[], R]) -> R | None:
    """What is found of a study's scores; None where they are too few, or not of its kind."""
    try:
        return ask()
    except (TableError, RefusedError):
        return None


def _training_cost(records: list[RunRecord]) -> reports.TrainingCost:
    """What the runs took, and the machines that trained them."""
    sources = {record.kwh_source for record in records if record.kwh_source}
    devices = {record.device for record in records if record.device}
    return reports.TrainingCost(
        seconds=sum(record.seconds for record in records),
        kwh=sum(record.kwh or 0.0 for record in records) if sources or not records else None,
        kwh_source=", ".join(sorted(sources)),
        machine=", ".join(sorted(devices)) or processor_name(),
    )
