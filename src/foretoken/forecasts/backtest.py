"""Back-test: forecasts of a table's larger runs from its smaller ones, scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.arguments import check_level, takes
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check, worst_first
from foretoken.fits.fit import fit_rows
from foretoken.fits.law_columns import needed
from foretoken.fits.objectives import HUBER, MAP, OBJECTIVES, check_estimator
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.fits.table_checks import doubts
from foretoken.fits.table_rows import without_refusals
from foretoken.forecasts.coverage import HeldOutRun
from foretoken.forecasts.predict import predict
from foretoken.laws import WEIGHED, find_law, law_or_heaviest
from foretoken.laws.law import Array, Law
from foretoken.results import Result
from foretoken.runs.loss_units import NATS_PER_TOKEN
from foretoken.runs.reading import AnyTable, as_table
from foretoken.runs.table import RunTable

FEWEST_TRAIN, FEWEST_TEST = 8, 3
ORIGINS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of compute at which a rolling origin stands."""
SAME = 1 + 1e-9
"""Runs of one budget differ in their FLOPs by rounding; a quantile must not cut through them."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """How forecasts did; errors are shares of the loss, or differences for a law that is not fitted on logarithms."""

    test_error: float
    """Mean absolute."""
    bias: float
    """Mean signed: above 0 the forecasts were too high."""
    max_error: float
    median_error: float
    coverage: float
    """Share of the held-out runs inside the new-run interval at the level."""
    median_half_width: float
    interval_score: float
    """Mean width plus 2 / (1 - level) times what runs missed it by (Gneiting and Raftery 2007); less is better."""


@dataclass(frozen=True)
class Origin:
    """The forecasts of one fit."""

    train_fraction: float
    """The fit saw the runs up to this quantile of compute."""
    n_train: int
    n_test: int
    test_error: float
    bias: float
    coverage: float


@dataclass(frozen=True)
class BackTest(Scores, Result, rows="rows"):
    """Forecasts of runs that the fit did not see, held against what they reached."""

    level: float
    n_train: int
    """Runs that the (largest) fit saw."""
    n_test: int
    estimator: str
    law: str
    checks: list[Check]
    seconds: float
    origins: list[Origin]
    """Each fit on its own."""
    rows: list[HeldOutRun]
    """Each held-out run beside its forecast."""
    assumed: list[str]
    unit: str = NATS_PER_TOKEN
    """Of the losses in `rows`."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"rows": [run.to_json() for run in self.rows], "loss_unit": self.unit}


@dataclass(frozen=True)
class Cut:
    """Which runs [r] are seen, and which are forecast from them."""

    train_fraction: float
    train: Mask
    test: Mask


@dataclass(frozen=True)
class BackTestRequest:
    """What is forecast from what, and how; checked when it is made."""

    table: AnyTable
    """The runs: as `read_table` gives them, a frame (pandas, polars, ...), or a file's path."""
    train_fraction: float | None = None
    """Quantile of FLOPs up to which runs are seen. Unless given the origin rolls: quantiles 0.5 to 0.9, each fit scored
    on the runs between its origin and the next."""
    _: KW_ONLY
    law: str | Law = WEIGHED
    """Its name, a formula or a law of your own, or `weighed`: the average of several laws."""
    estimator: str = MAP
    """`map`, or the name of an objective such as `huber`."""
    level: float = 0.9
    """Probability that each interval holds."""
    params: str = "auto"
    """The column that is N, or auto."""
    draws: int = 400
    """Bootstrap draws of each fit."""
    seed: int = 0
    """Of these draws."""
    loss_unit: str = ""
    """What the loss is in, as for `read_table`: `bits/byte`, `perplexity`, ..."""
    rename: Mapping[str, str] | None = None
    """Columns by other names, as for `read_table`."""
    where: str = ""
    """Which rows to read, as for `read_table`."""

    def __post_init__(self) -> None:
        fraction = self.train_fraction
        if fraction is not None and not 0 < fraction < 1:
            cure = "use for example 0.5"
            raise ForetokenError("the train fraction lies between 0 and 1", got=repr(fraction), cure=cure)
        check_estimator(self.estimator)
        check_level(self.level)


