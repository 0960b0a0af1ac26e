"""The ledger: forecasts frozen before their target trains, and scored after it.

ledger/target.json           the forecast, written once
ledger/target.outcome.json   what happened, written once
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foretoken._version import __version__
from foretoken.errors import StoreError
from foretoken.fits.result import Check, Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.runs.record import RunRecord
from foretoken.store.atomic import create_file, read_sealed, sealed

FORMAT = 1
OUTCOME = ".outcome.json"


@dataclass(frozen=True)
class Entry:
    """What every reader of a forecast may count on; it holds more."""

    __pydantic_config__ = {"allow_inf_nan": False}  # noqa: RUF012

    name: str
    params: float
    tokens: float
    flops: float
    loss: float
    low: float
    high: float
    level: float
    kind: str
    extrapolation: dict[str, float]
    compute_factor: float
    frozen_at: str
    law: str
    data_sha256: str
    rivals: dict[str, float]
    checks: list[Check]


@dataclass(frozen=True)
class Outcome:
    """The same of an outcome."""

    __pydantic_config__ = {"allow_inf_nan": False}  # noqa: RUF012

    loss: float
    error: float
    inside: bool
    rivals: dict[str, float]
    started_at: str | None
    finished_at: str | None


def freeze(
    path: str | Path,
    forecast: Forecast,
    *,
    fit: Fit,
    rivals: Mapping[str, float],
    target: Mapping[str, Any],
    conventions: Mapping[str, str],
) -> dict[str, Any]:
    """Write the forecast of a target, with all it rests on, and return the entry. Raises StoreError when it exists.

    `target` are the plain values of the planned run; `conventions` say how N, FLOPs and loss are counted.
    """
    entry = {
        "format": FORMAT,
        "name": Path(path).name,
        **{key: value for key, value in forecast.to_json().items() if key != "checks"},
        "compute_factor": forecast.flops / fit.ranges["flops"][1],
        "frozen_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "law": fit.law,
        "forecast_parameters": dict(fit.forecast_parameters),
        "parameters": dict(fit.parameters),
        "noise": dict(fit.noise),
        "bootstrap": fit.bootstrap,
        "params_column": fit.params_column,
        "data_sha256": fit.data_sha256,
        "records": sorted(run.run for run in fit.residuals),
        "rivals": dict(rivals),
        "target": dict(target),
        "conventions": dict(conventions),
        "checks": forecast.to_json()["checks"],
        "version": __version__,
    }
    return _write_once(Path(path), entry)


def score(entry: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """Hold a frozen forecast against the run: `error` = (forecast - outcome) / outcome, the rivals' beside it.

    Raises StoreError for a run that did not finish, or that began before the forecast was frozen.
    """
    if record.status != "finished" or record.loss is None:
        raise StoreError("the target has no loss", expected="a finished run", got=record.status, cure="run it again")
    if record.started_at < entry["frozen_at"]:
        raise StoreError(
            "the target began before this forecast was frozen, so it is no forecast",
            expected=f"a start after {entry['frozen_at']}",
            got=record.started_at,
            cure="give the target another seed or size, and run again",
        )
    return {
        "format": FORMAT,
        "run": record.spec.key,
        "loss": record.loss,
        "loss_se": record.loss_se,
        "error": (entry["loss"] - record.loss) / record.loss,
        "inside": bool(entry["low"] <= record.loss <= entry["high"]),
        "rivals": {name: (loss - record.loss) / record.loss for name, loss in entry["rivals"].items()},
        "started_at": record.started_at,
        "finished_at": record.finished_at,
    }


def keep_outcome(path: str | Path, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Write the outcome beside the forecast at `path`. Raises StoreError when it exists."""
    return _write_once(Path(path).with_suffix(OUTCOME), dict(outcome))


def read(folder: str | Path) -> dict[str, dict[str, Any]]:
    """All forecasts of a ledger by name: {name: {"forecast": entry, "outcome": outcome or None}}.

    Raises StoreError, with file and line, for an entry that was changed after it was frozen.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.json")):
        if not path.name.endswith(OUTCOME):
            outcome = path.with_suffix(OUTCOME)
            found[path.stem] = {
                "forecast": _read(path, Entry),
                "outcome": _read(outcome, Outcome) if outcome.is_file() else None,
            }
    return found


def _read(path: Path, kind: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    values = read_sealed(path)
    try:
        TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise StoreError(f"{path} is no entry of a ledger", got=str(error), cure="restore it") from None
    return values


def _write_once(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    if not create_file(path, sealed(entry)):
        raise StoreError(
            f"{path} is frozen and is never written twice", cure="make a new study, or give the forecast another name"
        )
    return entry
