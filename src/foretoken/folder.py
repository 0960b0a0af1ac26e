"""A study's folder, read: how the study stands, its table, its forecast, and what its report shows."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from foretoken import fits, reports
from foretoken._version import __version__
from foretoken.compute.hardware import processor_name
from foretoken.designs import Design
from foretoken.errors import ForetokenError, RefusedError, StoreError
from foretoken.forecasts import ledger
from foretoken.progress import PROGRESS
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.store import Store, read_json
from foretoken.runs.study_file import Study
from foretoken.runs.table import RunTable, table_from_records

FIT_HAS_CHANGED = fits.Check(
    "fit_has_changed",
    "doubt",
    "the small runs or the law have changed since the forecast was frozen; the fit shown is the new one",
    "a new forecast needs a new target: change its size, or the study's seed",
)


def status(folder: str | Path) -> dict[str, Any]:
    """How a study stands, from its files alone: the keys of `foretoken status --json`."""
    folder = Path(folder)
    store, design = Store(folder), read_design(folder)
    runs = _planned(folder, design) if design else []
    statuses = [record.status for run in runs if (record := store.record(run.key))]
    running = _running(folder / PROGRESS) if store.busy else 0
    entry, outcome = current_forecast(folder, design)
    told = ("loss", "low", "high", "level", "flops", "compute_factor", "frozen_at", "data_sha256")
    scored = ("loss", "error", "inside", "started_at", "finished_at")
    return {
        "study": folder.name,
        "folder": str(folder),
        "counts": {
            "planned": len(runs),
            "running": running,
            **{name: statuses.count(name) for name in ("finished", "diverged", "failed")},
        },
        "forecast": {name: entry[name] for name in told} if entry else None,
        "outcome": {name: outcome[name] for name in (*scored, "rivals")} if outcome else None,
    }


def _planned(folder: Path, design: Design) -> list[RunSpec]:
    trains_target = read_json(folder / "design.json")["study"]["target"]["train"]
    return design.all_runs if trains_target else design.runs


def _running(progress: Path) -> int:
    try:
        return len(read_json(progress))
    except StoreError:  # it comes and goes with the runs
        return 0


def read_design(folder: Path) -> Design | None:
    """The design that a study's folder keeps; None before there is one."""
    path = folder / "design.json"
    if not path.is_file():
        return None
    try:
        return Design.from_json(read_json(path))
    except (KeyError, TypeError) as error:
        cure = "delete it, then run the study again"
        raise StoreError(f"{path} is not a design of this version", got=repr(error), cure=cure) from error


def ladder_table(folder: str | Path) -> RunTable:
    """The run table of a study's small runs, as its design stands now. Raises StoreError without a design."""
    design = read_design(Path(folder))
    if design is None:
        raise StoreError(f"no study has been started in {folder}", expected="a folder with design.json")
    return table_of(Store(folder), design.runs)


def table_of(store: Store, runs: list[RunSpec]) -> RunTable:
    """The run table of planned runs, as far as they have records."""
    return table_from_records(records_of(store, runs), str(store.folder))


def records_of(store: Store, runs: list[RunSpec]) -> list[RunRecord]:
    """Records of planned runs, under the labels that the design gives them now."""
    return [replace(record, spec=run) for run in runs if (record := store.record(run.key))]


def ledger_path(folder: Path, design: Design, fit: fits.Fit) -> Path:
    """The ledger's entry for a target and a fit: new data or another law are a new entry, never an edited one."""
    return folder / "ledger" / f"target-{design.target.key}-{fit.data_sha256[:8]}-{fit.law}-{fit.level:g}.json"


def current_forecast(folder: Path, design: Design | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The newest forecast of the design's target, and its outcome."""
    if design is None:
        return None, None
    entries = ledger.read(folder / "ledger")
    mine = [e for name, e in entries.items() if name.startswith(f"target-{design.target.key}-")]
    newest = max(mine, key=lambda e: e["forecast"]["frozen_at"], default=None)
    return (newest["forecast"], newest["outcome"]) if newest else (None, None)


def gather(folder: Path, refusal: ForetokenError | None = None) -> reports.StudyResults:
    """All that the report of a study shows, read from its folder."""
    store, plan, design = Store(folder), read_json(folder / "design.json"), read_design(folder)
    assert design
    study = Study.model_validate(plan["study"])
    records, small = records_of(store, design.all_runs), table_of(store, design.runs)
    entry, outcome = current_forecast(folder, design)
    fit, approach3 = (_fit_of(small, folder / name) for name in ("fit.json", "approach3.json"))
    if entry and fit and (entry["law"], entry["data_sha256"]) != (fit.law, fit.data_sha256):
        entry = {**entry, "checks": [*entry["checks"], asdict(FIT_HAS_CHANGED)]}
    try:
        isoflop = fits.isoflop(small, level=study.forecast.level, seed=study.seed) if len(small) else None
    except RefusedError:
        isoflop = None
    return reports.StudyResults(
        name=study.name,
        study=study.model_dump(),
        table=table_of(store, design.all_runs),
        records=records,
        fit=fit,
        approach3=approach3,
        isoflop=isoflop,
        forecast=entry,
        outcome=outcome,
        refusal=str(refusal) if refusal else None,
        design=design_totals(design),
        corpus=plan.get("corpus", {}),
        counts=status(folder)["counts"],
        cost=_cost(records),
        entropy_rate=plan.get("corpus", {}).get("entropy_rate"),
        commands=[*filter(None, [plan.get("command")]), f"foretoken report {folder}"],
        version=__version__,
    )


def _fit_of(table: RunTable, path: Path) -> fits.Fit | None:
    """A kept fit, if it is of this table."""
    fit = fits.Fit.load(path) if path.is_file() else None
    return fit if fit and fit.data_sha256 == table.digest else None


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


def _cost(records: list[RunRecord]) -> dict[str, Any]:
    sources = {record.kwh_source for record in records if record.kwh_source}
    return {
        "seconds": sum(record.seconds for record in records),
        "kwh": sum(record.kwh or 0.0 for record in records),
        "kwh_source": ", ".join(sorted(sources)),
        "machine": processor_name(),
    }
