"""Forecasts of a ledger from Python: freeze one, score it from a loss, place a run that is under way, see them all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from foretoken.arguments import named_arguments
from foretoken.errors import StoreError
from foretoken.fits.result import Fit
from foretoken.forecasts.band import PlacedPoint, band_along, place_points
from foretoken.forecasts.entry import Entry, Outcome
from foretoken.forecasts.ledger import Ledger, LedgerSummary, freeze, keep_outcome, read_entry
from foretoken.forecasts.predict import predict
from foretoken.forecasts.rivals import rival_forecasts


@named_arguments
def freeze_run(
    path: str | Path, fit: Fit, *, params: float, tokens: float, flops: float | None = None, level: float = 0.9
) -> Entry:
    """Forecast a run and write the forecast down, once: with its band along the run, rivals and conventions.

    Args:
        path: the new file, in the ledger's folder.
        fit: the fit that forecasts.
        params: parameters of the run, in the fit's own count.
        tokens: training tokens.
        flops: training FLOP; from the fit's runs unless given.
        level: probability that the interval holds.

    Raises StoreError when the entry exists; ForetokenError and RefusedError as `predict` does.

    """
    forecast = predict(fit, params=params, tokens=tokens, flops=flops, level=level)
    return freeze(
        path,
        forecast,
        fit=fit,
        rivals=rival_forecasts(fit, flops=forecast.flops),
        band=band_along(fit, params, tokens, level, forecast.flops),
        conventions={"params": fit.params_column, "flops": "as in the fit's table", "loss": "nats per token"},
    )


@named_arguments
def score_run(
    path: str | Path, loss: float, *, run: str = "", started_at: str | None = None, finished_at: str | None = None
) -> Outcome:
    """Hold the forecast at `path` against a measured loss, and write the outcome beside it, once.

    Args:
        path: the file of the forecast.
        loss: final loss of the run, nats per token.
        run: its name.
        started_at: when it began (ISO 8601); a start before the forecast is refused.
        finished_at: when it ended.

    """
    outcome = read_entry(path).score(loss, run=run, started_at=started_at, finished_at=finished_at)
    return keep_outcome(path, outcome)


@named_arguments
def place_run(path: str | Path, points: Iterable[tuple[float, float]]) -> list[PlacedPoint]:
    """Where points (tokens seen, loss) of a running target lie against the forecast at `path`; nothing is written.

    Raises StoreError for a forecast without a band, ForetokenError for a point outside the run.
    """
    return placed(read_entry(path), points)


@named_arguments
def score_ledger(folder: str | Path) -> LedgerSummary:
    """All forecasts of a ledger, and over those that are scored: mean errors and coverage, the rivals' beside them."""
    return Ledger.read(folder).summary()


def placed(entry: Entry, points: Iterable[tuple[float, float]]) -> list[PlacedPoint]:
    """Where points (tokens seen, loss) lie against the band of a frozen forecast. Raises StoreError without a band."""
    if not entry.band:
        raise StoreError(f"{entry.name} has no band along the run", cure="freeze with: foretoken ledger freeze")
    return place_points(entry.band, points)
