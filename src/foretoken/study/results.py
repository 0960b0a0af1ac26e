"""A study's folder, read: how the study stands, its table, its forecast, and what its report shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foretoken import fits, reports, routes
from foretoken._version import __version__
from foretoken.compute.hardware import processor_name
from foretoken.designs import Design, tuned
from foretoken.errors import ForetokenError, RefusedError, StoreError
from foretoken.forecasts.entry import Entry, Outcome
from foretoken.forecasts.ledger import Ledger, LedgerLine
from foretoken.runs.record import RunRecord
from foretoken.runs.schema import LaunchSection
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable, table_from_records
from foretoken.store.atomic import read_json
from foretoken.store.diff import Change, changes, nearest_change
from foretoken.store.format import read_format_json
from foretoken.store.lease import is_owned
from foretoken.store.store import Store
from foretoken.study.progress import PROGRESS

FIT_HAS_CHANGED = fits.Check(
    "fit_has_changed",
    "doubt",
    "the small runs or the law have changed since the forecast was frozen; the fit shown is the new one",
    "a new forecast needs a new target: change its size, or the study's seed",
)


LEASE_SECONDS = LaunchSection().lease_seconds


def status(folder: str | Path, study: Study | None = None) -> dict[str, Any]:
    """How a study stands, from its files alone: the keys of `foretoken status --json`.

    With `study`, the file as it is now, `edited` tells which of its keys have changed since the study was run.
    """
    folder = Path(folder)
    store, plan = Store(folder), read_plan(folder)
    design, settings = _design(folder, plan), plan.get("study", {})
    runs = [] if design is None else design.all_runs if settings["target"]["train"] else design.runs
    records = {run.key: record for run in runs if (record := store.record(run.key))}
    lease = settings.get("launch", {}).get("lease_seconds", LEASE_SECONDS)
    current = current_forecast(folder, design)
    return {
        "study": folder.name,
        "folder": str(folder),
        "counts": {
            "planned": len(runs),
            "running": _running(folder / PROGRESS) if is_owned(folder, lease) else 0,
            **_ended(records.values()),
        },
        "forecast": _forecast_json(current.entry) if current else None,
        "outcome": _outcome_json(current.outcome) if current and current.outcome else None,
        "new": new_runs(store, runs, records),
        "edited": changes(settings, study.model_dump()) if study and settings else {},
    }


def _forecast_json(entry: Entry) -> dict[str, Any]:
    forecast = entry.forecast
    return {
        "loss": forecast.loss,
        "low": forecast.low,
        "high": forecast.high,
        "level": forecast.level,
        "flops": forecast.flops,
        "compute_factor": entry.compute_factor,
        "frozen_at": entry.frozen_at,
        "data_sha256": entry.data_sha256,
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "loss": outcome.loss,
        "error": outcome.error,
        "inside": outcome.inside,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "rivals": outcome.rivals,
    }


def new_runs(store: Store, runs: list[RunSpec], records: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """The runs without a record, and `because`: the fields that tell each from the most similar run that has one.

    `because` is None where the folder holds no run of other settings.
    """
    waiting = [run for run in runs if run.key not in records]
    planned = {run.key for run in runs}
    others = [record.spec for record in store.records() if record.spec.key not in planned] if waiting else []
    return [{"id": run.key, "group": run.group, "because": because(run, others)} for run in waiting]


def because(run: RunSpec, others: list[RunSpec]) -> Change | None:
    """What tells a run from the most similar of others; None where there is none."""
    same_shape = [other for other in others if other.shape == run.shape]
    return nearest_change(run, same_shape or others)


def _ended(records: Iterable[RunRecord]) -> dict[str, int]:
    statuses = [record.status for record in records]
    return {name: statuses.count(name) for name in ("finished", "diverged", "failed")}


def _running(progress: Path) -> int:
    try:
        return len(read_json(progress))
    except StoreError:  # it comes and goes with the runs
        return 0


def read_design(folder: Path) -> Design | None:
    """The design that a study's folder keeps; None before there is one. Raises StoreError when it is damaged."""
    return _design(folder, read_plan(folder))


def read_plan(folder: Path) -> dict[str, Any]:
    """What design.json says; empty before there is one. Raises StoreError when it is damaged."""
    path = folder / "design.json"
    if not path.is_file():
        return {}
    return read_format_json(path)


def settings_of(folder: Path, plan: dict[str, Any]) -> Study:
    """The study file's settings as design.json keeps them. Raises StoreError when they are none of this version."""
    try:
        return Study.model_validate(plan["study"])
    except (KeyError, ValueError) as error:
        cure = "run the study again: it will be made anew"
        raise StoreError(f"{folder / 'design.json'} is no design", got=str(error), cure=cure) from error


def _design(folder: Path, plan: dict[str, Any]) -> Design | None:
    try:
        return Design.from_json(plan) if plan else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        cure = "run the study again: it will be made anew"
        raise StoreError(f"{folder / 'design.json'} is no design", got=repr(error), cure=cure) from error


def ladder_table(folder: str | Path) -> RunTable:
    """The run table of a study's small runs, as its design stands now. Raises StoreError without a design."""
    design = read_design(Path(folder))
    if design is None:
        raise StoreError(f"no study has been started in {folder}", expected="a folder with design.json")
    return table_of(Store(folder), design.runs)