@takes(BackTestRequest)
def backtest(request: BackTestRequest) -> BackTest:
    """Fit the runs whose FLOPs are at or below a quantile of all FLOPs, forecast the rest, and score the forecasts.

    Raises ForetokenError below 8 training or 3 test runs, or for numbers that are not finite; every other doubt is a
    check beside the number.
    """
    began = perf_counter()
    law = law_or_heaviest(request.law)
    table = as_table(request.table, needed(law), request.loss_unit, request.rename, request.where)
    rows = _rows(table, request.params, law)
    cuts = _cuts(rows.flops, request.train_fraction)
    fits, doubts_of_fits = _fits(request, table.digest, law, rows, cuts)
    held_out = [_held_out(fit, rows, cut, request) for cut, fit in zip(cuts, fits, strict=True)]
    runs = [run for part in held_out for run in part]
    checks = [*_left_out(rows), *_doubts(table, rows, law), *doubts_of_fits]
    relative = law.is_logarithmic
    scores = _scores(runs, request.level, relative)
    return BackTest(
        test_error=scores.test_error,
        bias=scores.bias,
        max_error=scores.max_error,
        median_error=scores.median_error,
        coverage=scores.coverage,
        median_half_width=scores.median_half_width,
        interval_score=scores.interval_score,
        level=request.level,
        n_train=max(int(cut.train.sum()) for cut in cuts),
        n_test=len(runs),
        estimator=request.estimator,
        law=law.name,
        checks=worst_first({check.code: check for check in checks}.values()),
        seconds=perf_counter() - began,
        origins=[_origin(cut, part, request.level, relative) for cut, part in zip(cuts, held_out, strict=True)],
        rows=runs,
        assumed=[*rows.assumed, f"law: {law.formula}", f"estimator: {request.estimator}"],
        unit=rows.unit_of(law),
    )


def _fits(
    request: BackTestRequest, digest: str, law: Law, rows: Rows, cuts: Sequence[Cut]
) -> tuple[list[Fit], list[Check]]:
    """A fit to the runs that each cut sees, and what is doubtful about these runs and fits."""
    objective = OBJECTIVES.get(request.estimator, HUBER).name
    weighed = request.law == WEIGHED
    fits, checks = [], []
    for cut in cuts:
        seen = rows.select(np.flatnonzero(cut.train))
        # What would refuse a fit is a doubt here: a back-test says how wrong such a table's forecasts would have been.
        checks += [Check(r.code, "doubt", r.evidence, "read the errors with care") for r in refusals(seen, law)]
        fit = fit_rows(
            seen, law, digest, request.level, request.draws, request.seed, objective, weighed=weighed, brief=True
        )
        checks += [check for check in fit.checks if check.is_doubt]
        fits.append(fit)
    return fits, checks


def _rows(table: RunTable, params: str, law: Law) -> Rows:
    """The usable rows. Infinite numbers are refused; mixtures, and losses of 0 or below, are doubts."""
    frame = table.frame
    numbers = frame[[name for name in ("params", "params_total", "tokens", "flops", "loss") if name in frame]]
    wrong = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any(axis=1)
    if wrong.any():
        # an infinite number is a slip that would carry every quantile of compute with it; a missing one is only missing
        raise RefusedError(
            "not_finite", f"{int(wrong.sum())} rows hold infinite numbers", "remove these rows or leave the cells empty"
        )
    return clean_rows(without_refusals(table), params, law)


def _doubts(table: RunTable, rows: Rows, law: Law) -> list[Check]:
    """What is doubtful about the whole table; nothing of it refuses a back-test."""
    return [replace(check, severity="doubt") if check.is_refusal else check for check in doubts(table, rows, law.unit)]


def _left_out(rows: Rows) -> list[Check]:
    evidence = "; ".join(f"{dropped.count} left out: {dropped.reason}" for dropped in rows.dropped)
    cure = "complete these rows, or leave them out yourself"
    return [Check("rows_left_out", "note", evidence, cure)] if evidence else []


