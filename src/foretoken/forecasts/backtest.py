"""How wrong forecasts from a table's smaller runs were about its larger ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.arguments import check_level
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.fit import fit_rows
from foretoken.fits.objectives import HUBER, MAP, OBJECTIVES, check_estimator
from foretoken.fits.result import Check, Fit
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.fits.table_checks import doubts, worst_first
from foretoken.fits.table_rows import without_refusals
from foretoken.forecasts.predict import predict
from foretoken.laws import find_law
from foretoken.laws.law import Array, Law
from foretoken.runs.table import RunTable

FEWEST_TRAIN, FEWEST_TEST = 8, 3
ORIGINS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of compute at which a rolling origin stands."""
SAME = 1 + 1e-9
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BackTest:
    """Forecasts of runs that the fit did not see, held against what they reached.

    Errors are shares of the loss; of a law that is not fitted on logarithms (an accuracy), differences.
    """

    test_error: float
    """Mean absolute."""
    bias: float
    """Mean signed: above 0 the forecasts were too high."""
    max_error: float
    median_error: float
    coverage: float
    """Share of the held-out runs inside the new-run interval at `level`."""
    level: float
    median_half_width: float
    interval_score: float
    """Mean width plus 2 / (1 - level) times what runs missed it by (Gneiting and Raftery 2007); less is better."""
    n_train: int
    """Runs that the (largest) fit saw."""
    n_test: int
    estimator: str
    law: str
    checks: list[Check]
    seconds: float
    origins: list[dict[str, Any]]
    """Each fit on its own: {train_fraction, n_train, n_test, test_error, bias, coverage}."""
    rows: list[dict[str, float]]
    """Each held-out run: {params, tokens, flops, loss, forecast, low, high, distance, train_fraction}.

    `distance` is the largest factor beyond the runs seen, in params, tokens or flops.
    """
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def backtest(
    table: RunTable,
    train_fraction: float | None = None,
    *,
    law: str = "coupled",
    estimator: str = MAP,
    level: float = 0.9,
    params: str = "auto",
    draws: int = 400,
    seed: int = 0,
) -> BackTest:
    """Fit the runs whose FLOPs are at or below a quantile of all FLOPs, forecast the rest, and score the forecasts.

    Without `train_fraction` the origin rolls: quantiles 0.5 to 0.9, each fit scored on the runs between its origin and
    the next. Raises ForetokenError below 8 training or 3 test runs, or for numbers that are not finite; every other
    doubt is a check beside the number.
    """
    began = perf_counter()
    _require(train_fraction, estimator, level)
    formula = find_law(law)
    rows = _rows(table, params, formula)
    cuts = _cuts(rows.flops, train_fraction)
    found = [
        (share, _scored(rows, formula, train, test, estimator, level, draws, seed, table.digest))
        for share, train, test in cuts
    ]
    runs = [{**run, "train_fraction": share} for share, (_, scored, _) in found for run in scored]
    doubtful = [
        *_left_out(rows),
        *_doubts(table, rows, formula),
        *(check for _, (_, _, told) in found for check in told),
    ]
    checks = {check.code: check for check in doubtful}
    return BackTest(
        **_score(runs, level, formula.target == "log"),
        level=level,
        n_train=max(trained for _, (trained, _, _) in found),
        n_test=len(runs),
        estimator=estimator,
        law=law,
        checks=worst_first(checks.values()),
        seconds=perf_counter() - began,
        origins=[
            _origin(share, trained, scored, level, formula.target == "log") for share, (trained, scored, _) in found
        ],
        rows=runs,
        assumed=[*rows.assumed, f"law: {formula.formula}", f"estimator: {estimator}"],
    )


def _rows(table: RunTable, params: str, law: Law) -> Rows:
    """The usable rows. Infinite numbers are refused; mixtures, and losses of 0 or below, are doubts."""
    frame = table.frame
    numbers = frame[[name for name in ("params", "params_total", "tokens", "flops", "loss") if name in frame]]
    wrong = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any(axis=1)
    if wrong.any():
        raise RefusedError(
            "not_finite", f"{int(wrong.sum())} rows hold infinite numbers", "remove these rows or leave the cells empty"
        )
    return clean_rows(without_refusals(table), params, law)


def _doubts(table: RunTable, rows: Rows, law: Law) -> list[Check]:
    """What is doubtful about the whole table; nothing of it refuses a back-test."""
    return [replace(check, severity="doubt") if check.is_refusal else check for check in doubts(table, rows, law.unit)]


