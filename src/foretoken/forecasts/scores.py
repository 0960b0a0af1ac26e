"""Scoring a ledger: from a loss alone, during the run, and over all entries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foretoken.errors import ForetokenError, StoreError
from foretoken.fits.result import Fit
from foretoken.forecasts import ledger
from foretoken.forecasts.ledger import FORMAT
from foretoken.forecasts.predict import predict
from foretoken.forecasts.rivals import rival_forecasts
from foretoken.store.atomic import read_sealed

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the target's tokens at which the band is frozen too."""


def band_along(
    fit: Fit, params: float, tokens: float, level: float, flops: float | None = None
) -> list[dict[str, float]]:
    """The forecast for a run of this size that ends at each share of its tokens: {share, tokens, loss, low, high}.

    `flops` are those of the whole run; from the fit's runs unless given.
    """
    found = []
    for share in SHARES:
        part = None if flops is None else share * flops
        told = predict(fit, params=params, tokens=share * tokens, flops=part, level=level)
        found.append({"share": share, "tokens": share * tokens, "loss": told.loss, "low": told.low, "high": told.high})
    return found


def freeze_run(
    path: str | Path, fit: Fit, *, params: float, tokens: float, flops: float | None = None, level: float = 0.9
) -> dict[str, Any]:
    """Forecast a run and write the forecast down, once: with its band along the run, rivals and conventions.

    Raises StoreError when the entry exists; ForetokenError and RefusedError as `predict` does.
    """
    told = predict(fit, params=params, tokens=tokens, flops=flops, level=level)
    band = band_along(fit, params, tokens, level, told.flops)
    return ledger.freeze(
        path,
        told,
        fit=fit,
        rivals=rival_forecasts(fit, flops=told.flops),
        target={"params": params, "tokens": tokens, "flops": told.flops, "band": band},
        conventions={"params": fit.params_column, "flops": "as in the fit's table", "loss": "nats per token"},
    )


def score_run(
    path: str | Path, loss: float, *, run: str = "", started_at: str | None = None, finished_at: str | None = None
) -> dict[str, Any]:
    """Hold the forecast at `path` against a measured loss (nats per token), and write the outcome beside it, once."""
    entry = read_sealed(Path(path))
    outcome = score_loss(entry, loss, run=run, started_at=started_at, finished_at=finished_at)
    return ledger.keep_outcome(path, outcome)


def place_run(path: str | Path, points: Iterable[tuple[float, float]]) -> list[dict[str, Any]]:
    """Where points (tokens seen, loss) of a running target lie against the forecast at `path`; nothing is written."""
    return during(read_sealed(Path(path)), points)


def score_ledger(folder: str | Path) -> dict[str, Any]:
    """All forecasts of a ledger, and over those that are scored: mean errors and coverage, the rivals' beside them."""
    return summary(ledger.read(folder))


def score_loss(
    entry: Mapping[str, Any],
    loss: float,
    *,
    run: str = "",
    started_at: str | None = None,
    finished_at: str | None = None,
) -> dict[str, Any]:
    """Hold a frozen forecast against a measured loss (nats per token): `error` = (forecast - outcome) / outcome.

    Raises StoreError when the run is known to have begun before the forecast was frozen.
    """
    if not (math.isfinite(loss) and loss > 0):
        raise ForetokenError("the loss must be a finite number above 0", got=repr(loss), cure="nats per token")
    if started_at and _instant(started_at) < _instant(entry["frozen_at"]):
        raise StoreError(
            "the run began before this forecast was frozen, so it is no forecast",
            expected=f"a start after {entry['frozen_at']}",
            got=started_at,
        )
    return {
        "format": FORMAT,
        "run": run,
        "loss": loss,
        "loss_se": None,
        "error": (entry["loss"] - loss) / loss,
        "inside": bool(entry["low"] <= loss <= entry["high"]),
        "rivals": {name: (rival - loss) / loss for name, rival in entry["rivals"].items()},
        "started_at": started_at,
        "finished_at": finished_at,
        "scored_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def during(entry: Mapping[str, Any], points: Iterable[tuple[float, float]]) -> list[dict[str, Any]]:
    """Where points (tokens seen, loss) of a running target lie against the band that was frozen with its forecast.

    The band is that of annealed runs; before the learning rate comes down a loss lies above it. Raises StoreError for
    an entry without a band, ForetokenError for a point outside the run.
    """
    band = entry["target"].get("band")
    if not band:
        raise StoreError(f"{entry['name']} has no band along the run", cure="freeze with: foretoken ledger freeze")
    return [_place(band, tokens, loss) for tokens, loss in points]


def _place(band: list[dict[str, float]], tokens: float, loss: float) -> dict[str, Any]:
    import numpy as np

    end = band[-1]["tokens"]
    if not band[0]["tokens"] <= tokens <= end * 1.001 or not (math.isfinite(loss) and loss > 0):
        expected = f"tokens from {band[0]['tokens']:.4g} to {end:.4g}, and a loss above 0"
        raise ForetokenError("a point outside the run", expected=expected, got=f"{tokens:.4g} tokens, loss {loss:g}")
    along = np.log([point["tokens"] for point in band])
    low, middle, high = (
        math.exp(float(np.interp(math.log(tokens), along, np.log([point[name] for point in band]))))
        for name in ("low", "loss", "high")
    )
    place = "inside" if low <= loss <= high else "above" if loss > high else "below"
    return {
        "tokens": tokens,
        "share": tokens / end,
        "loss": loss,
        "low": low,
        "expected": middle,
        "high": high,
        "place": place,
        "text": f"{place} the band at {100 * tokens / end:.3g} % of tokens",
    }


def summary(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All forecasts of a ledger, and over those that are scored: mean errors and coverage, the rivals' beside them."""
    rows, scored = [], []
    for name, entry in entries.items():
        forecast, outcome = entry["forecast"], entry["outcome"]
        told = ("params", "tokens", "flops", "loss", "low", "high", "level", "compute_factor", "frozen_at")
        kept = ("loss", "error", "inside")
        rows.append(
            {
                "name": name,
                **{key: forecast[key] for key in told},
                "outcome": None if outcome is None else {key: outcome[key] for key in kept},
            }
        )
        if outcome is not None:
            scored.append(outcome)
    return {"entries": rows, "frozen": len(rows), "scored": len(scored), **_means(scored)}


def _means(scored: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean absolute error, bias, coverage, and the rivals' mean absolute errors; null before anything is scored."""
    if not scored:
        return {"mean_error": None, "bias": None, "coverage": None, "rivals": {}, "reason": "nothing is scored yet"}
    errors = [outcome["error"] for outcome in scored]
    names = dict.fromkeys(name for outcome in scored for name in outcome["rivals"])
    rivals = {
        name: _mean([abs(outcome["rivals"][name]) for outcome in scored if name in outcome["rivals"]]) for name in names
    }
    return {
        "mean_error": _mean([abs(error) for error in errors]),
        "bias": _mean(errors),
        "coverage": _mean([float(outcome["inside"]) for outcome in scored]),
        "rivals": rivals,
        "reason": None,
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _instant(text: str) -> datetime:
    """An ISO 8601 time; one without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ForetokenError("a time is not readable", expected="ISO 8601, 2030-01-31T12:00:00Z", got=text) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
