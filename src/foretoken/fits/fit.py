"""A law, fitted to a run table."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from foretoken._version import __version__
from foretoken.errors import ForetokenError
from foretoken.fits.diagnose import fit_checks
from foretoken.fits.estimate import DELTA, Plain, Sample, estimate_plain, estimate_pooled
from foretoken.fits.identify import identify, under_looser_law, widened, without_ends
from foretoken.fits.result import Fit, Residual
from foretoken.fits.rows import Rows, clean_rows, refuse_unidentified
from foretoken.fits.uncertainty import bootstrap, misfit_growth
from foretoken.laws import find_law
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable


def fit(
    table: RunTable,
    law: str = "chinchilla",
    *,
    params: str = "auto",
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
) -> Fit:
    """Fit a law to the usable rows of a table.

    `params` names the column that is N (`auto`: the first of params_total, params, params_active,
    params_non_embedding). `draws` bootstrap draws give the intervals at `level`. Raises TableError for rows that
    cannot be, RefusedError where no estimate means anything (too few runs, one size, collinear, ...).
    """
    _require(level, draws)
    formula = find_law(law)
    rows = clean_rows(table, params)
    refuse_unidentified(rows, formula)
    began = perf_counter()
    sample = Sample.of(formula, rows.features(formula), rows.loss)
    plain = estimate_plain(sample)
    pooled, sigma = estimate_pooled(sample, plain.theta)
    seconds = perf_counter() - began
    began = perf_counter()
    growth, held_out = misfit_growth(sample, rows, pooled, sigma)
    resampled = bootstrap(sample, rows, pooled, plain.theta, sigma, draws, seed)
    estimates = formula.named(formula.shift(plain.theta, sample.origin))
    intervals = _intervals(rows, sample, plain, resampled.plain, level)
    at_low, at_high = _at_bounds(sample, plain.theta)
    reasons = identify(formula, estimates, intervals, at_low, float(rows.loss.min()))
    at_bound = (at_low | at_high) - {"E"}
    return Fit(
        law=law,
        status="bound_hit" if at_bound else "not_identified" if reasons else "converged",
        parameters={name: None if name in reasons else value for name, value in estimates.items()},
        reasons=reasons,
        estimates=estimates,
        forecast_parameters=formula.named(formula.shift(pooled, sample.origin)),
        intervals={**intervals},
        level=level,
        draws=np.exp(formula.shift(resampled.pooled, sample.origin)).tolist(),
        checks=fit_checks(rows, sample, plain, pooled, at_bound, reasons),
        noise={"run": sigma, "freedom": float(max(3, len(rows) - len(pooled))), "growth": growth},
        data_sha256=table.digest,
        seconds=seconds,
        interval_seconds=perf_counter() - began,
        bootstrap=resampled.text,
        held_out=held_out,
        version=__version__,
        **_circumstances(rows, sample, plain, pooled),
    )


def _circumstances(rows: Rows, sample: Sample, plain: Plain, pooled: Array) -> dict[str, Any]:
    """What a Fit says of its rows, its objective and its search."""
    return {
        "params_column": rows.params_column,
        "objective": {"huber_sum": plain.huber_sum, "delta": DELTA},
        "starts": {"tried": plain.tried, "agree": plain.agree},
        "conditioning": _conditioning(sample, plain.theta),
        "rows": {"used": len(rows), "dropped": rows.dropped},
        "assumed": [*rows.assumed, f"forecast_parameters assume: {sample.law.prior_text}"],
        "ranges": _ranges(rows),
        "residuals": _residuals(rows, sample, pooled),
    }


def _intervals(rows: Rows, sample: Sample, plain: Plain, draws: Array, level: float) -> dict[str, list[float]]:
    """Quantiles of the plain draws, theta [b, p], by parameter; E's widened by what its identification tried."""
    values = np.exp(sample.law.shift(draws, sample.origin))
    bands = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    found = {name: [float(low), float(high)] for name, (low, high) in zip(sample.law.parameters, bands, strict=True)}
    if "E" in found:
        others = without_ends(sample, rows, plain.theta) | under_looser_law(sample.law, rows)
        found["E"] = widened(found["E"], others)
    return found


def _require(level: float, draws: int) -> None:
    if not 0 < level < 1:
        raise ForetokenError(
            "the level of an interval lies between 0 and 1", got=repr(level), cure="use for example 0.9"
        )
    if draws < 50:
        raise ForetokenError("too few draws for an interval", expected="at least 50", got=str(draws))


def _at_bounds(sample: Sample, theta: Array) -> tuple[set[str], set[str]]:
    """Names of the parameters at their lower and at their upper bound."""
    low, high = sample.law.bounds(sample.y)
    names = np.array(sample.law.parameters)
    return set(names[theta - low < 1e-6].tolist()), set(names[high - theta < 1e-6].tolist())


def _conditioning(sample: Sample, theta: Array) -> float:
    """Condition number of the gradient with its columns scaled to length 1: above 1e3 parameters trade off freely."""
    gradient = sample.law.log_loss(theta[None], sample.x)[1][0]
    return float(min(np.linalg.cond(gradient / (np.linalg.norm(gradient, axis=0) + 1e-300)), 1e16))


def _ranges(rows: Rows) -> dict[str, list[float]]:
    columns = {"params": rows.params, "tokens": rows.tokens, "flops": rows.flops, "loss": rows.loss}
    return {name: [float(values.min()), float(values.max())] for name, values in columns.items()}


def _residuals(rows: Rows, sample: Sample, theta: Array) -> list[Residual]:
    """The runs that were used, beside what the forecast's parameters give for them."""
    fitted = np.exp(sample.law.log_loss(theta[None], sample.x)[0][0])
    columns = (rows.params, rows.tokens, rows.flops, rows.loss, fitted)
    labels = zip(rows.run, rows.group, rows.parent, strict=True)
    return [
        Residual(run, group, parent, *map(float, values))
        for (run, group, parent), values in zip(labels, zip(*columns, strict=True), strict=True)
    ]