def _left_out(rows: Rows) -> list[Check]:
    said = "; ".join(f"{dropped.count} left out: {dropped.reason}" for dropped in rows.dropped)
    return [Check("rows_left_out", "note", said, "complete these rows, or leave them out yourself")] if said else []


def _cuts(flops: Array, fraction: float | None) -> list[tuple[float, Mask, Mask]]:
    """(quantile, which runs are seen, which are forecast), at least 8 and 3 of them."""
    if len(flops) < FEWEST_TRAIN + FEWEST_TEST:
        _require_runs(len(flops), 0)
    if fraction is not None:
        train = flops <= np.quantile(flops, fraction) * SAME
        _require_runs(int(train.sum()), int((~train).sum()))
        return [(fraction, train, ~train)]
    edges = [float(np.quantile(flops, share)) * SAME for share in ORIGINS] + [np.inf]
    cuts = []
    for share, edge, after in zip(ORIGINS, edges[:-1], edges[1:], strict=True):
        train, test = flops <= edge, (flops > edge) & (flops <= after)
        if train.sum() >= FEWEST_TRAIN and test.any():
            cuts.append((share, train, test))
    _require_runs(max((int(cut[1].sum()) for cut in cuts), default=0), sum(int(cut[2].sum()) for cut in cuts))
    return cuts


def _require_runs(train: int, test: int) -> None:
    if train < FEWEST_TRAIN or test < FEWEST_TEST:
        evidence = f"{train} runs to learn from and {test} to forecast; {FEWEST_TRAIN} and {FEWEST_TEST} are the least"
        raise RefusedError("too_few_runs", evidence, "add runs, or choose another --train-fraction")


def _scored(
    rows: Rows,
    law: Law,
    train: Mask,
    test: Mask,
    estimator: str,
    level: float,
    draws: int,
    seed: int,
    digest: str,
) -> tuple[int, list[dict[str, float]], list[Check]]:
    """Runs seen, the forecast runs, and the doubts."""
    seen = rows.select(np.flatnonzero(train))
    doubts = [Check(r.code, "doubt", r.evidence, "read the errors with care") for r in refusals(seen, law)]
    objective = OBJECTIVES.get(estimator, HUBER).name
    found = fit_rows(seen, law, digest, level, draws, seed, objective, brief=True)
    scored = [_forecast(found, rows, int(run), estimator, level) for run in np.flatnonzero(test)]
    return len(seen), scored, [*doubts, *(check for check in found.checks if check.is_doubt)]


def _forecast(found: Fit, rows: Rows, run: int, estimator: str, level: float) -> dict[str, float]:
    at: dict[str, Any] = {name: float(getattr(rows, name)[run]) for name in ("params", "tokens", "flops")}
    others = {
        name: float(rows.other_features[name][run])
        for name in find_law(found.law).features
        if name in rows.other_features
    }
    told = predict(found, **at, at=others, level=level, estimator=estimator)
    return {
        **at,
        **{f"at_{name}": value for name, value in others.items()},
        "loss": float(rows.y[run]),
        "forecast": told.loss,
        "low": told.low,
        "high": told.high,
        "distance": told.extrapolation.largest,
    }


def _score(runs: list[dict[str, float]], level: float, relative: bool = True) -> dict[str, float]:
    loss, forecast, low, high = (np.array([run[name] for run in runs]) for name in ("loss", "forecast", "low", "high"))
    whole = loss if relative else np.ones_like(loss)
    error = (forecast - loss) / whole
    missed = (np.maximum(0.0, low - loss) + np.maximum(0.0, loss - high)) / whole
    return {
        "test_error": float(np.abs(error).mean()),
        "bias": float(error.mean()),
        "max_error": float(np.abs(error).max()),
        "median_error": float(np.median(np.abs(error))),
        "coverage": float(((low <= loss) & (loss <= high)).mean()),
        "median_half_width": float(np.median((high - low) / 2 / (forecast if relative else whole))),
        "interval_score": float(((high - low) / whole + 2 / (1 - level) * missed).mean()),
    }


def _origin(share: float, trained: int, scored: list[dict[str, float]], level: float, relative: bool) -> dict[str, Any]:
    told = _score(scored, level, relative)
    kept = {name: told[name] for name in ("test_error", "bias", "coverage")}
    return {"train_fraction": share, "n_train": trained, "n_test": len(scored), **kept}


def _require(fraction: float | None, estimator: str, level: float) -> None:
    if fraction is not None and not 0 < fraction < 1:
        raise ForetokenError("the train fraction lies between 0 and 1", got=repr(fraction), cure="use for example 0.5")
    check_estimator(estimator)
    check_level(level)