def _cuts(flops: Array, fraction: float | None) -> list[Cut]:
    """One cut, or one for each rolling origin; at least 8 runs are seen and 3 forecast."""
    if len(flops) < FEWEST_TRAIN + FEWEST_TEST:
        _require_runs(len(flops), 0)
    if fraction is not None:
        train = flops <= np.quantile(flops, fraction) * SAME
        _require_runs(int(train.sum()), int((~train).sum()))
        return [Cut(fraction, train, ~train)]
    # Each run is scored once, by the fit whose origin is the last below it: no later fit sees it and is scored on it.
    edges = [float(np.quantile(flops, share)) * SAME for share in ORIGINS] + [np.inf]
    cuts = []
    for share, edge, after in zip(ORIGINS, edges[:-1], edges[1:], strict=True):
        train, test = flops <= edge, (flops > edge) & (flops <= after)
        if train.sum() >= FEWEST_TRAIN and test.any():
            cuts.append(Cut(share, train, test))
    _require_runs(max((int(cut.train.sum()) for cut in cuts), default=0), sum(int(cut.test.sum()) for cut in cuts))
    return cuts


def _require_runs(train: int, test: int) -> None:
    if train < FEWEST_TRAIN or test < FEWEST_TEST:
        evidence = f"{train} runs to learn from and {test} to forecast; {FEWEST_TRAIN} and {FEWEST_TEST} are the least"
        raise RefusedError("too_few_runs", evidence, "add runs, or choose another --train-fraction")


def _held_out(fit: Fit, rows: Rows, cut: Cut, request: BackTestRequest) -> list[HeldOutRun]:
    """The runs that a fit did not see, beside their forecasts."""
    further = [name for name in find_law(fit.law).features if name in rows.other_features]
    held_out = []
    for run in np.flatnonzero(cut.test):
        params, tokens, flops = (float(values[run]) for values in (rows.params, rows.tokens, rows.flops))
        at = {name: float(rows.other_features[name][run]) for name in further}
        forecast = predict(
            fit,
            params=params,
            tokens=tokens,
            flops=flops,
            at=at,
            level=request.level,
            estimator=request.estimator,
            strict=False,
        )
        held_out.append(
            HeldOutRun(
                params=params,
                tokens=tokens,
                flops=flops,
                at=at,
                loss=float(rows.y[run]),
                forecast=forecast.loss,
                low=forecast.low,
                high=forecast.high,
                distance=forecast.extrapolation.largest,
                train_fraction=cut.train_fraction,
            )
        )
    return held_out


def _scores(runs: Sequence[HeldOutRun], level: float, relative: bool = True) -> Scores:
    loss, forecast = np.array([run.loss for run in runs]), np.array([run.forecast for run in runs])
    low, high = np.array([run.low for run in runs]), np.array([run.high for run in runs])
    whole = loss if relative else np.ones_like(loss)
    error = (forecast - loss) / whole
    # Gneiting and Raftery 2007, equation 43: a width, and 2 / alpha for each unit outside, with alpha = 1 - level.
    missed = (np.maximum(0.0, low - loss) + np.maximum(0.0, loss - high)) / whole
    return Scores(
        test_error=float(np.abs(error).mean()),
        bias=float(error.mean()),
        max_error=float(np.abs(error).max()),
        median_error=float(np.median(np.abs(error))),
        coverage=float(((low <= loss) & (loss <= high)).mean()),
        median_half_width=float(np.median((high - low) / 2 / (forecast if relative else whole))),
        interval_score=float(((high - low) / whole + 2 / (1 - level) * missed).mean()),
    )


def _origin(cut: Cut, runs: Sequence[HeldOutRun], level: float, relative: bool) -> Origin:
    scores = _scores(runs, level, relative)
    n_train = int(cut.train.sum())
    return Origin(cut.train_fraction, n_train, len(runs), scores.test_error, scores.bias, scores.coverage)