def table_of(store: Store, runs: list[RunSpec]) -> RunTable:
    """The run table of planned runs, as far as they have records."""
    return table_from_records(tuned(records_of(store, runs)), str(store.folder))


def records_of(store: Store, runs: list[RunSpec]) -> list[RunRecord]:
    """Records of planned runs, under the labels that the design gives them now."""
    return [replace(record, spec=run) for run in runs if (record := store.record(run.key))]


def ledger_path(folder: Path, design: Design, fit: fits.Fit) -> Path:
    """The ledger's entry for a target and a fit: new data or another law are a new entry, never an edited one."""
    return folder / "ledger" / f"target-{design.target.key}-{fit.data_sha256[:8]}-{fit.law}-{fit.level:g}.json"


def current_forecast(folder: Path, design: Design | None) -> LedgerLine | None:
    """The newest forecast of the design's target, with its outcome; None before there is one."""
    if design is None:
        return None
    ledger = Ledger.read(folder / "ledger")
    of_target = [line for line in ledger.lines if line.name.startswith(f"target-{design.target.key}-")]
    return max(of_target, key=lambda line: line.entry.frozen_instant, default=None)


def gather(folder: Path, refusal: ForetokenError | None = None) -> reports.StudyResults:
    """All that the report of a study shows, read from its folder."""
    store, plan, design = Store(folder), read_plan(folder), read_design(folder)
    if design is None:
        raise StoreError(f"no study has been started in {folder}", expected="a folder with design.json")
    study = settings_of(folder, plan)
    records = records_of(store, design.all_runs)
    ladder = {run.key for run in design.runs}
    small = table_from_records(tuned([record for record in records if record.spec.key in ladder]), str(folder))
    current = current_forecast(folder, design)
    entry, outcome = (current.entry, current.outcome) if current else (None, None)
    fit, approach3 = (_fit_of(small, folder / name) for name in ("fit.json", "approach3.json"))
    if entry and fit and (entry.law, entry.data_sha256) != (fit.law, fit.data_sha256):
        forecast = replace(entry.forecast, checks=[*entry.checks, FIT_HAS_CHANGED])
        entry = replace(entry, forecast=forecast)
    try:
        isoflop = routes.isoflop(small, level=study.forecast.level, seed=study.seed) if len(small) else None
    except RefusedError:
        isoflop = None
    return reports.StudyResults(
        name=study.name,
        settings_json=study.model_dump(),
        table=table_from_records(records, str(folder)),
        records=records,
        fit=fit,
        approach3=approach3,
        isoflop=isoflop,
        entry=entry,
        outcome=outcome,
        refusal=str(refusal) if refusal else None,
        design=design,
        corpus=_corpus_facts(plan.get("corpus", {})),
        counts=_run_counts(status(folder)["counts"], records),
        cost=_cost(records),
        commands=[*filter(None, [plan.get("command")]), f"foretoken report {folder}"],
        version=__version__,
    )


def report(folder: str | Path) -> Path:
    """Write a study's report/index.html anew from its files, and say where. Raises StoreError without a study."""
    return reports.write_report(gather(Path(folder)), Path(folder))


def _fit_of(table: RunTable, path: Path) -> fits.Fit | None:
    """A kept fit, if it is of this table."""
    fit = load_fit(path)
    return fit if fit and fit.data_sha256 == table.digest else None


def load_fit(path: Path) -> fits.Fit | None:
    """A kept fit; None when there is none, or it is damaged: it can be made again."""
    try:
        return fits.Fit.load(path) if path.is_file() else None
    except StoreError:
        return None


def design_totals(design: Design) -> dict[str, Any]:
    """What a design costs, and what it aims at."""
    target = design.target
    return {
        "runs": [run.key for run in design.runs],
        "total_flops": design.total_flops,
        "separate_flops": design.separate_flops,
        "compute_factor": design.compute_factor,
        "share_of_target": design.total_flops / target.flops,
        "target": {"params_total": target.parameters.total, "tokens": target.tokens, "flops": target.flops},
    }


def _cost(records: list[RunRecord]) -> reports.TrainingCost:
    sources = {record.kwh_source for record in records if record.kwh_source}
    return reports.TrainingCost(
        seconds=sum(record.seconds for record in records),
        kwh=sum(record.kwh or 0.0 for record in records),
        kwh_source=", ".join(sorted(sources)),
        machine=processor_name(),
    )


def _run_counts(counts_json: Mapping[str, int], records: Sequence[RunRecord]) -> reports.RunCounts:
    """Planned and running ones as `status` counts them; those that ended, of the records that the page shows."""
    ended = _ended(records)
    return reports.RunCounts(
        planned=counts_json["planned"],
        running=counts_json["running"],
        finished=ended["finished"],
        diverged=ended["diverged"],
        failed=ended["failed"],
    )


def _corpus_facts(corpus_json: Mapping[str, Any]) -> reports.CorpusFacts | None:
    """The corpus as design.json keeps it; None in a design without one."""
    if not corpus_json:
        return None
    return reports.CorpusFacts(
        source=corpus_json["source"],
        tokens=corpus_json["tokens"],
        bytes=corpus_json["bytes"],
        sha256=corpus_json["sha256"],
        entropy_rate=corpus_json["entropy_rate"],
    )
